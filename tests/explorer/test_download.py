"""Downloaded files reproduce the request and have the geometry of the input."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import small_study
from PIL import Image
from tiny_explored import tiny_explored

from segue.explorer import download, upload
from segue.explorer.asking import ask
from segue.explorer.models import Chosen, explored, reading
from segue.generation.source import FolderImages, StoreImages

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
    folder, done = Path(opened.opened), tmp_path / "answers.npz"
    assert folder.is_absolute() and str(folder.parent) not in code
    code += f"\nnp.savez({str(done)!r}, **answers)\n"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder.parent, capture_output=True)
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


HOSTILE = [
    "a\nimport os; os.system('x')  #", "a\r\nprint(1)", "a\u2028b", "a\x0bb\x0cc\x1cd\x85e", "'); print(1); ('", '"""',
    "\\", "{answer}", "%s", "$(x)`x`", "../../x", "=1+1", "</script><b>", "\udc80", "#", "a;b",
]  # fmt: skip


class Statements(ast.NodeTransformer):
    """A program without its texts: what is left is what it does."""

    def visit_Constant(self, node):
        return ast.Constant("") if isinstance(node.value, str) else node


def what_it_does(code):
    return ast.dump(Statements().visit(ast.parse(code)))


def stores(id, folder):
    source = StoreImages.__new__(StoreImages)
    source.path, source.rows, source.ids = folder / id.replace("/", "_") / "cohort.zarr", np.array([7]), [id]
    return source


def folders(id, folder):
    source = FolderImages.__new__(FolderImages)
    source.path, source.ids, source.files = folder / "table.csv", [id], {id: folder / id.replace("/", "_")}
    return source


@pytest.fixture(scope="module")
def tiny_answer():
    opened = tiny_explored(["plain"])
    return opened, ask(opened, opened.choose(0).case, {"bar@left": 40.0}, ["no_cft"])


@pytest.mark.parametrize("kind", [stores, folders])
@pytest.mark.parametrize("id", HOSTILE)
def test_whatever_an_image_is_called_the_python_does_the_same(tiny_answer, kind, id, tmp_path):
    """Of a cohort in a store and in a folder, under a model in a folder of that name."""
    opened, answer = tiny_answer
    programs = []
    for name in ("plain", id):
        opened.opened, opened.source.ids = str(tmp_path / name.replace("/", "_")), [name]
        chosen = Chosen(opened.source.read(0), *reading(kind(name, tmp_path), 0, opened.opened))
        programs.append(download.snippet(opened, chosen, answer))
        assert str(tmp_path) not in programs[-1]
        assert set("/\n\r\0 ;$`'\"").isdisjoint(download.stem_of(name))
    assert what_it_does(programs[0]) == what_it_does(programs[1])
