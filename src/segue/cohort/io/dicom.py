"""DICOM: rescaled values, spacing and geometry. pydicom is imported only where there is such a file."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from segue.cohort.io.reader import Pixels, Reader
from segue.errors import InputError

LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])  # left and posterior are positive in DICOM, negative in NIfTI


def is_dicom(head: bytes) -> bool:
    """By the prefix after the preamble."""
    return head[128:132] == b"DICM"


def dicom_shape(path: Path) -> tuple[int, ...]:
    """(row, column), and the frames last where there are several.

    Raises:
        InputError: pydicom is not installed.
    """
    header = _open(path, stop_before_pixels=True)
    frames = int(header.get("NumberOfFrames", 1) or 1)
    return (int(header.Rows), int(header.Columns), *([frames] if frames > 1 else []))


def read_dicom(path: Path, *, labels: bool) -> Pixels:
    """Rows, columns, and frames last where there are several; values after rescaling (of CT, Hounsfield units).

    Raises:
        InputError: pydicom is not installed, or the pixels are in colour or compressed in a way that it cannot read.
    """
    dataset = _open(path, stop_before_pixels=False)
    if int(dataset.get("SamplesPerPixel", 1)) != 1:
        raise InputError(f"{path}: is in colour, not grey values; export it as one channel")
    try:
        stored = dataset.pixel_array
    except (NotImplementedError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: its pixels cannot be decoded ({reason}); export it uncompressed") from error
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        stored = (1 << int(dataset.BitsStored)) - 1 - stored.astype(np.int64)  # where the largest value is black
    array = stored * float(dataset.get("RescaleSlope", 1) or 1) + float(dataset.get("RescaleIntercept", 0) or 0)
    array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array
    spacing = _spacing(dataset, array.ndim)
    return Pixels(array.astype(np.float32), spacing, None, _affine(dataset, spacing))


def _open(path: Path, *, stop_before_pixels: bool) -> Any:
    try:
        import pydicom
    except ImportError:
        raise InputError(f'{path}: to read DICOM, pip install "segue-counterfactual[explore]"') from None
    return pydicom.dcmread(path, stop_before_pixels=stop_before_pixels)


def _spacing(dataset: Any, dims: int) -> tuple[float, ...] | None:
    """mm along rows, columns and frames; None where the file lacks one of them."""
    pixel = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing")
    between = dataset.get("SpacingBetweenSlices") or dataset.get("SliceThickness")
    if not pixel or (dims == 3 and not between):
        return None
    spacing = (float(pixel[0]), float(pixel[1]), *([float(between)] if dims == 3 else []))
    return spacing if all(np.isfinite(mm) and mm > 0 for mm in spacing) else None


def _affine(dataset: Any, spacing: tuple[float, ...] | None) -> Float[np.ndarray, "4 4"] | None:
    """From (row, column, frame) to mm (DICOM PS3.3, C.7.6.2.1.1), in NIfTI's directions."""
    position, directions = dataset.get("ImagePositionPatient"), dataset.get("ImageOrientationPatient")
    if spacing is None or position is None or directions is None:
        return None
    along_row, along_column = np.array(directions[:3], dtype=float), np.array(directions[3:], dtype=float)
    thickness = spacing[2] if len(spacing) > 2 else float(dataset.get("SliceThickness") or 1)
    affine = np.eye(4)
    affine[:3, 0] = along_column * spacing[0]  # from one row to the next, along a column
    affine[:3, 1] = along_row * spacing[1]
    affine[:3, 2] = np.cross(along_row, along_column) * thickness
    affine[:3, 3] = np.array(position, dtype=float)
    affine[:3] *= LPS_TO_RAS[:, None]
    return affine


DICOM = Reader("DICOM", (".dcm",), is_dicom, dicom_shape, read_dicom)
