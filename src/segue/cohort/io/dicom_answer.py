"""A counterfactual as DICOM: the image's own file with other pixels, marked as derived; and its masks as DICOM SEG."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from PIL import Image, ImageDraw

from segue.cohort.io.dicom import open_dicom
from segue.cohort.io.image_file import decode_image
from segue.cohort.origin import Origin
from segue.errors import InputError

__all__ = ["DicomAnswer", "write_dicom", "write_segmentation"]

NOTE = "COUNTERFACTUAL"


@dataclass(frozen=True)
class DicomAnswer:
    """What a DICOM file says of a counterfactual.

    Attributes:
        patient: a text that takes the place of PatientID and PatientName; None: both stay.
        burn_in: whether a note is drawn into the pixels.
        request: what was asked, for DerivationDescription.
    """

    patient: str | None = None
    burn_in: bool = False
    request: str = ""


def write_dicom(origin: Origin, change: Float[np.ndarray, "*file"], path: Path, about: DicomAnswer) -> None:
    """Write the DICOM file of `origin` with a change of its values, uncompressed, as an instance and series of its own.

    Args:
        change: in units after rescaling, (row, column[, frame]).

    Raises:
        InputError: the file is in colour, or pydicom is not installed.
    """
    data = open_dicom(origin.file)
    if int(data.get("SamplesPerPixel", 1)) != 1 or data.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise InputError(f"{origin.file}: is in colour, of which no DICOM answer is written; convert it to grey values")
    pixels = np.array(data.pixel_array)
    frames = pixels if pixels.ndim == 3 else pixels[None]
    values = decode_image(origin.file, change.ndim, slice=origin.slice).array
    chosen = slice(None) if origin.slice is None else slice(origin.slice, origin.slice + 1)
    try:
        frames[chosen] = changed_frames(frames[chosen], frames_first(values), frames_first(change), data)
    except ValueError as error:
        raise InputError(f"{origin.file}: {error}; save the answer as NIfTI") from None
    if about.burn_in:
        low, high = stored_range(data)
        for frame in frames[chosen]:
            draw_note(frame, low if data.PhotometricInterpretation == "MONOCHROME1" else high)
    mark_derived(data, about)
    data.PixelData = pixels.tobytes()
    data.save_as(path, enforce_file_format=True)


def frames_first(array: Shaped[np.ndarray, "row column *frame"]) -> Shaped[np.ndarray, "frame row column"]:
    """As DICOM stores them."""
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)


def changed_frames(
    stored: Shaped[np.ndarray, "frame row column"],
    values: Shaped[np.ndarray, "frame row column"],
    change: Float[np.ndarray, "frame row column"],
    data: Any,
) -> Shaped[np.ndarray, "frame row column"]:
    """Stored values plus the change without its rescaling, within the bits of the file.

    Args:
        values: what is read of `stored`: a linear function of them, also where the largest value is black.

    Raises:
        ValueError: it is no such function.
    """
    one, other = stored.argmin(), stored.argmax()
    span = float(stored.flat[other]) - float(stored.flat[one])
    slope = (float(values.flat[other]) - float(values.flat[one])) / span if span else 1.0
    linear = float(values.flat[one]) + slope * (stored.astype(np.float64) - float(stored.flat[one]))
    if slope == 0 or np.abs(linear - values).max() > 1e-3 * abs(slope * max(span, 1)):
        raise ValueError("the values that are read of it are no linear function of those that it stores")
    low, high = stored_range(data)
    found = np.rint(stored + change / slope).clip(low, high)
    return np.where(change == 0, stored, found).astype(stored.dtype)


def stored_range(data: Any) -> tuple[int, int]:
    """The smallest and the largest value that the bits of the file hold."""
    bits, signed = int(data.BitsStored), int(data.get("PixelRepresentation", 0))
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def draw_note(frame: Shaped[np.ndarray, "row column"], white: int) -> None:
    """Draw `NOTE` into the upper left corner, in place, a twentieth of the image high."""
    size = max(8.0, frame.shape[0] / 20)
    canvas = Image.new("L", (frame.shape[1], frame.shape[0]))
    ImageDraw.Draw(canvas).text((2, 2), NOTE, fill=255, font_size=size)
    frame[np.asarray(canvas) > 127] = white


def mark_derived(data: Any, about: DicomAnswer) -> None:
    """New identifiers; what the image is derived from, and that it is no acquisition (DICOM PS3.3, C.7.6.1.1.2)."""
    from pydicom.dataset import Dataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    source = Dataset()
    source.ReferencedSOPClassUID = data.file_meta.MediaStorageSOPClassUID
    source.ReferencedSOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
    data.SourceImageSequence = [source]
    data.SOPInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.ImageType = ["DERIVED", "SECONDARY", *list(data.get("ImageType") or [])[2:]]
    asked = f" under do({about.request})" if about.request else ""
    data.DerivationDescription = f"Counterfactual image by segue{asked}; not an acquired image"[:1024]
    data.SeriesDescription = f"counterfactual {about.request}".strip()[:64]
    data.BurnedInAnnotation = "YES" if about.burn_in else data.get("BurnedInAnnotation", "NO")
    if about.patient is not None:
        data.PatientID = data.PatientName = about.patient
    for name in ("SmallestImagePixelValue", "LargestImagePixelValue"):
        if name in data:
            delattr(data, name)


def write_segmentation(origin: Origin, labels: Shaped[np.ndarray, "*file"], names: tuple[str, ...], path: Path) -> None:
    """Write the masks of an answer as a DICOM Segmentation of the image's frame of reference.

    Args:
        labels: k is the k-th of `names`, 0 is background; (row, column[, frame]).

    Raises:
        InputError: highdicom is not installed, or the file lacks what a segmentation refers to.
    """
    try:
        import highdicom as hd
        from pydicom.uid import generate_uid
    except ImportError:
        raise InputError('for DICOM SEG, pip install "segue-counterfactual[dicom]"; or save masks as NIfTI') from None
    image = open_dicom(origin.file)
    anatomy = hd.sr.CodedConcept("123037004", "SCT", "Anatomical Structure")
    described = [
        hd.seg.SegmentDescription(
            segment_number=number, segment_label=name, segmented_property_category=anatomy,
            segmented_property_type=anatomy, algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=hd.AlgorithmIdentificationSequence(
                name="segue", version="1", family=hd.sr.CodedConcept("123109", "DCM", "Manual Processing")
            ),
        )
        for number, name in enumerate(names, start=1)
    ]  # fmt: skip
    try:
        made = hd.seg.Segmentation(
            source_images=[image], pixel_array=frames_first(labels).astype(np.uint8), segment_descriptions=described,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY, series_instance_uid=generate_uid(),
            series_number=900, sop_instance_uid=generate_uid(), instance_number=1, manufacturer="segue",
            manufacturer_model_name="segue", software_versions="1", device_serial_number="0",
            series_description="masks of a counterfactual", omit_empty_frames=False,
        )  # fmt: skip
    except (AttributeError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{origin.file}: no DICOM SEG can refer to it ({reason}); save masks as NIfTI") from None
    made.save_as(path)
