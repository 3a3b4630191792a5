"""NIfTI-1 and NIfTI-2, one file an image, axes as stored."""

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from jaxtyping import Float

from segue.cohort.io.reader import Pixels, Reader
from segue.errors import InputError

MAGIC = {348: (344, b"n+1\0"), 540: (4, b"n+2\0")}
"""By the length of the header, where the name of the format is (NIfTI-1, NIfTI-2)."""
MM = {"meter": 1e3, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
"""The header's unit of length in mm; "unknown" is mm in practice."""
TOLERANCE = 0.01  # relative difference of a spacing that two parts of a header may have


def is_nifti(head: bytes) -> bool:
    """By the length and the name at the start of its header, in either byte order."""
    lengths = {int.from_bytes(head[:4], order) for order in ("little", "big")}  # type: ignore[arg-type]
    return any(head[at : at + 4] == name for length, (at, name) in MAGIC.items() if length in lengths)


def nifti_shape(path: Path) -> tuple[int, ...]:
    """The shape in the header."""
    return tuple(int(n) for n in stored_header(path).get_data_shape())


def read_nifti(path: Path, *, labels: bool) -> Pixels:
    """Values after the header's scaling, spacing and affine in mm; no affine where the header has none.

    Raises:
        InputError: the header tells two spacings, or one that is not above 0.
    """
    header = stored_header(path)
    with packed_or_not(path) as stream:
        image: Any = nifti_kind(header).from_stream(stream)
        array = np.asarray(image.dataobj)
    unit = MM.get(header.get_xyzt_units()[0], 1.0)
    sform = int(header["sform_code"]) > 0  # nibabel's affine is the sform, or else made of the qform and pixdim
    spacing = tuple(mm * unit for mm in checked_spacing(path, header, image.affine if sform else None))
    if not sform and int(header["qform_code"]) == 0:
        return Pixels(array, spacing)
    affine = np.diag([unit, unit, unit, 1.0]) @ image.affine
    return Pixels(array, spacing, nibabel.aff2axcodes(image.affine), affine)


def packed_or_not(path: Path) -> Any:
    """The file's bytes, decompressed where they are packed, whatever it is called."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")


def nifti_kind(header: Any) -> Any:
    """nibabel's class of images with such a header."""
    return nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image


def stored_header(path: Path) -> Any:
    """The header as stored: nibabel's own reading makes a spacing of 0 one of 1 mm, and a negative one positive."""
    with packed_or_not(path) as stream:
        start = stream.read(4)
        length = min(int.from_bytes(start, order) for order in ("little", "big"))  # type: ignore[arg-type]
        kind: Any = nibabel.Nifti2Header if length == 540 else nibabel.Nifti1Header
        content = start + stream.read(length - 4)
    return kind(content, check=False)


def checked_spacing(path: Path, header: Any, affine: Float[np.ndarray, "4 4"] | None) -> tuple[float, ...]:
    """mm per pixel of each axis, in the header's unit, on which pixdim and the sform (`affine`) agree to 1%.

    A pixdim that is 0 or not a number says nothing: the sform holds where there is one.
    """
    dims = len(header.get_data_shape())
    told = np.array(header["pixdim"][1 : dims + 1], dtype=float)
    space = min(dims, 3)
    silent = ~np.isfinite(told[:space]) | (told[:space] == 0)
    if affine is None:
        if silent.any() or (told[:space] < 0).any():
            raise InputError(f"{path}: the header's spacing is {in_brackets(told[:space])}; correct it to mm per pixel")
        return tuple(told.tolist())
    sides = np.linalg.norm(affine[:3, :space], axis=0)
    if not (np.isfinite(sides).all() and (sides > 0).all()):
        raise InputError(f"{path}: the header's sform has the spacing {in_brackets(sides)}; correct it")
    if not (silent | np.isclose(told[:space], sides, rtol=TOLERANCE)).all():
        found = f"{in_brackets(told[:space])} by pixdim and {in_brackets(sides)} by the sform"
        raise InputError(f"{path}: the header's spacing is {found}; correct one of them")
    return (*np.where(silent, sides, told[:space]).tolist(), *told[space:].tolist())


def in_brackets(numbers: Float[np.ndarray, " axis"]) -> str:
    """Numbers as text.

    >>> in_brackets(np.array([0.5, 1.0]))
    '(0.5, 1)'
    """
    return f"({', '.join(f'{number:g}' for number in numbers)})"


NIFTI = Reader("NIfTI", (".nii.gz", ".nii"), is_nifti, nifti_shape, read_nifti)
