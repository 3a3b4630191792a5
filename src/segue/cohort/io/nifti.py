"""NIfTI-1 and NIfTI-2, one file an image, axes as stored."""

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from segue.cohort.io.limits import check_decoded, read_to_end
from segue.cohort.io.reader import Pixels, Reader
from segue.errors import InputError

GZIP = b"\x1f\x8b"
"""The first bytes of a file that gzip compressed."""
DEFLATED = 1100  # no stream of deflate inflates to more than 1,032 times its length
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

    A compressed file is read to its end, where its checksum is.

    Raises:
        InputError: the header tells two spacings, or one that is not above 0; or it promises more than the file can
            hold, or than is allowed.
    """
    import nibabel

    header = stored_header(path)
    check_sizes(path, header)
    with packed_or_not(path) as stream:
        image: Any = nifti_kind(header).from_stream(stream)
        array = np.asarray(image.dataobj)
        read_to_end(path, stream, array.nbytes)
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
        packed = stream.read(2) == GZIP
    return gzip.open(path) if packed else path.open("rb")


def check_sizes(path: Path, header: Any) -> None:
    """Refuse values or header extensions that are larger than allowed, or than the file can be."""
    shape, stored = header.get_data_shape(), header.get_data_dtype().itemsize
    scaled = tuple(header.get_slope_inter()) not in ((None, None), (1.0, 0.0))
    start = int(header["vox_offset"])
    check_decoded(path, shape, 8 if scaled else stored, further=start)
    check_extensions(path, header, start)
    with path.open("rb") as stream:
        times = DEFLATED if stream.read(2) == GZIP else 1
    if start + math.prod(shape) * stored > path.stat().st_size * times:
        raise InputError(f"{path}: is cut off: its header promises more than the file can hold; copy it again")


def check_extensions(path: Path, header: Any, start: int) -> None:
    """Refuse header extensions that do not end where the values begin: nibabel reads as much as each of them claims."""
    order: Any = "little" if header.endianness == "<" else "big"
    with packed_or_not(path) as stream:
        stream.seek(int(header["sizeof_hdr"]))
        if stream.read(4)[:1] in (b"", b"\0"):
            return
        left = start - stream.tell()
        while left >= 16:
            size = int.from_bytes(stream.read(8)[:4], order, signed=True)
            if not 8 <= size <= left:
                break
            stream.seek(size - 8, 1)
            left -= size
        if not 0 <= left < 16:
            raise InputError(f"{path}: is damaged: its header extensions do not end where its values begin")


def nifti_kind(header: Any) -> Any:
    """nibabel's class of images with such a header."""
    import nibabel

    return nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image


def stored_header(path: Path) -> Any:
    """The header as stored: nibabel's own reading makes a spacing of 0 one of 1 mm, and a negative one positive."""
    import nibabel

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
