"""What the scanner draws on its images stays, on the study's grid and on the file's."""

import json
import shutil

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

import segue
from segue.cohort.marks import Marks
from segue.errors import InputError
from segue.hub.locate import locate
from segue.mechanisms.refined import Refined
from segue.sealed import SUM, sealed, sha256


@pytest.fixture(scope="module")
def drawn():
    """A caliper's line and a catheter, on images of 96 x 288."""
    rows, columns = np.mgrid[:96, :288]
    return (np.abs(rows - columns / 3) < 1.5) | (np.hypot(rows - 48, columns - 144) < 9)


@pytest.fixture(scope="module")
def model(tmp_path_factory, drawn):
    """The shipped phantom's model, as if its scanner drew on its images."""
    folder = shutil.copytree(locate("coronary-phantom"), tmp_path_factory.mktemp("marked") / "model")
    Image.fromarray(drawn.astype(np.uint8)).save(folder / "marks.png")
    settings = json.loads((folder / "model.json").read_text()) | {"marks": "marks.png"}
    settings["files"]["marks.png"] = sha256(folder / "marks.png")
    settings.pop(SUM, None)
    (folder / "model.json").write_text(sealed(settings))
    return segue.load(folder)


def test_a_pixel_with_any_part_of_a_mark_is_marked(tmp_path):
    fine = np.zeros((6, 6), np.uint8)
    fine[0, 0], fine[5, 3] = 1, 7
    np.save(tmp_path / "marks.npy", fine)
    marks = Marks(tmp_path / "marks.npy")
    assert marks.at((2, 2)).tolist() == [[True, False], [False, True]]
    assert marks.at((6, 6)).tolist() == (fine > 0).tolist()


def test_no_answer_changes_a_mark_and_elsewhere_answers_are_as_before(model, drawn):
    plain, do = segue.load("coronary-phantom"), {"lumen@mid": "+1.5sd", "calcified_plaque@mid": "+1.5sd"}
    images = plain.examples()[:2]
    there = torch.from_numpy(drawn.reshape(48, 2, 144, 2).any((1, 3)))
    free = plain.counterfactual(images, do).difference[:, 0]
    kept = model.counterfactual(images, do).difference[:, 0]
    assert free[:, there].abs().max() > 10 and not kept[:, there].any()
    assert kept[:, ~there].abs().max() > 10


def test_on_the_file_no_marked_pixel_changes(model, drawn, tmp_path):
    rng = np.random.default_rng(0)
    pixels = np.kron(model.examples()[0, 0].numpy(), np.ones((2, 2))) + rng.normal(0, 5, drawn.shape)
    file = tmp_path / "frame.nii"
    nibabel.save(nibabel.Nifti1Image(pixels.astype(np.float32), np.diag([0.25, 0.25, 1, 1])), file)
    image, spacing = model.read(file)
    answer = model.counterfactual(image, {"lumen@mid": "+1.5sd"}, spacing=spacing)
    (written,) = [path for path in answer.save(tmp_path / "out", files=[model.origin(file)]) if "nii" in path.name][:1]
    changed = nibabel.load(written).get_fdata().squeeze() != pixels.astype(np.float32)
    assert changed.any() and not changed[drawn].any()


def test_a_mechanism_that_paints_keeps_them_too(mechanism, factual):
    kept = torch.zeros(factual.image.shape[2:], dtype=torch.bool)
    kept[4:9] = True
    refined = Refined(mechanism, kept=kept)
    (answer,) = refined.predict(factual, refined.abduct(factual), [factual.pa.roll(1, 0)])
    same = answer == factual.image
    assert same[:, :, kept].all() and not same.all()


@pytest.mark.parametrize(
    ("content", "said"),
    [(np.zeros((4, 4)), "every pixel is 0"), (np.ones((2, 4, 4)), "has 3 axes and the images 2"), (None, "marks.npy")],
)
def test_what_marks_nothing_is_said(tmp_path, content, said):
    if content is not None:
        np.save(tmp_path / "marks.npy", content.astype(np.uint8))
    with pytest.raises(InputError, match=said):
        Marks(tmp_path / "marks.npy").at((4, 4))
