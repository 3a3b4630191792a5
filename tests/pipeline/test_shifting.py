"""`segue evaluate STUDY --shift NAME`: the test images of a small study, as other scanners would make them."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from small_study import trained_by_percentiles, write_study

from segue.cli import main
from segue.cohort import Store
from segue.evaluation.shift import SHIFTS, shifted
from segue.pipeline.common import open_store
from segue.study.read import load_study


@pytest.fixture(scope="module")
def study():
    path = trained_by_percentiles()
    assert main(["evaluate", str(path), "--shift", "all"]) == 0
    return load_study(path)


def read(study, shift):
    return json.loads((study.directory / "shifted" / shift / "metrics.json").read_text())


@pytest.mark.parametrize("name", SHIFTS)
def test_a_shift_is_judged_on_the_shifted_test_images(study, name):
    own, other = open_store(study), Store(study.directory / "shifted" / name / "cohort.zarr")
    rows = own.indices("test")
    assert other.table["id"].to_list() == own.table["id"][rows.tolist()].to_list()
    assert other.table["subject"].to_list() == own.table["subject"][rows.tolist()].to_list()
    assert set(other.table["split"]) == {"test"} and other.unit == own.unit
    before, after = own.read(rows[2:3]), other.read(np.array([2]))
    torch.manual_seed(int(rows[2]))
    image, fractions = shifted(SHIFTS[name], before["image"], before["fractions"])
    assert torch.equal(after["image"], image) and torch.equal(after["fractions"], fractions)
    torch.testing.assert_close(after["spacing"], SHIFTS[name].kept * before["spacing"])
    found = read(study, name)
    assert set(found["methods"]) == {"no_cft", "segue"} and found["n_images"] == 8
    assert (study.directory / "shifted" / name / "report.html").is_file()


def test_one_table_compares_all_shifts_with_the_studys_own_evaluation(study):
    found = json.loads((study.directory / "shifted" / "shifts.json").read_text())
    own = json.loads((study.directory / "evaluate" / "metrics.json").read_text())["methods"]
    assert list(found["shifts"]) == list(SHIFTS)
    for name, methods in found["shifts"].items():
        for key, method in methods.items():
            error = read(study, name)["methods"][key]["mean"]["error_sd"]
            assert method["error_sd"] == error
            assert method["ratio"] == pytest.approx(error / own[key]["mean"]["error_sd"])
    lines = (study.directory / "shifted" / "shifts.md").read_text().splitlines()
    assert sum(line.startswith("| ") for line in lines) == 2 + 2 * (1 + len(SHIFTS))


def test_with_percentiles_brightness_and_contrast_cost_nothing(study):
    found = json.loads((study.directory / "shifted" / "shifts.json").read_text())["shifts"]
    for name in ("half_contrast", "darker"):
        for method in found[name].values():
            assert method["ratio"] == pytest.approx(1, abs=1e-3)
        own, other = (
            pl.read_parquet(study.directory / folder / "effects-segue.parquet")
            for folder in ("evaluate", f"shifted/{name}")
        )
        np.testing.assert_allclose(other["judge"], own["judge"], rtol=1e-3, atol=1e-3)


def test_one_shift_alone_prints_its_means(study, capsys):
    assert main(["evaluate", str(study.directory), "--shift", "noisy"]) == 0
    assert "error (sd)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--shift", "blured"], "--shift blured: is no shift; did you mean blurred?"),
        (["--shift", "noisy", "--cohort", "x"], "give one of --cohort, --method and --shift"),
        (["--shift", "noisy", "--cohort.folds", "2"], "is a cross-validation; give one of its folds"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(study, options, said, capsys):
    assert main(["evaluate", str(trained_by_percentiles()), *options]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_an_untrained_study_is_refused(tmp_path, capsys):
    assert main(["evaluate", str(write_study(tmp_path)), "--runs", str(tmp_path), "--shift", "all"]) == 2
    assert "is not trained; run `segue run`" in capsys.readouterr().err
