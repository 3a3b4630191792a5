"""NIfTI-1 and NIfTI-2, one file an image, axes as stored."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from segue.cohort.io.reader import Pixels, Reader

MAGIC = {348: (344, b"n+1\0"), 540: (4, b"n+2\0")}
"""By the length of the header, where the name of the format is (NIfTI-1, NIfTI-2)."""
MM = {"meter": 1e3, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
"""The header's unit of length in mm; "unknown" is mm in practice."""


def is_nifti(head: bytes) -> bool:
    """By the length and the name at the start of its header, in either byte order."""
    lengths = {int.from_bytes(head[:4], order) for order in ("little", "big")}  # type: ignore[arg-type]
    return any(head[at : at + 4] == name for length, (at, name) in MAGIC.items() if length in lengths)


def nifti_shape(path: Path) -> tuple[int, ...]:
    """The shape in the header."""
    return tuple(int(n) for n in nibabel.load(path).shape)  # type: ignore[attr-defined]


def read_nifti(path: Path, *, labels: bool) -> Pixels:
    """Values after the header's scaling, spacing and affine in mm."""
    image: Any = nibabel.load(path)
    unit = MM.get(image.header.get_xyzt_units()[0], 1.0)
    spacing = tuple(float(zoom) * unit for zoom in image.header.get_zooms())
    affine = np.diag([unit, unit, unit, 1.0]) @ image.affine
    return Pixels(np.asarray(image.dataobj), spacing, nibabel.aff2axcodes(image.affine), affine)


NIFTI = Reader("NIfTI", (".nii.gz", ".nii"), is_nifti, nifti_shape, read_nifti)
