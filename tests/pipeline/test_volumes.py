"""Volumes from end to end: a folder of NIfTI files, training, the report, and answers with the file's geometry."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image
from small_volumes import SPACING, trained_volumes

import segue
from segue.cli import main
from segue.cohort import Store

VARIABLES = ["front@low", "front@high", "back@low", "back@high"]
METHODS = {"no_cft", "reg_cft", "seg_cft", "pos_seg_cft", "segue", "moving"}

pytestmark = pytest.mark.xdist_group("volumes")


@pytest.fixture(scope="module")
def run():
    return trained_volumes()[1]


@pytest.fixture(scope="module")
def volumes():
    return trained_volumes()[2]


@pytest.fixture(scope="module")
def metrics(run):
    return json.loads((run / "evaluate" / "metrics.json").read_text())


def test_every_method_is_judged_on_every_variable_in_mm3(metrics):
    assert (metrics["unit"], metrics["variables"]) == ("mm3", VARIABLES)
    assert set(metrics["methods"]) == METHODS
    for name, method in metrics["methods"].items():
        assert set(method["variables"]) == set(VARIABLES), name
        assert method["mean"]["error_sd"] > 0, name
    assert {name for name, method in metrics["methods"].items() if "folding" in method["mean"]} == {"segue", "moving"}


def test_the_store_keeps_the_volume_of_every_file(run, volumes):
    """Each file is resized with its own field of view; its voxels change size, its structures do not."""
    store = Store(run / "prepare" / "cohort.zarr")
    assert len(set(store.pixel_area().tolist())) > 3
    found = store.read(np.arange(len(store)))["fractions"].sum(dim=(2, 3, 4)) * store.pixel_area()[:, None]
    for name, row in zip(store.table["id"], found.tolist(), strict=True):
        labels = np.asarray(nibabel.load(volumes / "masks" / f"{name}.nii.gz").dataobj)
        assert row == pytest.approx([(labels == k).sum() * np.prod(SPACING) for k in (1, 2)], rel=1e-4)


def test_the_report_shows_planes_slices_and_extremes(run):
    shapes = {}
    for name in ("figure1", "slices", "extremes"):
        with Image.open(run / "evaluate" / f"{name}.png") as image:
            shapes[name] = image.size
            assert np.asarray(image.convert("L")).std() > 10
    assert min(min(shape) for shape in shapes.values()) > 300
    page = (run / "report" / "report.html").read_text()
    assert 'id="slices"' in page and 'id="extremes"' in page and page.count("data:image/png") >= 3


@pytest.fixture(scope="module")
def answered(run, volumes, tmp_path_factory):
    """A counterfactual of one volume by the command line: the input, and the files of the answer."""
    out = tmp_path_factory.mktemp("answers")
    path = sorted((volumes / "images").glob("*.nii.gz"))[0]
    asked = ["--do", "front@high=+20%", "--method", "moving", "--out", str(out)]
    asked += ["--save", "counterfactual,difference,masks"]
    assert main(["counterfactual", str(run), str(path), *asked]) == 0
    parts = ("counterfactual", "difference", "masks")
    found = {part: nibabel.load(next(out.glob(f"*_{part}.nii.gz"))) for part in parts}
    return nibabel.load(path), found


def test_an_answer_covers_the_field_of_view_of_its_file(answered):
    given, found = answered
    for image in found.values():
        zooms = np.array(image.header.get_zooms()[:3], dtype=float)
        np.testing.assert_allclose(zooms * image.shape, np.multiply(given.header.get_zooms(), given.shape), rtol=1e-4)


def test_intensities_come_back_in_the_file_s_own_scale(answered):
    given, found = answered
    low, high = np.percentile(np.asarray(given.dataobj), [1, 99])
    answer = np.asarray(found["counterfactual"].dataobj)
    assert abs(np.median(answer) - np.median(np.asarray(given.dataobj))) < 0.1 * (high - low)


def test_python_answers_one_volume_and_plots_its_planes(run, volumes, tmp_path):
    model = segue.load(run, method="segue")
    path = sorted((volumes / "images").glob("*.nii.gz"))[1]
    image, spacing = model.read(path)
    answer = model.counterfactual(image, {"back@low": "+1sd"}, spacing=spacing)
    figure = answer.plot()
    figure.savefig(tmp_path / "answer.png")
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape[0] > 16 + 24 and shown.shape[1] > 16 + 24  # three planes, with a gap between them
    nothing = model.counterfactual(image, {}, spacing=spacing)
    assert not nothing.difference.any()


def test_a_cohort_of_volumes_is_generated(run, volumes, tmp_path):
    out, plan = tmp_path / "generated", tmp_path / "plan.yaml"
    plan.write_text('interventions: [{"back@high": "-10%"}]\n')
    asked = ["--cohort", str(volumes), "--do", str(plan), "--method", "moving", "--format", "nifti"]
    assert main(["generate", str(run), *asked, "--out", str(out)]) == 0
    assert len(list(out.rglob("*.nii.gz"))) == len(list((volumes / "images").iterdir()))
