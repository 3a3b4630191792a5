"""Downloaded files reproduce the request and have the geometry of the input."""

import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import small_study
from PIL import Image

from segue.explorer import download, upload
from segue.explorer.asking import ask
from segue.explorer.models import explored

pytestmark = pytest.mark.xdist_group("explorer")
DO = {"calcified_plaque@mid": 5.25, "lumen@distal": 12.0}


@pytest.fixture(scope="module")
def opened():
    return explored(str(small_study.trained()[1]), methods=["pos_seg_cft", "no_cft"])


def downloaded(opened, chosen, methods):
    answer = ask(opened, chosen.case, DO, methods)
    return answer, {one.name: one.content for one in download.files(opened, chosen, answer)}


def test_the_snippet_reproduces_every_method(opened, tmp_path):
    chosen = opened.choose(2)
    answer, files = downloaded(opened, chosen, ["pos_seg_cft", "no_cft"])
    (code,) = (content.decode() for name, content in files.items() if name.endswith(".py"))
    done = tmp_path / "answers.npz"
    code += f"\nnp.savez({str(done)!r}, **answers)\n"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)
    with np.load(done) as made:
        for one in answer.readings:
            np.testing.assert_allclose(made[one.method], one.image, atol=0.05)  # of 1400 HU


def test_nifti_lies_over_the_upload_and_the_sidecar_says_what_was_asked(opened, tmp_path):
    affine = np.array([[0, -0.5, 0, 7], [0.5, 0, 0, -3], [0, 0, 2, 11], [0, 0, 0, 1.0]])
    values = np.random.default_rng(0).normal(100, 200, (16, 48)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "mine.nii.gz")
    received = upload.receive(tmp_path / "mine.nii.gz", opened.first)
    chosen = upload.read(received, opened.first, slice=None, covariates={})
    answer, files = downloaded(opened, chosen, ["no_cft"])
    (tmp_path / "back.nii.gz").write_bytes(files["mine_no_cft.nii.gz"])
    back = nibabel.load(tmp_path / "back.nii.gz")
    np.testing.assert_allclose(back.affine[:, [0, 1, 3]], affine[:, [0, 1, 3]], atol=1e-6)
    np.testing.assert_allclose(back.get_fdata(), answer.readings[0].image, rtol=1e-6)
    sidecar = json.loads(files["mine_no_cft.json"])
    assert sidecar["do"] == pytest.approx(DO) and sidecar["image"] == "mine.nii.gz"
    variable = sidecar["variables"]["lumen@distal"]
    assert variable["guide"] == answer.readings[0].guide["lumen@distal"] and variable.keys() >= {"judge", "factual"}


def test_png_holds_the_counterfactual_and_the_figure_comes_twice(opened, tmp_path):
    answer, files = downloaded(opened, opened.choose(0), ["no_cft"])
    by_suffix = {name.rsplit("_", 1)[-1]: content for name, content in files.items()}
    (tmp_path / "a.png").write_bytes(by_suffix["cft.png"])
    stored = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(stored, answer.readings[0].image.clip(0, 65535).round())
    assert by_suffix["figure.pdf"].startswith(b"%PDF") and by_suffix["figure.png"].startswith(b"\x89PNG")


def test_the_seen_png_is_windowed_and_difference_and_masks_are_files(opened, tmp_path):
    answer, files = downloaded(opened, opened.choose(0), ["no_cft"])
    (stem,) = {name.removesuffix("_no_cft.json") for name in files if name.endswith(".json")}
    one, (black, white) = answer.readings[0], answer.window
    (tmp_path / "seen.png").write_bytes(files[f"{stem}_no_cft_seen.png"])
    seen = np.asarray(Image.open(tmp_path / "seen.png"))
    assert seen.dtype == np.uint8
    np.testing.assert_allclose(seen, ((one.image - black) / (white - black)).clip(0, 1) * 255, atol=0.51)
    for name in ("difference", "masks"):
        (tmp_path / f"{name}.nii.gz").write_bytes(files[f"{stem}_no_cft_{name}.nii.gz"])
    difference, masks = (nibabel.load(tmp_path / f"{name}.nii.gz") for name in ("difference", "masks"))
    np.testing.assert_allclose(difference.get_fdata(), one.image - answer.image, atol=1e-3)
    for number, structure in json.loads(files[f"{stem}_no_cft.json"])["masks"].items():
        others = np.max([mask for name, mask in one.outlines.items() if name != structure], axis=0)
        mine = (one.outlines[structure] > 0.5) & (one.outlines[structure] > others)
        np.testing.assert_array_equal(masks.get_fdata() == int(number), mine)


def test_files_of_shipped_examples_have_the_spacing_of_the_model(tmp_path):
    opened = explored("coronary-phantom")
    chosen = opened.choose(0)
    answer = ask(opened, chosen.case, {"lumen@mid": "+10%"}, list(opened.models))
    made = {one.name: one.content for one in download.files(opened, chosen, answer)}
    (tmp_path / "a.nii.gz").write_bytes(made["example_1_segue.nii.gz"])
    assert nibabel.load(tmp_path / "a.nii.gz").header.get_zooms() == (0.25, 0.25)
