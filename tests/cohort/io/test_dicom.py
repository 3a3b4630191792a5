"""DICOM files against what was put into them, and their geometry against DICOM's own equation."""

import sys

import numpy as np
import pydicom
import pytest
import SimpleITK
from dicom_file import COLUMN, POSITION, ROW, write_dicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from segue.cohort import read_image
from segue.cohort.io import decode_image
from segue.errors import InputError

VALUES = (np.arange(4096) * 37 % 3000 - 500).reshape(64, 64)


def test_values_are_rescaled_and_spacing_goes_by_rows_then_columns(tmp_path):
    stored = np.arange(6).reshape(2, 3)
    image, spacing = read_image(write_dicom(tmp_path / "a.dcm", stored), (2, 3))
    np.testing.assert_array_equal(image[0], stored * 2 - 1024)
    assert spacing == (0.5, 0.25)


def test_affine_is_the_equation_of_the_standard(tmp_path):
    """PS3.3 C.7.6.2.1.1: P = S + X di i + Y dj j, i counting columns along a row, di their spacing."""
    pixels = decode_image(write_dicom(tmp_path / "a.dcm", np.zeros((4, 5))), 2)
    for row, column in ((0, 0), (3, 1), (2, 4)):
        lps = np.array(POSITION) + np.array(ROW) * 0.25 * column + np.array(COLUMN) * 0.5 * row
        np.testing.assert_allclose((pixels.affine @ [row, column, 0, 1])[:3], lps * [-1, -1, 1])


def test_frames_come_last_and_one_can_be_read(tmp_path):
    stored = np.arange(24).reshape(4, 2, 3)
    path = write_dicom(tmp_path / "a.dcm", stored, SpacingBetweenSlices=1.5)
    volume = decode_image(path, 3)
    assert volume.array.shape == (2, 3, 4) and volume.spacing == (0.5, 0.25, 1.5)
    image, spacing = read_image(path, (2, 3), slice=2)
    np.testing.assert_array_equal(image[0], stored[2] * 2 - 1024)
    assert spacing == (0.5, 0.25)
    np.testing.assert_allclose(decode_image(path, 2, slice=2).affine @ [0, 0, 0, 1], volume.affine @ [0, 0, 2, 1])


def test_a_slice_that_is_not_there_is_refused(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", np.zeros((4, 2, 3)))
    with pytest.raises(InputError, match="has 4 slices, no slice 4"):
        read_image(path, (2, 3), slice=4)


def test_monochrome1_is_turned_over(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", [[0, 4095]], PhotometricInterpretation="MONOCHROME1", RescaleSlope=1)
    np.testing.assert_array_equal(read_image(path, (1, 2))[0][0], [[4095 - 1024, -1024]])


def test_colour_and_damage_are_refused_by_name(tmp_path):
    colour = write_dicom(tmp_path / "colour.dcm", np.zeros((2, 6)), SamplesPerPixel=3)
    with pytest.raises(InputError, match=r"colour\.dcm: is in colour"):
        read_image(colour, (2, 6))
    cut = write_dicom(tmp_path / "cut.dcm", np.zeros((20, 20)))
    cut.write_bytes(cut.read_bytes()[:-300])
    with pytest.raises(InputError, match=r"cut\.dcm"):
        read_image(cut, (20, 20))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_monochrome1_with_a_sign_is_turned_over_within_its_range(tmp_path, bits):
    """Largest and smallest value of the range change places: -2^(b-1) <-> 2^(b-1) - 1."""
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    stored = np.array([[lowest, -1, 0, highest]], np.int16)
    tags = {"PixelRepresentation": 1, "BitsStored": bits, "HighBit": bits - 1, "RescaleSlope": 1}
    path = write_dicom(
        tmp_path / "a.dcm", stored, PhotometricInterpretation="MONOCHROME1", RescaleIntercept=0, **tags
    )
    np.testing.assert_array_equal(read_image(path, (1, 4))[0][0], [[highest, 0, -1, lowest]])


@pytest.mark.parametrize("interpretation", ["MONOCHROME2", "MONOCHROME1"])
def test_the_modalitys_table_is_looked_up(tmp_path, interpretation):
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4, 10, 16], np.array([100, 300, 1000, 60000], "<u2").tobytes()
    table.ModalityLUTType = "US"
    path = write_dicom(tmp_path / "a.dcm", [[9, 10, 11, 13, 20]], PhotometricInterpretation=interpretation)
    data = pydicom.dcmread(path)
    del data.RescaleSlope, data.RescaleIntercept
    data.ModalityLUTSequence = Sequence([table])
    data.save_as(path)
    expected = np.array([[100, 100, 300, 60000, 60000]])
    expected = 65535 - expected if interpretation == "MONOCHROME1" else expected
    np.testing.assert_array_equal(read_image(path, (1, 5))[0][0], expected)


def test_a_window_is_not_applied(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", [[0, 1000, 4000]], WindowCenter=40, WindowWidth=80)
    np.testing.assert_array_equal(read_image(path, (1, 3))[0][0], [[-1024, 976, 6976]])


def test_palette_colour_and_segmentations_are_refused(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", np.zeros((2, 3)), PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(InputError, match=r"a\.dcm: is in colour \(PALETTE COLOR\)"):
        decode_image(path, 2)
    path = write_dicom(tmp_path / "seg.dcm", np.zeros((2, 2, 3)), SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")
    with pytest.raises(InputError, match=r"seg\.dcm: is a DICOM segmentation"):
        decode_image(path, 3)


def group(**elements):
    found = Dataset()
    for name, value in elements.items():
        setattr(found, name, value)
    return Sequence([found])


def enhanced(path, stored, positions, *, slopes=None, measured_by_frame=False):
    """An enhanced CT: spacing, orientation and rescaling in functional groups, shared or by frame."""
    shared, frames = Dataset(), []
    measures = group(PixelSpacing=[0.5, 0.25], SliceThickness=9)
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=[*ROW, *COLUMN])
    if not measured_by_frame:
        shared.PixelMeasuresSequence = measures
    if slopes is None:
        shared.PixelValueTransformationSequence = group(RescaleSlope=2, RescaleIntercept=-1024)
    for i, position in enumerate(positions):
        frame = Dataset()
        frame.PlanePositionSequence = group(ImagePositionPatient=list(position))
        if measured_by_frame:
            frame.PixelMeasuresSequence = measures
        if slopes is not None:
            frame.PixelValueTransformationSequence = group(RescaleSlope=slopes[i], RescaleIntercept=-10 * i)
        frames.append(frame)
    write_dicom(path, stored)
    data = pydicom.dcmread(path)
    for name in ("RescaleSlope", "RescaleIntercept", "PixelSpacing", "SliceThickness", "ImagePositionPatient"):
        delattr(data, name)
    del data.ImageOrientationPatient
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    data.save_as(path)
    return path


STEP = np.array([1.5, 0.0, 0.0])  # against the normal of the plane, which is (-1, 0, 0)
PLACES = [np.array(POSITION) + i * STEP for i in range(4)]
FRAMES = np.arange(24).reshape(4, 2, 3)


@pytest.mark.parametrize("measured_by_frame", [False, True])
def test_enhanced_files_say_values_and_geometry_in_functional_groups(tmp_path, measured_by_frame):
    path = enhanced(tmp_path / "a.dcm", FRAMES, PLACES, measured_by_frame=measured_by_frame)
    volume = decode_image(path, 3)
    np.testing.assert_array_equal(volume.array, np.moveaxis(FRAMES * 2 - 1024, 0, -1))
    assert volume.spacing == (0.5, 0.25, 1.5)  # of the positions, not the thickness
    for frame, place in enumerate(PLACES):
        one = decode_image(path, 2, slice=frame)
        np.testing.assert_allclose((one.affine @ [0, 0, 0, 1])[:3], place * [-1, -1, 1])
        assert one.spacing == (0.5, 0.25)


def test_frames_that_are_rescaled_differently(tmp_path):
    path = enhanced(tmp_path / "a.dcm", FRAMES, PLACES, slopes=[1, 0.5, 2, 3])
    expected = np.stack([FRAMES[i] * slope - 10 * i for i, slope in enumerate([1, 0.5, 2, 3])], axis=-1)
    np.testing.assert_allclose(decode_image(path, 3).array, expected)


def test_frames_at_unequal_distances_are_refused(tmp_path):
    path = enhanced(tmp_path / "a.dcm", FRAMES, [*PLACES[:3], PLACES[3] + 0.4])
    with pytest.raises(InputError, match=r"a\.dcm: its frames do not lie at equal distances"):
        decode_image(path, 3)


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_lossless_compression_by_another_library(tmp_path, compressor):
    image = SimpleITK.GetImageFromArray(VALUES.astype(np.int16)[None])
    writer = SimpleITK.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetFileName(str(tmp_path / "a.dcm"))
    writer.SetUseCompression(True)
    writer.SetCompressor(compressor)
    writer.Execute(image)
    assert pydicom.dcmread(tmp_path / "a.dcm").file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(decode_image(tmp_path / "a.dcm", 2).array, VALUES)


@pytest.mark.parametrize("syntax", ["JPEGLSLossless", "JPEG2000Lossless", "RLELossless"])
def test_compressed_files_give_the_values_of_the_uncompressed_one(tmp_path, syntax):
    path = write_dicom(tmp_path / "a.dcm", VALUES + 500)
    data = pydicom.dcmread(path)
    data.compress(getattr(pydicom.uid, syntax), generate_instance_uid=False)
    data.save_as(tmp_path / "b.dcm")
    np.testing.assert_array_equal(decode_image(tmp_path / "b.dcm", 2).array, (VALUES + 500) * 2 - 1024)


def test_without_a_decoder_the_extra_is_named(tmp_path, monkeypatch):
    path = write_dicom(tmp_path / "a.dcm", VALUES + 500)
    data = pydicom.dcmread(path)
    data.compress(pydicom.uid.JPEGLSLossless, generate_instance_uid=False)
    data.save_as(path)
    from pydicom.pixels.decoders import JPEGLSLosslessDecoder

    monkeypatch.setattr(JPEGLSLosslessDecoder, "_available", {})
    with pytest.raises(InputError, match=r'a\.dcm: its pixels cannot be decoded .*"segue-counterfactual\[dicom\]"'):
        decode_image(path, 2)


def test_without_pydicom_the_extra_is_named(tmp_path, monkeypatch):
    path = write_dicom(tmp_path / "IM0001", np.zeros((2, 3)))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InputError, match=r'to read DICOM, pip install "segue-counterfactual\[dicom\]"'):
        decode_image(path, 2)
