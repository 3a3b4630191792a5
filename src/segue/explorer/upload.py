"""Uploaded images: the format is found by content, and an unsuitable file is refused before it is decoded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.cohort.case import Case
from segue.cohort.grid import Grid
from segue.cohort.io import format_names, place_image, reader_of, suffix_by_content
from segue.cohort.io.limits import check_decoded, decoding
from segue.engine.model import Model
from segue.errors import InputError
from segue.explorer.limit import MAX_BYTES
from segue.explorer.models import Chosen
from segue.generation.source import case_of
from segue.quoting import in_python

GONE = "is no longer here (uploads are kept for an hour); upload it again"


@dataclass(frozen=True)
class Upload:
    """A file that can be read: its path, its name for the user, and its number of slices (None for an image)."""

    path: Path
    name: str
    slices: int | None


def hint(grid: Grid) -> list[str]:
    """What to upload, in sentences.

    >>> from segue.cohort.intensity import Intensity
    >>> hint(Grid((4, 8), intensity=Intensity((-200.0, 1200.0))))[2]
    'Values from -200 to 1,200, as in the training images.'
    """
    kind = "One grey image, or a volume of which you choose a slice" if len(grid.size) == 2 else "One grey volume"
    size = " × ".join(map(str, grid.size))
    low, high = (f"{value:,.0f}" for value in grid.intensity.usual)
    values = "Values in any unit: each image is scaled by its own values."
    return [
        f"{kind}: {format_names()}, {MAX_BYTES >> 20} MB at most.",
        f"The same view, orientation and crop as the training images; it is averaged to {size} pixels.",
        values if grid.intensity.rule is not None else f"Values from {low} to {high}, as in the training images.",
    ]


def receive(path: Path, model: Model) -> Upload:
    """Check an uploaded file without decoding it, and rename it with the suffix of its format.

    Raises:
        InputError: the file is too large, empty, of an unknown format, damaged, or of other dimensions than the model.
    """
    name = path.name
    if not path.is_file():
        raise InputError(f"{name}: {GONE}")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise InputError(f"{name}: has {size >> 20} MB; {MAX_BYTES >> 20} MB at most are taken")
    suffix = suffix_by_content(path)
    if not suffix:
        raise InputError(f"{name}: is no {format_names()} file by its content; export it as one of them")
    stored = path.with_name(f"upload{suffix}")
    path.replace(stored)
    try:
        with decoding(stored):
            shape = reader_of(stored).shape(stored)
            check_decoded(stored, shape, 1)
    except InputError as error:
        raise InputError(str(error).replace(str(stored), name)) from None
    dims = len(model.grid.size)
    while len(shape) > dims and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (dims, dims + 1):
        raise InputError(f"{name}: has {len(shape)} axes, the model's images have {dims}; give one slice or volume")
    return Upload(stored, name, shape[-1] if len(shape) > dims else None)


def read(upload: Upload, model: Model, *, slice: int | None, covariates: Mapping[str, float | int | None]) -> Chosen:
    """The image on the model's grid.

    Args:
        slice: of a file that has several, counted from 0.
        covariates: the factual values of the model's.

    Raises:
        InputError: the file cannot be decoded, or a covariate or the spacing is missing; the message has the file's
            name as the user knows it.
    """
    if not upload.path.is_file():
        raise InputError(f"{upload.name}: {GONE}")
    place = slice if upload.slices is not None else None
    try:
        found = place_image(upload.path, model.grid.size, axes=model.grid.axes, slice=place)
    except InputError as error:
        raise InputError(str(error).replace(str(upload.path), upload.name)) from None
    if found.placement.spacing is None and model.grid.unit != "px" and model.grid.pixel_area is None:
        raise InputError(
            f"{upload.name}: has no spacing, and the model measures in {model.grid.unit}; give NIfTI or DICOM"
        )
    names = model.space.covariates
    if missing := [name for name in names if covariates.get(name) is None]:
        raise InputError(f"{upload.name}: give the image's {missing[0]}")
    given = {name: float(value) for name in names if (value := covariates.get(name)) is not None}
    case = case_of(upload.name, found, upload.path, model.grid.size, given, slice=place)
    where = "" if place is None else f", slice={place}"
    return Chosen(case, f"image, _ = model.read({in_python(upload.name)}{where})")


def place(upload: Upload, slice: int) -> int | None:
    """The slice that is asked for: -1 is the middle one; None for a file without slices."""
    if upload.slices is None:
        return None
    return upload.slices // 2 if slice == -1 else slice


def remarks(case: Case, model: Model) -> list[str]:
    """Warnings about an image that may make its counterfactuals wrong."""
    found = []
    if case.spacing is None and model.grid.unit != "px":
        found.append("The file has no spacing: that of the training images is assumed.")
    low, high = model.grid.intensity.usual
    outside = float(np.mean((case.image < low - 0.1 * (high - low)) | (case.image > high + 0.1 * (high - low))))
    if model.grid.intensity.rule is None and outside > 0.3:
        found.append(
            f"{outside:.0%} of its pixels lie outside the intensities that the model knows ({low:g} to {high:g}): "
            "check the units of its values."
        )
    return found
