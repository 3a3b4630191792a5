"""Somebody else's model in the same table: requests go out, a folder of images comes back."""

import json
import shutil

import nibabel
import numpy as np
import polars as pl
import pytest
from small_study import METHODS, VARIABLES, trained

from segue.cohort import Store
from segue.errors import InputError
from segue.pipeline.exchange import evaluate_folders, export_requests
from segue.study.read import load_study

pytestmark = pytest.mark.xdist_group("small_study")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A copy of the small study's run, which may be written to."""
    file, run = trained()
    runs = tmp_path_factory.mktemp("runs")
    shutil.copytree(run, runs / run.name)
    return load_study(file, ["--runs", str(runs)])


@pytest.fixture(scope="module")
def requests(study, tmp_path_factory):
    return export_requests(study, tmp_path_factory.mktemp("out") / "requests")


def do_nothing(requests, answers):
    """The three lines of the documentation: every request is answered with the factual image."""
    answers.mkdir()
    for row in pl.read_csv(requests / "requests.csv").iter_rows(named=True):
        shutil.copy(requests / row["image"], answers / row["answer"])


def test_what_goes_out_is_what_every_method_is_asked(study, requests):
    table, store = pl.read_csv(requests / "requests.csv"), Store(study.directory / "prepare" / "cohort.zarr")
    about = json.loads((requests / "about.json").read_text())
    assert about["variables"] == VARIABLES and about["size"] == [16, 48] and about["unit"] == "mm2"
    effects = pl.read_parquet(study.directory / "evaluate" / "effects-no_cft.parquet")
    ids = store.table["id"].to_list()
    expected = {(ids[row["image"]], row["variable"]): row for row in effects.iter_rows(named=True)}
    assert len(table) == len(expected) == 8 * 9
    for row in table.iter_rows(named=True):
        one = expected[row["id"], row["variable"]]
        assert row["requested"] == pytest.approx(one["requested"], rel=1e-6)
        assert row["factual"] == pytest.approx(one["factual"], rel=1e-6)
    id = table["id"][0]
    image = np.asarray(nibabel.load(requests / "images" / f"{id}.nii.gz").dataobj)
    np.testing.assert_array_equal(image, store.read(np.array([ids.index(id)]))["image"][0, 0])
    regions = np.asarray(nibabel.load(requests / "regions" / f"{id}.nii.gz").dataobj)
    assert regions.shape == (16, 48, 9) and regions[..., :3].sum(-1) == pytest.approx(1)


def test_a_folder_of_images_is_judged_in_the_same_table(study, requests, tmp_path):
    do_nothing(requests, tmp_path / "answers")
    folder = evaluate_folders(study, {"mine": tmp_path / "answers"})
    metrics = json.loads((folder / "metrics.json").read_text())
    own = json.loads((study.directory / "evaluate" / "metrics.json").read_text())
    assert list(metrics["methods"]) == [*METHODS, "mine", "oracle"]
    for name in METHODS:  # read from the study's evaluation, or asked the same: the same numbers
        assert metrics["methods"][name] == own["methods"][name]
    mine = metrics["methods"]["mine"]
    assert mine["mean"]["off_target_sd"] == 0 and mine["mean"]["change_inside"] == 0
    assert mine["truth"]["mae"] == pytest.approx(metrics["truth_of_doing_nothing"]["mae"], rel=1e-4)
    assert not {"composition", "reversibility", "nelbo"} & mine.keys()
    lines = (folder / "table1.md").read_text().splitlines()
    (means,) = [line for line in lines if line.startswith("| mine") and "–" in line][:1]
    assert means
    assert "mine" in (folder / "report.html").read_text() and (folder / "figure1.png").exists()


def test_what_is_missing_or_of_another_size_is_named_before_anything_is_written(study, requests, tmp_path):
    answers = tmp_path / "answers"
    do_nothing(requests, answers)
    first = sorted(answers.iterdir())[0]
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8), np.float32), np.eye(4)), first)
    with pytest.raises(InputError, match=rf"{first.name}: is \(8, 8\)"):
        evaluate_folders(study, {"other": answers})
    first.unlink()
    with pytest.raises(InputError, match=rf"{first.name}: is missing"):
        evaluate_folders(study, {"other": answers})
    with pytest.raises(InputError, match="no such folder"):
        evaluate_folders(study, {"other": tmp_path / "nowhere"})
    with pytest.raises(InputError, match="has a method of this name"):
        evaluate_folders(study, {"no_cft": answers})
    with pytest.raises(InputError, match="letters, digits"):
        evaluate_folders(study, {"../up": answers})
    with pytest.raises(InputError, match="exists already"):
        export_requests(study, requests)
    assert not list((study.directory / "compared").glob("other*"))
