"""Answers as files: read again by the libraries of their formats; what is unchanged is unchanged to the bit."""

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image

from segue.cohort.io import decode_image, place_pixels
from segue.cohort.io.dicom_answer import DicomAnswer, write_segmentation
from segue.cohort.io.write_back import answer_suffix, write_changed, write_map
from segue.cohort.origin import Origin
from segue.errors import InputError
from tests.dicom_file import write_dicom

SHAPE = (24, 30)


def origin(path, dims=2, slice=None, axes=None):
    pixels = decode_image(path, dims, slice=slice)
    return Origin(path, place_pixels(path, pixels, axes=axes), slice)


def change(shape=SHAPE, size=7.4):
    found = np.zeros(shape)
    found[(slice(5, 9), slice(10, 14))] = size
    return found


@pytest.mark.parametrize(
    ("mode", "dtype", "channels"),
    [
        ("L", np.uint8, ()),
        ("I;16", np.uint16, ()),
        ("RGB", np.uint8, (3,)),
        ("RGBA", np.uint8, (4,)),
        ("LA", np.uint8, (2,)),
    ],
)
def test_png_keeps_depth_and_mode(tmp_path, mode, dtype, channels):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max - 20, (*SHAPE, *channels)).astype(dtype)
    Image.fromarray(pixels, mode=mode if channels else None).save(tmp_path / "a.png")
    write_changed(origin(tmp_path / "a.png"), change(), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as found:
        written = np.asarray(found)
        assert found.mode == Image.open(tmp_path / "a.png").mode == mode
    added = np.zeros(pixels.shape, int)
    grey = added[..., : pixels.shape[-1] - mode.endswith("A")] if channels else added
    grey += np.rint(change()).astype(int)[(..., None) if channels else ...]
    np.testing.assert_array_equal(written.astype(int) - pixels, added)


@pytest.mark.parametrize(
    ("dtype", "slope", "inter"),
    [(np.int16, 1, 0), (np.int16, 2.0, -1024), (np.uint8, 1, 0), (np.float32, 1, 0), (np.float64, 1, 0)],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_keeps_its_header(tmp_path, dtype, slope, inter, suffix):
    stored = np.random.default_rng(0).integers(0, 200, SHAPE).astype(dtype)
    affine = np.array([[0, -0.8, 0, 50], [-0.7, 0, 0, -20], [0, 0, 2, 33], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(stored, affine)
    image.header.set_xyzt_units("micron")
    image.set_sform(affine, code=4)
    image.header.set_slope_inter(slope, inter)
    image.header["descrip"] = b"a scanner"
    source, out = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    nib.save(image, source)
    write_changed(origin(source), change(), out)
    one, two = nib.load(source), nib.load(out)
    for key in one.header:
        np.testing.assert_array_equal(one.header[key], two.header[key], err_msg=key)
    before, after = (np.asarray(found.dataobj.get_unscaled()) for found in (one, two))
    unchanged = change() == 0
    np.testing.assert_array_equal(before[unchanged], after[unchanged])
    step = slope if np.dtype(dtype).kind in "iu" else 0
    np.testing.assert_allclose(two.get_fdata() - one.get_fdata(), change(), atol=0.51 * step + 1e-4)
    ours, theirs = (sitk.ReadImage(str(path)) for path in (out, source))
    assert ours.GetOrigin() == theirs.GetOrigin() and ours.GetDirection() == theirs.GetDirection()
    assert ours.GetSpacing() == theirs.GetSpacing()


def test_a_slice_goes_back_into_its_volume(tmp_path):
    volume = np.random.default_rng(0).integers(-500, 500, (*SHAPE, 5)).astype(np.int16)
    nib.save(nib.Nifti1Image(volume, np.diag([-1.0, 2, 3, 1])), tmp_path / "a.nii.gz")
    place = origin(tmp_path / "a.nii.gz", slice=3, axes="AR")  # the study's axes are the file's, exchanged and turned
    asked = change(SHAPE[::-1], 9.0)
    write_changed(place, asked, tmp_path / "b.nii.gz")
    added = np.asarray(nib.load(tmp_path / "b.nii.gz").dataobj).astype(int) - volume
    np.testing.assert_array_equal(added[..., 3], asked[:, ::-1].T)
    assert not added[..., [0, 1, 2, 4]].any()


@pytest.mark.parametrize("kind", ["MONOCHROME2", "MONOCHROME1"])
def test_dicom_keeps_its_values_and_says_that_it_is_derived(tmp_path, kind):
    stored = np.random.default_rng(0).integers(100, 4000, SHAPE)
    source = write_dicom(
        tmp_path / "a.dcm", stored, PhotometricInterpretation=kind, PatientID="p7", PatientName="A^B",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.4",
    )  # fmt: skip
    write_changed(origin(source), change(size=40.0), tmp_path / "b.dcm", about=DicomAnswer(request="heart@whole=+10%"))
    one, two = pydicom.dcmread(source), pydicom.dcmread(tmp_path / "b.dcm")
    difference = two.pixel_array.astype(int) - one.pixel_array
    np.testing.assert_array_equal(difference, np.rint(change(size=20.0 if kind == "MONOCHROME2" else -20.0)))
    read = decode_image(tmp_path / "b.dcm", 2).array - decode_image(source, 2).array
    np.testing.assert_allclose(read, change(size=40.0))
    assert list(two.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"] and two.StudyInstanceUID == "1.2.3"
    assert two.SOPInstanceUID != one.SOPInstanceUID and two.SeriesInstanceUID != one.SeriesInstanceUID
    assert two.file_meta.MediaStorageSOPInstanceUID == two.SOPInstanceUID
    assert two.SourceImageSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID
    assert "ounterfactual" in two.DerivationDescription and "heart@whole=+10%" in two.DerivationDescription
    assert (two.PatientID, two.PatientName, two.BurnedInAnnotation) == ("p7", "A^B", "NO")
    assert two.ImagePositionPatient == one.ImagePositionPatient and two.PixelSpacing == one.PixelSpacing


def test_dicom_with_a_note_and_another_patient(tmp_path):
    source = write_dicom(tmp_path / "a.dcm", np.full((200, 260), 100), PatientID="p7", PatientName="A^B")
    write_changed(origin(source), np.zeros((200, 260)), tmp_path / "b.dcm", about=DicomAnswer("study-3", burn_in=True))
    found = pydicom.dcmread(tmp_path / "b.dcm")
    assert (found.PatientID, str(found.PatientName), found.BurnedInAnnotation) == ("study-3", "study-3", "YES")
    changed = found.pixel_array != 100
    rows, columns = np.nonzero(changed)
    assert changed.any() and rows.max() < 40 and columns.max() < 200


def test_a_frame_of_dicom_and_values_beyond_its_bits(tmp_path):
    stored = np.random.default_rng(0).integers(100, 4000, (3, *SHAPE))
    source = write_dicom(tmp_path / "a.dcm", stored)
    write_changed(origin(source, slice=1), change(size=1e6), tmp_path / "b.dcm")
    found = pydicom.dcmread(tmp_path / "b.dcm").pixel_array
    np.testing.assert_array_equal(found[1], np.where(change() != 0, 4095, stored[1]))
    np.testing.assert_array_equal(found[[0, 2]], stored[[0, 2]])


def test_masks_of_dicom_lie_where_the_image_lies(tmp_path):
    source = write_dicom(
        tmp_path / "a.dcm", np.zeros(SHAPE), Modality="CT",
        PatientID="p7", PatientName="A^B", PatientBirthDate="", PatientSex="",
        StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.4", FrameOfReferenceUID="1.2.3.5", StudyDate="",
        StudyTime="", AccessionNumber="", StudyID="", ReferringPhysicianName="", InstanceNumber=1,
    )  # fmt: skip
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:9, 4:8], labels[12:20, 20:25] = 1, 2
    write_segmentation(origin(source), labels, ("lung", "heart"), tmp_path / "seg.dcm")
    found = pydicom.dcmread(tmp_path / "seg.dcm")
    assert [one.SegmentLabel for one in found.SegmentSequence] == ["lung", "heart"]
    frames = {
        one.SegmentIdentificationSequence[0].ReferencedSegmentNumber: frame
        for one, frame in zip(found.PerFrameFunctionalGroupsSequence, found.pixel_array, strict=True)
    }
    for number in (1, 2):
        np.testing.assert_array_equal(frames[number], labels == number)
    write_map(origin(source), labels, tmp_path / "seg.nii.gz")
    ours, theirs = sitk.ReadImage(str(tmp_path / "seg.nii.gz")), sitk.ReadImage(str(source))
    # rows are the first axis of the one, columns of the other: one and the same place
    place = np.array(ours.TransformIndexToPhysicalPoint((5, 7, 0) if ours.GetDimension() == 3 else (5, 7)))
    np.testing.assert_allclose(place[:3], theirs.TransformIndexToPhysicalPoint((7, 5, 0)), atol=1e-4)


def test_dicom_seg_needs_a_study(tmp_path):
    source = write_dicom(tmp_path / "a.dcm", np.zeros(SHAPE))
    with pytest.raises(InputError, match=r"a.dcm: no DICOM SEG can refer to it .*; save masks as NIfTI"):
        write_segmentation(origin(source), np.zeros(SHAPE, np.uint8), ("lung",), tmp_path / "seg.dcm")


def test_masks_of_a_picture_lie_on_it_in_simpleitk(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    write_map(origin(tmp_path / "a.png"), (pixels > 100).astype(np.uint8), tmp_path / "b.nii.gz")
    assert answer_suffix(tmp_path / "a.png") == ".png"
    mask, picture = sitk.ReadImage(str(tmp_path / "b.nii.gz")), sitk.ReadImage(str(tmp_path / "a.png"))
    place = picture.TransformIndexToPhysicalPoint((7, 5))
    index = mask.TransformPhysicalPointToIndex(place if mask.GetDimension() == 2 else (*place, 0.0))
    assert mask.GetPixel(index) == (picture.GetPixel((7, 5)) > 100)
    assert index[:2] == (5, 7)
