"""Every surface that is given a file answers on the file's own grid, with the same values."""

import base64
import json

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import yaml
from PIL import Image
from scipy.ndimage import gaussian_filter

import segue
from segue.cli import main
from segue.cohort.resample import area_resample
from segue.errors import InputError
from segue.explorer import upload
from segue.explorer.api import answer_by_method
from segue.explorer.models import Explored
from segue.generation.generate import generate
from tests.dicom_file import write_dicom

AFFINE = np.array([[0, -0.8, 0, 50], [-0.7, 0, 0, -20], [0, 0, 2, 33], [0, 0, 0, 1.0]])
DO = {"heart@whole": "-0.5sd"}


def picture(shape=(150, 130)):
    """Something like a radiograph: two dark lungs and a bright heart, with texture."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] / np.array(shape)[:, None, None]
    grey = np.full(shape, 150.0)
    for centre in (0.28, 0.72):
        grey[((rows - 0.45) / 0.33) ** 2 + ((columns - centre) / 0.17) ** 2 < 1] = 50
    grey[((rows - 0.62) / 0.2) ** 2 + ((columns - 0.58) / 0.16) ** 2 < 1] = 190
    return gaussian_filter(grey, 1) + np.random.default_rng(0).normal(0, 4, shape)


@pytest.fixture(scope="module")
def model():
    return segue.load("chest")


def command(path, out, *more, do="heart@whole=-0.5sd"):
    return main(["counterfactual", "chest", str(path), "--do", do, "--out", str(out), *more])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_empty_request_gives_the_pixels_of_the_png(tmp_path, dtype):
    pixels = picture().astype(dtype)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert command(tmp_path / "a.png", tmp_path / "out", do="heart@whole=+0%") == 0
    found = np.asarray(Image.open(tmp_path / "out" / "a_counterfactual.png"))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels)


def test_png_nifti_and_dicom_get_one_answer_each_on_its_grid(tmp_path, model):
    pixels = picture().round()
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "a.png")
    nib.save(nib.Nifti1Image(pixels.astype(np.float32), AFFINE), tmp_path / "b.nii.gz")
    write_dicom(tmp_path / "c.dcm", pixels, RescaleSlope=1, RescaleIntercept=0, PatientID="p7")
    assert command(tmp_path / "a.png", tmp_path / "out", "--save", "counterfactual,difference,masks") == 0
    assert command(tmp_path / "b.nii.gz", tmp_path / "out", "--save", "counterfactual,masks") == 0
    assert command(tmp_path / "c.dcm", tmp_path / "out", "--patient-id", "x1") == 0
    png = np.asarray(Image.open(tmp_path / "out" / "a_counterfactual.png")).astype(float)
    nifti = nib.load(tmp_path / "out" / "b_counterfactual.nii.gz").get_fdata()
    dicom = pydicom.dcmread(tmp_path / "out" / "c_counterfactual.dcm")
    assert (nifti - pixels).any() and dicom.PatientID == "x1"
    np.testing.assert_allclose(png, nifti.clip(0, 255), atol=0.51)
    np.testing.assert_allclose(dicom.pixel_array, nifti.clip(0), atol=0.51)
    answer = model.counterfactual(model.read(tmp_path / "b.nii.gz")[0], DO)
    coarse = area_resample(nifti, model.grid.size)
    assert np.abs(coarse - answer.image[0, 0].numpy()).mean() < 0.1
    ours, theirs = (sitk.ReadImage(str(tmp_path / name)) for name in ("out/b_counterfactual.nii.gz", "b.nii.gz"))
    assert ours.GetOrigin() == theirs.GetOrigin() and ours.GetSize() == theirs.GetSize()
    assert np.asarray(Image.open(tmp_path / "out" / "a_masks.png")).shape == pixels.shape
    masks = nib.load(tmp_path / "out" / "b_masks.nii.gz")
    np.testing.assert_allclose(masks.affine, AFFINE, atol=1e-5)
    assert set(np.unique(masks.get_fdata())) <= {0, 1, 2, 3}
    sidecar = json.loads((tmp_path / "out" / "b_counterfactual.json").read_text())
    assert sidecar["measured_on"] == [96, 96]


def test_on_the_studys_grid_the_field_of_view_stays(tmp_path):
    nib.save(nib.Nifti1Image(picture().astype(np.float32), AFFINE), tmp_path / "b.nii.gz")
    assert command(tmp_path / "b.nii.gz", tmp_path / "out", "--grid", "study") == 0
    found = nib.load(tmp_path / "out" / "b_counterfactual.nii.gz")
    assert found.shape == (96, 96)
    for ours, theirs in (([-0.5, -0.5], [-0.5, -0.5]), ([95.5, 95.5], [149.5, 129.5])):
        np.testing.assert_allclose((found.affine @ [*ours, 0, 1])[:3], (AFFINE @ [*theirs, 0, 1])[:3], atol=1e-3)


def test_python_generation_and_http_give_the_same(tmp_path, model):
    (tmp_path / "cohort").mkdir()
    path = tmp_path / "cohort" / "b.nii.gz"
    nib.save(nib.Nifti1Image(picture().astype(np.float32), AFFINE), path)
    (saved,) = model.counterfactual(model.read(path)[0], DO).save(
        tmp_path / "python", parts=["counterfactual"], files=[model.origin(path)]
    )
    python = nib.load(saved)
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump({"interventions": [DO]}))
    generate("chest", cohort=tmp_path / "cohort", plan=tmp_path / "plan.yaml", out=tmp_path / "g", format="nifti")
    generated = nib.load(tmp_path / "g" / "images" / "b_0000.nii.gz")
    sent = tmp_path / "sent.nii.gz"
    sent.write_bytes(path.read_bytes())
    chosen = upload.read(upload.receive(sent, model), model, slice=None, covariates={})
    explored = Explored(name="chest", opened="chest", models={"m": model}, judge=None, source=None)
    answer = answer_by_method(explored, chosen, DO, "m", True, [])
    (tmp_path / "http.nii.gz").write_bytes(base64.b64decode(answer["m"]["nifti"]))
    http = nib.load(tmp_path / "http.nii.gz")
    for found in (generated, http):
        np.testing.assert_allclose(found.affine, AFFINE, atol=1e-5)
        np.testing.assert_allclose(found.get_fdata().squeeze(), python.get_fdata(), atol=1e-3)


def test_files_that_do_not_belong_to_the_images_are_refused(tmp_path, model):
    Image.fromarray(picture().astype(np.uint8)).save(tmp_path / "a.png")
    origin = model.origin(tmp_path / "a.png")
    answer = model.counterfactual(model.read(tmp_path / "a.png")[0], DO)
    with pytest.raises(InputError, match="2 files for 1 images"):
        answer.save(tmp_path / "out", files=[origin, origin])
