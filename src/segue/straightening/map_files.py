"""A straightened vessel as files: NIfTI images, and a JSON file with the map, by which an edit finds its way back."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
from jaxtyping import Shaped

from segue.cohort.io import Pixels, decode_image, split_suffix
from segue.cohort.io.limits import bounded_text
from segue.cohort.io.write_file import scaled_axes, write_nifti
from segue.disk import writing
from segue.errors import InputError
from segue.files import whole_file, write_text
from segue.straightening.centreline import Centreline
from segue.straightening.geometry import check_inside
from segue.straightening.straightened import Straightened, notes_of
from segue.straightening.tube import VesselSection, make_tube

FORMAT_OF_MAP = "segue-straightened-1"
MapKind = Literal["slices", "volume"]


def write_straightened(found: Straightened, line: Centreline, out: Path, kind: MapKind, volume: str) -> list[Path]:
    """Write `slices` (one file a plane; several have the angle in their names) or `volume`, and the map beside them.

    Args:
        out: a NIfTI file. The map is of the same name, with the suffix `.json`. volume: the name of the volume's file.

    Raises:
        InputError: `out` is no name of a NIfTI file, or cannot be written.
    """
    stem, suffix = split_suffix(out.name)
    if suffix not in (".nii", ".nii.gz"):
        raise InputError(f"{out}: straightened images are NIfTI; name a file that ends in .nii.gz")
    angles = np.rad2deg(found.tube.section.angles)
    single = kind == "volume" or len(angles) == 1
    names = [out.name] if single else [f"{stem}_{angle:05.1f}{suffix}" for angle in angles]
    images = [found.volume] if kind == "volume" else list(found.slices)
    across, along = found.spacing
    spacing = (across, across, along) if kind == "volume" else (across, along)
    stated = {
        "format": FORMAT_OF_MAP,
        "volume": volume,
        "sha256": digest(found.pixels),
        "kind": kind,
        "files": names,
        "section": asdict(found.tube.section),
        "length": found.tube.curve.length,
        "centreline": {
            "space": "RAS",
            "proximal": "first",
            "points": line.points.tolist(),
            "smoothing": line.smoothing,
        },
        "notes": list(found.notes),
    }
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    for name, image in zip(names, images, strict=True):
        with whole_file(out.parent / name) as partial:
            write_nifti(partial, image, scaled_axes(spacing))
    write_text(map_of(out), json.dumps(stated, indent=1))
    return [out.parent / name for name in names]


def map_of(out: Path) -> Path:
    """The map beside a straightened image.

    >>> map_of(Path("out/lad.nii.gz")).name
    'lad.json'
    """
    return out.with_name(split_suffix(out.name)[0] + ".json")


def digest(pixels: Pixels) -> str:
    """SHA-256 of a volume's values and geometry."""
    content = hashlib.sha256(np.ascontiguousarray(pixels.array).tobytes())
    content.update(np.asarray(pixels.affine, dtype=np.float64).tobytes())
    return content.hexdigest()


def read_map(path: Path, volume: Path) -> tuple[Straightened, MapKind]:
    """A straightened vessel, once more, from its map and its volume.

    Raises:
        InputError: it is no map, is damaged, or of another volume.
    """
    try:
        stated: dict[str, Any] = json.loads(bounded_text(path))
        if stated["format"] != FORMAT_OF_MAP:
            raise KeyError("format")
        points, smoothing = np.array(stated["centreline"]["points"], dtype=float), stated["centreline"]["smoothing"]
        line, section = Centreline.of(points, proximal="first", smoothing=smoothing), VesselSection(**stated["section"])
        kind, mark = stated["kind"], stated["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise InputError(f"{path}: no map of a straightened vessel ({reason}); give the .json beside it") from None
    pixels = decode_image(volume, 3)
    if pixels.affine is None or digest(pixels) != mark:
        raise InputError(f"{volume}: is not what {path.name} was made of; give that volume ({stated['volume']})")
    check_inside(pixels, line, str(volume))
    tube = make_tube(line, section)
    return Straightened(pixels, tube, notes_of(tube)), kind


def read_edits(paths: Sequence[Path], kind: MapKind) -> Shaped[np.ndarray, "*image"]:
    """Edited slices, in the order of the map's files, or an edited straightened volume.

    Raises:
        InputError: a file cannot be read, or their sizes differ.
    """
    if kind == "volume":
        if len(paths) != 1:
            raise InputError(f"--back: {len(paths)} files; the straightened volume is one")
        return decode_image(paths[0], 3).array
    images = [decode_image(path, 2).array for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape != images[0].shape:
            raise InputError(f"{path}: is {image.shape}, {paths[0].name} is {images[0].shape}; give slices of one size")
    return np.stack(images)


def write_volume(array: Shaped[np.ndarray, "x y z"], out: Path, source: Path, pixels: Pixels) -> None:
    """Write a volume as NIfTI in its own type, with the header of its source where that is NIfTI too.

    Raises:
        InputError: `out` is no name of a NIfTI file, or cannot be written.
    """
    if split_suffix(out.name)[1] not in (".nii", ".nii.gz"):
        raise InputError(f"{out}: the volume is written as NIfTI; name a file that ends in .nii.gz")
    header, affine = None, np.asarray(pixels.affine)
    if split_suffix(source.name)[1] in (".nii", ".nii.gz"):
        loaded: Any = nibabel.load(source)
        header, affine = loaded.header.copy(), loaded.affine
        header.set_data_dtype(array.dtype)
    image = nibabel.Nifti1Image(array, affine, header, dtype=array.dtype)
    if header is None:
        image.header.set_xyzt_units("mm")
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out) as partial:
        nibabel.save(image, partial)
