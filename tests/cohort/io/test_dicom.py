"""DICOM files against what was put into them, and their geometry against DICOM's own equation."""

import numpy as np
import pytest
from dicom_file import COLUMN, POSITION, ROW, write_dicom

from segue.cohort import read_image
from segue.cohort.io import decode_image
from segue.errors import InputError


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
