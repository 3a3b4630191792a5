"""What users bring: known by content, refused in a sentence that has the user's name of the file."""

import gzip

import nibabel
import numpy as np
import pytest
import small_study
from dicom_file import write_dicom
from PIL import Image

from segue.errors import InputError
from segue.explorer import upload
from segue.hub.load import load

pytestmark = pytest.mark.xdist_group("explorer")


@pytest.fixture(scope="module")
def model():
    return load(small_study.trained()[1], method="no_cft")


def nifti(path, shape, affine=None):
    values = np.random.default_rng(0).normal(200, 300, shape).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([0.5, 0.25, 2, 1]) if affine is None else affine), path)
    return values


def test_files_are_known_by_content_whatever_their_name(tmp_path, model):
    Image.fromarray(np.zeros((16, 48), np.uint16)).save(tmp_path / "a.png")
    nifti(tmp_path / "b.nii", (16, 48))
    nifti(tmp_path / "c.nii.gz", (16, 48))
    write_dicom(tmp_path / "d.dcm", np.zeros((16, 48)))
    for name, suffix in (("a.png", ".png"), ("b.nii", ".nii"), ("c.nii.gz", ".nii.gz"), ("d.dcm", ".dcm")):
        (tmp_path / name).rename(tmp_path / "scan.txt")
        found = upload.receive(tmp_path / "scan.txt", model)
        assert found.path.name == f"upload{suffix}" and found.name == "scan.txt" and found.slices is None
        assert upload.read(found, model, slice=None, covariates={}).case.image.shape == (1, 16, 48)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.png", b"<html>not an image</html>"),
        ("empty.nii.gz", b""),
        ("text.nii.gz", gzip.compress(b"plain text", mtime=0)),
        ("cut.nii.gz", gzip.compress(b"x" * 4000, mtime=0)[:20]),
    ],
)
def test_other_content_is_refused_by_name(tmp_path, model, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"^{name}: is no PNG, NIfTI, DICOM, .* file by its content"):
        upload.receive(tmp_path / name, model)


def test_a_damaged_file_is_refused_by_the_name_that_the_user_gave(tmp_path, model):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 48), np.uint8)).save(tmp_path / "mine.png")
    whole = (tmp_path / "mine.png").read_bytes()
    (tmp_path / "mine.png").write_bytes(whole[: len(whole) // 2])
    found = upload.receive(tmp_path / "mine.png", model)
    with pytest.raises(InputError, match=r"^mine\.png: cannot be decoded"):
        upload.read(found, model, slice=None, covariates={})


def test_a_header_that_asks_for_more_memory_than_is_given_is_refused_unread(tmp_path, model):
    header = nibabel.Nifti1Header()
    header.set_data_shape((16000, 16000, 4))
    (tmp_path / "bomb.nii").write_bytes(header.binaryblock + bytes(4))
    with pytest.raises(InputError, match=r"bomb\.nii: takes 977 MB once it is decoded"):
        upload.receive(tmp_path / "bomb.nii", model)


def test_a_slice_of_a_volume_lies_where_the_volume_has_it(tmp_path, model):
    affine = np.array([[0, -0.25, 0, 7], [0.5, 0, 0, -3], [0, 0, 2, 11], [0, 0, 0, 1.0]])
    values = nifti(tmp_path / "volume.nii.gz", (32, 48, 5), affine)
    found = upload.receive(tmp_path / "volume.nii.gz", model)
    assert found.slices == 5 and upload.place(found, -1) == 2
    chosen = upload.read(found, model, slice=3, covariates={})
    np.testing.assert_allclose(chosen.case.image[0], values[::2, :, 3] / 2 + values[1::2, :, 3] / 2, rtol=1e-5)
    assert chosen.case.spacing == (1.0, 0.25)
    # The first pixel of the coarser grid covers the file's pixels (0, 0) and (1, 0) of slice 3.
    np.testing.assert_allclose(chosen.case.affine @ [0, 0, 0, 1], affine @ [0.5, 0, 3, 1])
    assert "slice=3" in chosen.code


def test_four_axes_are_refused(tmp_path, model):
    nifti(tmp_path / "series.nii.gz", (8, 8, 3, 2))
    with pytest.raises(InputError, match="has 4 axes, the model's images have 2"):
        upload.receive(tmp_path / "series.nii.gz", model)


def test_the_user_is_told_of_units_that_do_not_fit(tmp_path, model):
    Image.fromarray(np.full((16, 48), 30000, np.uint16)).save(tmp_path / "a.png")
    case = upload.read(upload.receive(tmp_path / "a.png", model), model, slice=None, covariates={}).case
    spacing, units = upload.remarks(case, model)
    assert "no spacing" in spacing and "100% of its pixels" in units
