"""An answer written as the file that its image came from: same grid, geometry and type; what is unchanged, bit for bit.

What is written is the file's stored values plus a change in its units. PNG keeps its depth and its mode, NIfTI its
header, DICOM its attributes (`segue.cohort.io.dicom_answer`). A slice goes back into its volume.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from PIL import Image

from segue.cohort.io.dicom_answer import DicomAnswer, write_dicom
from segue.cohort.io.readers import split_suffix, suffix_by_content
from segue.cohort.io.write_file import to_bits, write_nifti
from segue.cohort.origin import Origin

__all__ = ["answer_suffix", "write_changed", "write_map"]

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
"""Files whose answers are PNG: of those that lose values when they are written again, too."""
WRITTEN_AS = {"P": "RGB", "PA": "RGBA", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA"}
"""Pillow's modes of images that are read as luminance, and what they are written as."""


def answer_suffix(file: Path) -> str:
    """The suffix of an answer to an image of this file: its own, PNG for other pictures, NIfTI for all else.

    >>> [answer_suffix(Path(name)) for name in ("a.png", "a.jpg", "a.nii", "a.nii.gz", "a.dcm", "a.mha")]
    ['.png', '.png', '.nii', '.nii.gz', '.dcm', '.nii.gz']
    """
    suffix = split_suffix(file.name)[1] or (suffix_by_content(file) if file.is_file() else file.suffix.lower())
    if suffix in PICTURES:
        return ".png"
    return suffix if suffix in WRITERS else ".nii.gz"


def write_changed(
    origin: Origin, change: Float[np.ndarray, "*space"], path: Path, *, about: DicomAnswer | None = None
) -> None:
    """Write the file of `origin` with a change of its image.

    Args:
        change: in the file's units, on the file's pixels, in the study's axes.
        path: to write; its suffix is `answer_suffix` of the file.
        about: what DICOM says of the answer.

    Raises:
        InputError: DICOM that cannot be written.

    >>> import tempfile
    >>> from segue.cohort.placement import placement
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.fromarray(np.array([[10, 250]], np.uint8)).save(folder / "a.png")
    >>> write_changed(Origin(folder / "a.png", placement((1, 2))), np.array([[0.0, 9.7]]), folder / "b.png")
    >>> np.asarray(Image.open(folder / "b.png")).tolist()
    [[10, 255]]
    """
    stored = origin.placement.to_file(change)
    if answer_suffix(origin.file) == ".dcm":
        write_dicom(origin, stored, path, about or DicomAnswer())
        return
    source = split_suffix(origin.file.name)[1] or suffix_by_content(origin.file)
    WRITERS.get(source, write_decoded)(origin, stored, path)


def write_png(origin: Origin, change: Float[np.ndarray, "height width"], path: Path) -> None:
    """8 or 16 bits as stored; in colour, each of red, green and blue changes as the luminance does."""
    with Image.open(origin.file, formats=["PNG"]) as image:
        mode = WRITTEN_AS.get(image.mode)
        pixels = np.asarray(image.convert(mode) if mode else image)
    if mode is None:
        bits = 16 if pixels.dtype.itemsize > 1 else 8
        Image.fromarray(to_bits(pixels + np.rint(change), bits=bits)).save(path)
        return
    colours = pixels.shape[-1] - mode.endswith("A")  # the last channel is how opaque a pixel is
    changed = pixels.astype(np.float64)
    changed[..., :colours] += np.rint(change)[..., None]
    Image.fromarray(to_bits(changed, bits=8), mode=mode).save(path)


def write_same_nifti(origin: Origin, change: Float[np.ndarray, "*file"], path: Path) -> None:
    """The header as it is: geometry, units, type of the values and their scaling; whole numbers are rounded."""
    import nibabel

    source: Any = nibabel.load(origin.file)
    slope, inter = source.dataobj.slope, source.dataobj.inter
    stored = np.array(source.dataobj.get_unscaled())
    view = stored if origin.slice is None else stored[(slice(None),) * change.ndim + (origin.slice,)]
    view = view.reshape(change.shape)
    touched = change != 0
    view[touched] = in_type(view[touched] + change[touched] / slope, stored.dtype)
    written = type(source)(stored, None, header=source.header)
    written.header.set_slope_inter(slope, inter)
    nibabel.save(written, path)


def in_type(values: Float[np.ndarray, " value"], dtype: np.dtype) -> Shaped[np.ndarray, " value"]:
    """Values in another type, rounded and clipped where it holds whole numbers.

    >>> in_type(np.array([-3.0, 20.6, 300.0]), np.dtype(np.uint8)).tolist()
    [0, 21, 255]
    """
    if dtype.kind not in "iu":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.rint(values).clip(limits.min, limits.max).astype(dtype)


def write_decoded(origin: Origin, change: Float[np.ndarray, "*file"], path: Path) -> None:
    """Of a format that is not written: its values as PNG, if it is a picture, else as NIfTI."""
    from segue.cohort.io.image_file import decode_image

    values = decode_image(origin.file, change.ndim, slice=origin.slice).array
    changed = np.where(change == 0, values, values + change)
    if path.suffix == ".png":
        Image.fromarray(to_bits(changed, bits=8 if values.max() <= 255 else 16)).save(path)
    else:
        write_nifti(path, placed_in_space(origin, changed), file_affine(origin))


def write_map(origin: Origin, values: Shaped[np.ndarray, "*space"], path: Path) -> None:
    """A map on the file's pixels, such as a difference or labels, as NIfTI where the file lies; labels are uint8.

    Args:
        values: in the study's axes.
    """
    stored = placed_in_space(origin, origin.placement.to_file(values))
    write_nifti(path, stored, file_affine(origin), labels=values.dtype.kind in "iub")


def placed_in_space(origin: Origin, array: Shaped[np.ndarray, "*file"]) -> Shaped[np.ndarray, "*image"]:
    """A slice as a volume of one slice, where its place is known: ITK reads images of two axes as axial ones.

    A NIfTI file of two axes keeps them.
    """
    alike = origin.slice is None and split_suffix(origin.file.name)[1] in (".nii", ".nii.gz")
    return array if alike or array.ndim != 2 or origin.placement.affine is None else array[..., None]


def file_affine(origin: Origin) -> Float[np.ndarray, "4 4"]:
    """From indices in the file's array to mm; of a picture, as ITK has it: columns are L and rows P."""
    place = origin.placement
    if place.affine is not None:
        return place.affine
    rows, columns, *more = place.spacing or (1.0,) * len(place.shape)
    affine = np.diag([0.0, 0.0, *(more or [1.0]), 1.0])
    affine[1, 0], affine[0, 1] = -rows, -columns
    return affine


WRITERS: dict[str, Callable[[Origin, np.ndarray, Path], None]] = {
    ".png": write_png,
    ".nii": write_same_nifti,
    ".nii.gz": write_same_nifti,
    ".dcm": write_decoded,  # by `write_changed` itself, which has more to say
}
