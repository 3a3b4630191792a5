"""What the scanner draws on its images stays, moves nothing along, and is seen by no network."""

import json
import shutil

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from skimage.restoration import inpaint_biharmonic

import segue
from segue.cohort.grid import Grid
from segue.cohort.marks import Marks
from segue.engine.original import change_on_file
from segue.errors import InputError
from segue.hub.locate import locate
from segue.mechanisms.diffeomorphism import resample
from segue.sealed import SUM, sealed, sha256

SIZE = (48, 64)


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


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Tissue with a bright border, the same with a catheter and a line drawn on it, and these marks."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    tissue = (60 + 20 * np.cos(columns / 9) + 30 / (1 + np.exp(20 - rows))).astype(np.float32)
    drawn = (np.abs(rows - columns / 2 - 4) < 1) | (np.hypot(rows - 24, columns - 40) < 5)
    file = tmp_path_factory.mktemp("scene") / "marks.npy"
    np.save(file, drawn.astype(np.uint8))
    return torch.from_numpy(tissue), torch.from_numpy(np.where(drawn, 255, tissue).astype(np.float32)), Marks(file)


def test_a_pixel_with_any_part_of_a_mark_is_marked(tmp_path):
    fine = np.zeros((6, 6), np.uint8)
    fine[0, 0], fine[5, 3] = 1, 7
    np.save(tmp_path / "marks.npy", fine)
    marks = Marks(tmp_path / "marks.npy")
    assert marks.at((2, 2)).tolist() == [[True, False], [False, True]]
    assert marks.at((6, 6)).tolist() == (fine > 0).tolist()


def test_networks_see_the_tissue_without_what_is_drawn_on_it(scene):
    tissue, marked, marks = scene
    here = torch.from_numpy(marks.at(SIZE))
    seen = marks.removed(marked, SIZE)
    assert torch.equal(seen[~here], tissue[~here])
    other = inpaint_biharmonic(marked.numpy() / 255, here.numpy()) * 255  # another equation, by another library
    ours, theirs = (np.abs(one - tissue.numpy())[here].mean() for one in (seen.numpy(), other))
    assert ours < 2 and ours < 3 * theirs + 1
    both = torch.stack([marked, 2 * marked])[:, None]
    torch.testing.assert_close(marks.removed(both, SIZE), torch.stack([seen, 2 * seen])[:, None])
    grid = Grid(SIZE, marks=marks)
    torch.testing.assert_close(grid.scale(marked[None, None]), Grid(SIZE).scale(seen[None, None]))


@pytest.mark.parametrize("finer", [1, 2])
def test_no_copy_of_a_mark_moves_with_the_tissue(scene, finer):
    """The same move of the tissue without marks is the reference, on the study's grid and on a finer file's."""
    tissue, marked, marks = (one if isinstance(one, Marks) else one.double().numpy() for one in scene)
    size = (SIZE[0] // finer, SIZE[1] // finer)
    rows, columns = np.mgrid[: size[0], : size[1]]
    swell = 3 / finer * np.exp(-((rows - 24 / finer) ** 2 + (columns - 32 / finer) ** 2) / (2 * (10 / finer) ** 2))
    displacement = np.stack([swell, -swell]).astype(np.float32)

    def at_grid(pixels):
        return pixels.reshape(size[0], finer, size[1], finer).mean((1, 3)).astype(np.float32)

    def moved(pixels):
        field = torch.from_numpy(displacement)[None]
        return (resample(pixels, field) - resample(pixels, torch.zeros_like(field)))[0, 0]

    def answered(pixels, **how):
        """The file moved, as the engine does it."""
        grid = Grid(size, **how)
        x = torch.from_numpy(at_grid(pixels))[None, None]
        scaled = grid.scale(x)
        raw = torch.where(grid.marked, x, grid.unscale(scaled + moved(scaled)))[0, 0].numpy()
        return change_on_file(pixels, x[0, 0].numpy(), raw, displacement, window=(0.0, 255.0), **how)

    here, there = marks.at(SIZE), np.kron(marks.at(size), np.ones((finer, finer))) > 0
    reference, kept = answered(tissue), answered(marked, marks=marks)
    assert not kept[here].any() and np.abs(reference).max() > 8
    assert np.abs(kept - reference)[~there].max() < 8  # a copy of a mark: 150 and more
    assert np.abs(answered(marked) - reference)[~there].max() > 50  # as it is without care


def test_no_answer_changes_a_mark_nor_looks_at_its_colour(model, drawn):
    plain, do = segue.load("coronary-phantom"), {"lumen@mid": "+1.5sd", "calcified_plaque@mid": "+1.5sd"}
    images, there = plain.examples()[:2], torch.from_numpy(drawn.reshape(48, 2, 144, 2).any((1, 3)))
    free = plain.counterfactual(images, do).difference[:, 0]
    dark, bright = (model.counterfactual(images.masked_fill(there, colour), do).difference[:, 0] for colour in (0, 500))
    assert free[:, there].abs().max() > 10 and not dark[:, there].any() and not bright[:, there].any()
    assert dark[:, ~there].abs().max() > 10
    torch.testing.assert_close(dark, bright, atol=1e-3, rtol=0)


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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (np.zeros((4, 4)), "every pixel is 0"),
        (np.ones((4, 4)), "marks every pixel"),
        (np.ones((2, 4, 4)), "has 3 axes and the images 2"),
        (None, "marks.npy"),
    ],
)
def test_what_marks_nothing_is_said(tmp_path, content, said):
    if content is not None:
        np.save(tmp_path / "marks.npy", content.astype(np.uint8))
    with pytest.raises(InputError, match=said):
        Marks(tmp_path / "marks.npy").at((4, 4))
