"""One image file, PNG, NIfTI or DICOM, to an array: pixels, labels, spacing, and where they lie."""

import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Float, Float32, Shaped
from PIL import Image

from segue.cohort.io.dicom import read_dicom
from segue.cohort.io.pixels import Pixels
from segue.cohort.resample import area_resample
from segue.errors import InputError

SUFFIXES = (".nii.gz", ".nii", ".png", ".dcm")

# NIfTI says in which unit its spacing is; "unknown" is mm in practice.
_MM = {"meter": 1e3, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}


def split_suffix(name: str) -> tuple[str, str]:
    """Stem and suffix of a file's name; the suffix is "" where the format is not one that is read."""
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


def image_files(folder: Path) -> dict[str, Path]:
    """The image files of a folder by stem, in the order of the stems; hidden files and other formats are passed over.

    Raises:
        InputError: there are none, or two have one stem.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem, suffix = split_suffix(path.name)
        if not suffix or path.name.startswith("."):
            continue
        if stem in files:
            raise InputError(f"{path}: has the same name as {files[stem].name}; keep one of them")
        files[stem] = path
    if not files:
        raise InputError(f"{folder}: holds no images; add files ending in {', '.join(SUFFIXES)}")
    return dict(sorted(files.items()))


def stamp(path: Path) -> list[Any]:
    """What identifies a file's content without reading it."""
    return [path.name, path.stat().st_size, path.stat().st_mtime_ns]


def read_image(
    path: Path, size: tuple[int, ...], *, slice: int | None = None
) -> tuple[Float32[np.ndarray, "1 *space"], tuple[float, ...] | None]:
    """Read a PNG, NIfTI or DICOM image, averaged onto a grid of the given size.

    Args:
        path: PNG (8 or 16 bits; colour becomes luminance), NIfTI (`.nii`, `.nii.gz`) or DICOM (`.dcm`), axes as stored.
        size: of the result, two entries or three.
        slice: of a file with one axis more than `size`, the place along its last axis, counted from 0.

    Returns:
        The image (1, *size) in the file's own units, and mm per pixel of the result (None for a PNG).

    Raises:
        InputError: the file is missing, empty, corrupt, not finite, or does not have `len(size)` axes.
    """
    pixels = decode_image(Path(path), len(size), slice=slice)
    return to_grid(pixels.array, size)[None], spacing_on_grid(pixels.spacing, pixels.array.shape, size)


def to_grid(array: Shaped[np.ndarray, "*space"], size: tuple[int, ...]) -> Float32[np.ndarray, "*size"]:
    """`area_resample`, in single precision."""
    return area_resample(array, size).astype(np.float32, copy=False)


def spacing_on_grid(
    spacing: tuple[float, ...] | None, shape: tuple[int, ...], size: tuple[int, ...]
) -> tuple[float, ...] | None:
    """mm per pixel once an image of `shape` is on a grid of `size`: the field of view stays."""
    if spacing is None:
        return None
    return tuple(mm * old / new for mm, old, new in zip(spacing, shape, size, strict=True))


def decode_image(path: Path, dims: int, *, slice: int | None = None) -> Pixels:
    """Intensities of an image, on the grid of the file; colour becomes luminance (ITU-R 601)."""
    pixels = _decode(path, dims + (slice is not None), labels=False)
    if slice is not None:
        pixels = _slice(path, pixels, slice)
    if not np.isfinite(pixels.array).all():
        raise InputError(f"{path}: holds values that are not finite; replace NaN and infinity")
    return pixels


def decode_labels(path: Path, dims: int) -> Pixels:
    """Labels of a mask, on the grid of the file; of a palette PNG the indices are the labels."""
    pixels = _decode(path, dims, labels=True)
    if not np.array_equal(pixels.array, np.rint(pixels.array)):
        raise InputError(
            f"{path}: a mask holds whole-number labels, this one has fractions; export it as labels"
        )
    return pixels


def _decode(path: Path, dims: int, *, labels: bool) -> Pixels:
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    suffix = split_suffix(path.name)[1]
    if not suffix:
        raise InputError(f"{path}: not a format that is read; convert it to PNG, NIfTI or DICOM")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; export it again")
    try:
        if suffix == ".png":
            pixels = _read_png(path, labels)
        else:
            pixels = read_dicom(path) if suffix == ".dcm" else _read_nifti(path, dims)
    except InputError:
        raise
    except Exception as error:  # a damaged file makes a decoder raise nearly anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{path}: cannot be decoded ({reason}); export it again") from error
    if pixels.array.ndim != dims:
        raise InputError(
            f"{path}: has {pixels.array.ndim} axes {pixels.array.shape}, but size has {dims} entries; "
            "give size one entry per axis"
        )
    return pixels


def _slice(path: Path, pixels: Pixels, index: int) -> Pixels:
    """One slice along the last axis, where it lies in space."""
    count = pixels.array.shape[-1]
    if not 0 <= index < count:
        raise InputError(f"{path}: has {count} slices, no slice {index}; give a number from 0 to {count - 1}")
    spacing = pixels.spacing[:-1] if pixels.spacing else None
    affine: Float[np.ndarray, "4 4"] | None = None
    if pixels.affine is not None:
        affine = pixels.affine.copy()
        affine[:3, 3] += index * affine[:3, 2]
    return Pixels(pixels.array[..., index], spacing, pixels.axes, affine)


def _read_png(path: Path, labels: bool) -> Pixels:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=["PNG"]) as image:
                image.load()
                if labels and image.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
                    raise InputError(
                        f"{path}: is {image.mode}, but a mask has one channel; save it as 8-bit grey labels"
                    )
                if not labels and image.mode in ("P", "RGB", "RGBA", "LA"):
                    return Pixels(np.asarray(image.convert("L")))
                return Pixels(np.asarray(image))
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{path}: has too many pixels to be decoded safely; shrink it or store it as NIfTI"
        ) from error


def _read_nifti(path: Path, dims: int) -> Pixels:
    image: Any = nib.load(path)
    array = np.asarray(image.dataobj)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{path}: holds {array.dtype}, not grey values; export it as one channel")
    # A slice is often stored as (H, W, 1): axes of length 1 beyond the asked-for ones say nothing.
    while array.ndim > dims and array.shape[-1] == 1:
        array = array[..., 0]
    unit = _MM.get(image.header.get_xyzt_units()[0], 1.0)
    spacing = tuple(float(zoom) * unit for zoom in image.header.get_zooms()[: array.ndim])
    if not all(np.isfinite(mm) and mm > 0 for mm in spacing):
        raise InputError(f"{path}: the header's spacing is {spacing}; correct it to mm per pixel")
    return Pixels(array, spacing, nib.aff2axcodes(image.affine), np.diag([unit, unit, unit, 1.0]) @ image.affine)
