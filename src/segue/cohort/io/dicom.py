"""DICOM files, one an image or with several frames. pydicom is imported only where there is such a file."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from segue.cohort.io.codestream import check_codestreams
from segue.cohort.io.dicom_frame import Frame, frame_geometry
from segue.cohort.io.limits import check_decoded, decoding, inflate_all
from segue.cohort.io.reader import Pixels, Reader
from segue.errors import InputError

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
META_START = 128 + 4 + 12  # bytes of the preamble, of DICM, and of the element that says how long the rest of meta is


def is_dicom(head: bytes) -> bool:
    """By the prefix after the preamble."""
    return head[128:132] == b"DICM"


def dicom_shape(path: Path) -> tuple[int, ...]:
    """(row, column), and the frames last where there are several.

    Raises:
        InputError: pydicom is not installed.
    """
    return shape_in(open_dicom(path, stop_before_pixels=True))


def shape_in(header: Any) -> tuple[int, ...]:
    """`dicom_shape`, of a data set."""
    frames = int(header.get("NumberOfFrames", 1) or 1)
    return (int(header.Rows), int(header.Columns), *([frames] if frames != 1 else []))


def read_dicom(path: Path, *, labels: bool) -> Pixels:
    """Rows, columns, and frames last where there are several; values after the modality's rescaling (CT: HU).

    A window (VOI LUT) is not applied: it is a choice of how to look at an image, differs between files of one scanner,
    and would take the unit from HU. MONOCHROME1, where the largest value is black, is turned over.

    Raises:
        InputError: pydicom is not installed; the pixels are in colour, a segmentation, or compressed in a way that
            nothing here decodes; or frames do not lie at equal distances.
    """
    dataset = open_dicom(path)
    _check_grey(path, dataset)
    check_decoded(path, shape_in(dataset), 4)
    check_codestreams(path, dataset)
    try:
        stored = dataset.pixel_array
    except (NotImplementedError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        mend = 'pip install "segue-counterfactual[dicom]", or export it uncompressed'
        raise InputError(f"{path}: its pixels cannot be decoded ({reason}); {mend}") from error
    planes = stored if stored.ndim == 3 else stored[None]
    frames = [Frame(dataset, i) for i in range(len(planes))]
    array = np.stack([frame.values(plane) for frame, plane in zip(frames, planes, strict=True)], axis=-1)
    try:
        spacing, affine = frame_geometry(frames)
    except ValueError as error:
        raise InputError(f"{path}: {error}; give one image, or frames at equal distances") from None
    import nibabel

    axes = None if affine is None else nibabel.aff2axcodes(affine)
    return Pixels(array if stored.ndim == 3 else array[..., 0], spacing, axes, affine)


def _check_grey(path: Path, dataset: Any) -> None:
    """Refuse what holds no grey values."""
    colour = str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))
    if int(dataset.get("SamplesPerPixel", 1)) != 1 or not colour.startswith("MONOCHROME"):
        raise InputError(f"{path}: is in colour ({colour}), not grey values; export it as one channel")
    if dataset.get("SOPClassUID") == SEGMENTATION:
        raise InputError(f"{path}: is a DICOM segmentation, whose frames are segments; give it as the cohort's masks")


def open_dicom(path: Path, *, stop_before_pixels: bool = False) -> Any:
    """The data set of a file, perhaps of its header alone; no pixel is decoded.

    Raises:
        InputError: pydicom is not installed; or the file is damaged, or too large once it is inflated.
    """
    try:
        import pydicom
    except ImportError:
        raise InputError(f'{path}: to read DICOM, pip install "segue-counterfactual[dicom]"') from None
    with decoding(path):
        meta = pydicom.filereader.read_file_meta_info(path)
        if meta.get("TransferSyntaxUID") == pydicom.uid.DeflatedExplicitVRLittleEndian:
            inflate_all(path, META_START + int(meta.FileMetaInformationGroupLength), wbits=-zlib.MAX_WBITS)
        return pydicom.dcmread(path, stop_before_pixels=stop_before_pixels)


DICOM = Reader("DICOM", (".dcm", ".dicom", ".ima"), is_dicom, dicom_shape, read_dicom)
