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
