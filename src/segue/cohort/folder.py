"""A cohort in a folder: `images/` and `masks/` with files of the same names, and optionally `table.csv`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from segue.cohort.alignment import aligned
from segue.cohort.io import decode_image, decode_labels, image_files, place_pixels, to_grid
from segue.cohort.placement import check_axes
from segue.cohort.record import Record
from segue.cohort.table import TableRow, read_table
from segue.errors import InputError


@dataclass(frozen=True)
class CohortFile:
    """The files of a record, and what is known of it before they are decoded."""

    id: str
    subject: str
    image: Path
    mask: Path
    spacing: tuple[float, ...] | None
    covariates: dict[str, float]


def read_folder(
    folder: Path,
    *,
    structures: dict[str, int],
    size: tuple[int, ...],
    subject_pattern: str | None = None,
    covariates: tuple[str, ...] = (),
    axes: str | None = None,
    resample_masks: bool = False,
) -> Iterator[Record]:
    """Read a folder of images and masks, one image in memory at a time, in the order of their names.

    `images/NAME` and `masks/NAME` are PNG, NIfTI or DICOM. Names, the table and the arguments are checked at the call,
    and each file when the iteration reaches it.

    Args:
        folder: holds `images/`, `masks/` and optionally `table.csv` (see `read_table`).
        structures: the label of each structure in the masks; every other label is background.
        size: of the grid onto which images and masks are averaged, two entries or three.
        subject_pattern: regular expression searched in the name; its first group, or else the whole match, is
            the subject. A column `subject` of the table has precedence; with neither, each image is a subject.
        covariates: columns of the table to keep.
        axes: into which images and masks are turned (`segue.cohort.placement`); None: as stored.
        resample_masks: whether a mask on another grid than its image is brought to it (`segue.cohort.alignment`).

    Raises:
        InputError: one line that names the file and what to do.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for kind, values in (("images", [[10, 20]]), ("masks", [[0, 3]])):
    ...     (folder / kind).mkdir()
    ...     Image.fromarray(np.array(values, np.uint8)).save(folder / kind / "p1.png")
    >>> (record,) = read_folder(folder, structures={"heart": 3}, size=(1, 2))
    >>> record.id, record.image.tolist(), record.fractions.tolist()
    ('p1', [[[10.0, 20.0]]], [[[0.0, 1.0]]])
    """
    _check_arguments(structures, size)
    cases = list_folder(folder, size=size, subject_pattern=subject_pattern, covariates=covariates)
    return _read_cases(cases, structures, size, axes and check_axes(axes, len(size)), resample_masks)


def list_folder(
    folder: Path,
    *,
    size: tuple[int, ...],
    subject_pattern: str | None = None,
    covariates: tuple[str, ...] = (),
) -> list[CohortFile]:
    """The cases of a folder in the order of their names; no image is decoded (see `read_folder` for the arguments).

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for kind in ("images", "masks"):
    ...     (folder / kind).mkdir()
    ...     _ = (folder / kind / "p1_slice2.png").write_bytes(b"any content")
    >>> [(case.id, case.subject) for case in list_folder(folder, size=(4, 4), subject_pattern="^p[0-9]+")]
    [('p1_slice2', 'p1')]
    """
    folder = Path(folder)
    pattern = _compile(subject_pattern)
    images, masks = _files(folder / "images"), _files(folder / "masks")
    for name in images.keys() - masks.keys():
        raise InputError(f"{images[name]}: has no mask; add {folder / 'masks' / name}.png or .nii.gz")
    for name in masks.keys() - images.keys():
        raise InputError(f"{masks[name]}: has no image; add {folder / 'images' / name}.png or .nii.gz")
    table = read_table(folder / "table.csv", names=sorted(images), dims=len(size), covariates=covariates)
    return [
        _case(images[name], masks[name], name, table.get(name, TableRow()), pattern) for name in sorted(images)
    ]


def _check_arguments(structures: dict[str, int], size: tuple[int, ...]) -> None:
    if len(size) not in (2, 3) or min(size) < 1:
        raise InputError(f"size: {list(size)} is not a grid; give two or three positive whole numbers")
    if not structures:
        raise InputError("structures: none is given; name at least one with its label in the masks")
    if 0 in structures.values() or len(set(structures.values())) < len(structures):
        raise InputError(
            f"structures: the labels are {list(structures.values())}; give each its own, other than 0"
        )


def _compile(subject_pattern: str | None) -> re.Pattern[str] | None:
    try:
        return None if subject_pattern is None else re.compile(subject_pattern)
    except re.error as error:
        raise InputError(
            f"subject_pattern: {subject_pattern!r} is not a regular expression ({error}); correct it"
        ) from error


def _files(folder: Path) -> dict[str, Path]:
    """The image files of a cohort's folder by name; none of them is empty."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; a cohort has images/ and masks/")
    files = image_files(folder)
    for path in files.values():
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; export it again")
    return files


def _case(image: Path, mask: Path, name: str, row: TableRow, pattern: re.Pattern[str] | None) -> CohortFile:
    subject = row.subject
    if subject is None:
        subject = name if pattern is None else _match(pattern, name, image)
    return CohortFile(name, subject, image, mask, row.spacing, row.covariates)


def _match(pattern: re.Pattern[str], name: str, image: Path) -> str:
    match = pattern.search(name)
    subject = match and match[1 if pattern.groups else 0]
    if not subject:
        raise InputError(
            f"{image}: subject_pattern {pattern.pattern!r} finds no subject in {name!r}; correct it"
        )
    return subject


def _read_cases(
    cases: list[CohortFile], structures: dict[str, int], size: tuple[int, ...], axes: str | None, resample_masks: bool
) -> Iterator[Record]:
    unseen = set(structures)
    for case in cases:
        record = _read_case(case, structures, size, axes, resample_masks)
        unseen -= {
            name for name, fraction in zip(structures, record.fractions, strict=True) if fraction.any()
        }
        if case is cases[-1]:  # checked before the last record: a caller that counts records stops after it
            _check_seen(unseen, cases, structures)
        yield record


def _check_seen(unseen: set[str], cases: list[CohortFile], structures: dict[str, int]) -> None:
    for name in structures:
        if name in unseen:
            raise InputError(
                f"{cases[0].mask.parent}: no mask holds structure {name!r} (label {structures[name]}); "
                "correct its label"
            )


def _read_case(
    case: CohortFile, structures: dict[str, int], size: tuple[int, ...], axes: str | None, resample_masks: bool
) -> Record:
    image = decode_image(case.image, len(size))
    mask = aligned(case.mask, decode_labels(case.mask, len(size)), image, resample=resample_masks)
    place = place_pixels(case.image, image, axes=axes, spacing=case.spacing)
    return Record(
        id=case.id,
        subject=case.subject,
        image=to_grid(place.to_study(image.array), size)[None],
        fractions=area_fractions(place.to_study(mask.array), tuple(structures.values()), size),
        spacing=place.spacing_on(size),
        covariates=case.covariates,
        axes=place.axes(axes),
    )


def area_fractions(
    labels: np.ndarray, values: tuple[int, ...], size: tuple[int, ...]
) -> Float32[np.ndarray, "structures *space"]:
    """Share of each pixel of the new grid that each label covers."""
    return np.stack([to_grid(labels == value, size) for value in values])
