"""Folders of DICOM slices with a DICOM SEG, written by pydicom and highdicom."""

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_file import write_dicom
from highdicom.content import AlgorithmIdentificationSequence
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from segue.cohort import FolderSettings, list_folder, read_folder
from segue.cohort.io.series import read_series
from segue.errors import InputError

SHAPE = (8, 9, 5)
SPACING = (0.5, 0.75, 2.0)


def volume_of(patient):
    return np.random.default_rng(patient).integers(0, 900, SHAPE).astype(np.uint16)


def write_slice(path, pixels, *, series, place, patient, **tags):
    unknown = ("PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime")
    stated = {
        **dict.fromkeys((*unknown, "ReferringPhysicianName"), ""),
        "SeriesInstanceUID": series, "StudyInstanceUID": f"{series}.1", "FrameOfReferenceUID": f"{series}.2",
        "PatientID": patient, "Modality": "CT", "InstanceNumber": 1, "BitsStored": 16, "HighBit": 15,
        "RescaleSlope": 1, "PixelSpacing": list(SPACING[:2]), "SliceThickness": 1.0,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [3, 4, place],
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    return pydicom.dcmread(write_dicom(path, np.ascontiguousarray(pixels), **(stated | tags)))


def write_series(folder, patient):
    """Slices whose names are not in the order of their places, without a suffix."""
    series, volume = generate_uid(), volume_of(patient)
    return [
        write_slice(folder / f"IM{(7 * k) % 5}", volume[..., k], series=series, place=2.0 * k, patient=f"P{patient}")
        for k in range(SHAPE[2])
    ]


def write_seg(path, slices, mask):
    """Segment 1 in every slice, and segment 2."""
    one = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="Left atrium",
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Heart,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    other = highdicom.seg.SegmentDescription(
        segment_number=2,
        segment_label="wall",
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Heart,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence("a", codes.DCM.ArtificialIntelligence, "1"),
    )
    seg = highdicom.seg.Segmentation(
        source_images=slices,
        pixel_array=np.moveaxis(mask, -1, 0),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[one, other],
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="1",
        device_serial_number="1",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    seg.save_as(path)


@pytest.fixture
def folder(tmp_path):
    for patient in range(2):
        slices = write_series(tmp_path / f"p{patient}" / "CT", patient)
        mask = np.zeros(SHAPE, np.uint8)
        mask[1:4, 2:5, 1:3], mask[5, 5, patient] = 1, 2
        write_seg(tmp_path / f"p{patient}" / "SEG" / "seg.dcm", slices, mask)
    return tmp_path


def test_series_and_segmentations_are_volumes_and_masks(folder):
    settings = FolderSettings({"atrium": 1, "wall": 2}, SHAPE, layout="dicom")
    assert [(case.id, case.subject) for case in list_folder(folder, settings)] == [("p0_CT", "P0"), ("p1_CT", "P1")]
    for patient, record in enumerate(read_folder(folder, settings)):
        np.testing.assert_array_equal(record.image[0], volume_of(patient).astype(float) - 1024)
        assert record.spacing == SPACING and record.fractions[0].sum() == 18
        assert np.argwhere(record.fractions[1]).tolist() == [[5, 5, patient]]


def test_the_affine_of_a_series_is_that_of_its_slices(folder):
    pixels = read_series(folder / "p0" / "CT")
    # LPS to RAS: rows go along y, columns along x, slices along z
    np.testing.assert_allclose(pixels.affine @ [2, 3, 4, 1], [-(3 + 3 * 0.75), -(4 + 2 * 0.5), 8, 1])


def moved(place):
    def change(folder):
        path = folder / "IM2"  # the slice at 2 mm
        data = pydicom.dcmread(path)
        data.ImagePositionPatient = [3, 4, place]
        data.save_as(path)

    return change


def tagged(**tags):
    def change(folder):
        data = pydicom.dcmread(folder / "IM2")
        for name, value in tags.items():
            setattr(data, name, value)
        data.save_as(folder / "IM2")

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "IM2").unlink(), "lies 4.00 mm from the slice before, the others 2.00"),
        (moved(0), "lies where another slice"),
        (moved(2.5), "mm from the slice before, the others 2.00"),
        (tagged(SeriesInstanceUID="1.2.3"), "has SeriesInstanceUID 1.2.3"),
        (tagged(PixelSpacing=[0.5, 0.5]), "has PixelSpacing"),
        (tagged(ImagePositionPatient=None), "does not say where it lies"),
        (lambda folder: [path.unlink() for path in sorted(folder.iterdir())[1:]], "holds 1 DICOM slices"),
    ],
)
def test_a_series_that_is_not_whole_is_refused(folder, change, message):
    change(folder / "p0" / "CT")
    with pytest.raises(InputError, match=message) as error:
        read_series(folder / "p0" / "CT")
    assert "\n" not in str(error.value)
