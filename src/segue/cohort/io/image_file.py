"""One image file to an array: pixels or labels, their spacing, and where they lie in space."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Shaped

from segue.cohort.io.limits import decoding
from segue.cohort.io.reader import Pixels, Reader
from segue.cohort.io.readers import READERS, reader_of
from segue.cohort.placement import Placement, placement
from segue.cohort.resample import area_resample
from segue.errors import InputError


def stamp(path: Path) -> list[Any]:
    """What identifies a file's content without reading it: name, size and time of its last change (None if not there).

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.png"
    >>> _ = file.write_bytes(b"12345")
    >>> stamp(file)[:2]
    ['a.png', 5]
    """
    try:
        found = path.stat()
    except OSError:  # a link to nothing: whoever reads it says so
        return [path.name, None, None]
    return [path.name, found.st_size, found.st_mtime_ns]


def read_image(
    path: Path, size: tuple[int, ...], *, slice: int | None = None
) -> tuple[Float32[np.ndarray, "1 *space"], tuple[float, ...] | None]:
    """Read an image file, averaged onto a grid of the given size.

    Args:
        path: PNG, NIfTI, DICOM, JPEG, TIFF, NumPy, MetaImage or NRRD, axes as stored; colour becomes luminance.
        size: of the result, two entries or three.
        slice: of a file with one axis more than `size`, the place along its last axis, counted from 0.

    Returns:
        The image (1, *size) in the file's own units, and mm per pixel of the result (None for a PNG).

    Raises:
        InputError: the file is missing, empty, corrupt, not finite, or does not have `len(size)` axes.

    >>> import tempfile
    >>> from PIL import Image
    >>> file = Path(tempfile.mkdtemp()) / "a.png"
    >>> Image.fromarray(np.array([[10, 20], [30, 40]], np.uint8)).save(file)
    >>> image, spacing = read_image(file, (1, 2))
    >>> image.tolist(), spacing
    ([[[20.0, 30.0]]], None)
    """
    found = place_image(Path(path), size, slice=slice)
    return found.image, found.placement.spacing_on(size)


@dataclass(frozen=True)
class PlacedImage:
    """An image file on a study's grid.

    Attributes:
        image: averaged onto the grid, in the file's own units.
        placement: how it lies in the file.

    >>> PlacedImage(np.zeros((1, 4, 4), np.float32), placement((8, 8))).image.shape
    (1, 4, 4)
    """

    image: Float32[np.ndarray, "1 *space"]
    placement: Placement


def place_image(
    path: Path,
    size: tuple[int, ...],
    *,
    axes: str | None = None,
    slice: int | None = None,
    spacing: tuple[float, ...] | None = None,
) -> PlacedImage:
    """Read an image onto a study's grid, in the study's axes: what everything that takes a file does with it.

    Args:
        size, slice: see `read_image`. axes: of the study (`segue.cohort.placement`); None: as stored.
        spacing: mm per pixel of the file, where it is known better than the file knows it.

    Raises:
        InputError: as `read_image`, and where the file's plane is another than that of the axes.

    >>> import tempfile, nibabel
    >>> file = Path(tempfile.mkdtemp()) / "a.nii"
    >>> stored = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    >>> nibabel.save(nibabel.Nifti1Image(stored, np.diag([-1.0, 1.0, 1.0, 1.0])), file)
    >>> place_image(file, (2, 2), axes="RA").image.tolist()
    [[[3.0, 4.0], [1.0, 2.0]]]
    """
    pixels = decode_image(path, len(size), slice=slice)
    found = place_pixels(path, pixels, axes=axes, spacing=spacing)
    return PlacedImage(to_grid(found.to_study(pixels.array), size)[None], found)


def place_pixels(
    path: Path, pixels: Pixels, *, axes: str | None = None, spacing: tuple[float, ...] | None = None
) -> Placement:
    """The placement of a decoded file (see `place_image`); `path` is for messages.

    >>> place_pixels(Path("a.png"), Pixels(np.zeros((2, 3)))).order
    (0, 1)
    """
    try:
        mm = spacing or pixels.spacing
        return placement(pixels.array.shape, spacing=mm, affine=pixels.affine, axes=axes)
    except InputError as error:
        raise InputError(f"{path}: {error}; give another slice or volume") from None


def to_grid(array: Shaped[np.ndarray, "*space"], size: tuple[int, ...]) -> Float32[np.ndarray, "*size"]:
    """`area_resample`, in single precision.

    >>> to_grid(np.array([[1, 2], [3, 6]]), (1, 1)).item()
    3.0
    """
    return area_resample(array, size).astype(np.float32, copy=False)


def decode_image(path: Path, dims: int, *, slice: int | None = None) -> Pixels:
    """Intensities of an image, on the grid of the file; colour becomes luminance (ITU-R 601).

    Args:
        dims: the number of axes that the image must have. slice: see `read_image`.

    Raises:
        InputError: as `read_image`.

    >>> import tempfile
    >>> from PIL import Image
    >>> file = Path(tempfile.mkdtemp()) / "a.png"
    >>> Image.fromarray(np.array([[0, 255]], np.uint8)).save(file)
    >>> decode_image(file, dims=2).array.tolist()
    [[0, 255]]
    """
    pixels = _decode(path, [dims + (slice is not None)], READERS, labels=False)
    if slice is not None:
        pixels = _slice(path, pixels, slice)
    return all_finite(path, pixels)


def all_finite(path: Path, pixels: Pixels) -> Pixels:
    """The same pixels.

    Raises:
        InputError: a value is not finite as the networks take it.
    """
    if not np.isfinite(in_single(pixels.array)).all():
        raise InputError(f"{path}: holds values that are not finite in single precision; replace NaN and infinity")
    return pixels


def in_single(array: Shaped[np.ndarray, "*space"]) -> Float32[np.ndarray, "*space"]:
    """Values as the networks take them; those beyond single precision, such as -1.7e308 for no data, are infinite.

    >>> in_single(np.array([1.5, -1.7e308])).tolist()
    [1.5, -inf]
    """
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def decode_labels(path: Path, dims: int | None = None, *, readers: Sequence[Reader] = READERS) -> Pixels:
    """Labels of a mask, on the grid of the file; of a palette PNG the indices are the labels.

    Args:
        dims: the number of axes that the mask must have; two or three without.
        readers: of the formats that it may have.

    Raises:
        InputError: the file is missing, empty, corrupt, of other dimensions, or holds values that are no labels.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "mask.npy"
    >>> np.save(file, np.array([[0, 3]]))
    >>> decode_labels(file).array.tolist()
    [[0, 3]]
    """
    pixels = _decode(path, [2, 3] if dims is None else [dims], readers, labels=True)
    if not np.array_equal(pixels.array, np.rint(pixels.array)):
        raise InputError(
            f"{path}: a mask holds whole-number labels, this one has fractions; export it as labels"
        )
    return pixels


def _decode(path: Path, dims: Sequence[int], readers: Sequence[Reader], *, labels: bool) -> Pixels:
    """What a file holds, once it is known to be an image with one of the numbers of axes in `dims`."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    reader = reader_of(path, readers)
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; export it again")
    with decoding(path):
        pixels = _without_trailing_axes(reader.read(path, labels=labels), dims[0])
    if pixels.array.dtype.kind not in "biuf":
        raise InputError(f"{path}: holds {pixels.array.dtype}, not grey values; export it as one channel")
    if pixels.spacing is not None and not all(np.isfinite(mm) and mm > 0 for mm in pixels.spacing):
        raise InputError(f"{path}: the header's spacing is {pixels.spacing}; correct it to mm per pixel")
    if pixels.array.ndim not in dims:
        found = f"has {pixels.array.ndim} axes {pixels.array.shape}"
        if len(dims) > 1:
            raise InputError(f"{path}: {found}; give a 2-D or 3-D image")
        raise InputError(f"{path}: {found}, but size has {dims[0]} entries; give size one entry per axis")
    return pixels


def _without_trailing_axes(pixels: Pixels, dims: int) -> Pixels:
    """A slice is often stored as (H, W, 1): axes of length 1 beyond the wanted ones are dropped."""
    array = pixels.array
    while array.ndim > dims and array.shape[-1] == 1:
        array = array[..., 0]
    return replace(pixels, array=array, spacing=pixels.spacing and pixels.spacing[: array.ndim])


def _slice(path: Path, pixels: Pixels, index: int) -> Pixels:
    """One slice along the last axis, where it lies in space; a fourth axis is none of space."""
    count = pixels.array.shape[-1]
    if not 0 <= index < count:
        raise InputError(f"{path}: has {count} slices, no slice {index}; give a number from 0 to {count - 1}")
    spacing = pixels.spacing[:-1] if pixels.spacing else None
    affine: Float[np.ndarray, "4 4"] | None = None
    if pixels.affine is not None:
        affine = pixels.affine.copy()
        if pixels.array.ndim == 3:
            affine[:3, 3] += index * affine[:3, 2]
    return Pixels(pixels.array[..., index], spacing, pixels.axes, affine)
