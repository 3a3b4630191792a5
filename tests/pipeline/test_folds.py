"""A cross-validation from end to end, through the command line."""

import json
from pathlib import Path

import polars as pl
import pytest
from small_study import CHEST, scratch, write_chest, write_study

import segue
from segue.cli import main
from segue.cohort import Store
from segue.errors import InputError


@pytest.fixture(scope="module")
def run() -> Path:
    folder = scratch()
    images = write_chest(folder / "cohort", subjects=16)
    study = write_study(folder, CHEST.format(folder=images))
    assert main(["run", str(study), "--runs", str(folder / "runs"), "--cohort.folds", "2"]) == 0
    return folder / "runs" / "chest"


def metrics_of(run: Path) -> dict:
    return json.loads((run / "evaluate" / "metrics.json").read_text())


def test_every_subject_is_tested_by_models_that_have_not_seen_it(run):
    tables = [Store(run / f"fold-{i}" / "prepare" / "cohort.zarr").table for i in (1, 2)]
    assert tables[0]["id"].to_list() == tables[1]["id"].to_list()
    tested = [set(table.filter(pl.col("split") == "test")["subject"]) for table in tables]
    assert not tested[0] & tested[1] and len(tested[0] | tested[1]) == 16


def test_numbers_are_over_all_folds(run):
    whole, folds = metrics_of(run), [metrics_of(run / f"fold-{i}") for i in (1, 2)]
    assert whole["study"] == "chest" and whole["n_images"] == sum(fold["n_images"] for fold in folds)
    for name, method in whole["methods"].items():
        for variable, found in method["variables"].items():
            parts = [fold["methods"][name]["variables"][variable]["error"] for fold in folds]
            counts = [fold["n_images"] for fold in folds]
            mean = sum(p * n for p, n in zip(parts, counts, strict=True)) / sum(counts)
            assert found["error"] == pytest.approx(mean, rel=1e-5)
    table = (run / "evaluate" / "table1.md").read_text()
    assert "Cross-validation: each subject is tested once, by models of 2 folds" in table
    page = (run / "report" / "report.html").read_text()
    assert "<b>2</b><span>folds</span>" in page
    assert "fold-1: " in page and "fold-2: " in page and "The causal graph" in page


def test_what_is_done_is_not_done_again(run, capsys):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("model.safetensors")}
    assert main(["run", str(run / "study.yaml")]) == 0
    assert "fold-2: finetune/pos_seg_cft: done before" in capsys.readouterr().err.replace("\n", " ")
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("model.safetensors")}


def test_models_are_the_folds(run, tmp_path, capsys):
    with pytest.raises(InputError, match=r"is a cross-validation.*fold-1"):
        segue.load(run)
    model = segue.load(run / "fold-2")
    assert model.variables == tuple(metrics_of(run)["variables"])
    images = write_chest(tmp_path / "other", subjects=2)
    assert main(["evaluate", str(run / "study.yaml"), "--cohort", str(images)]) == 2
    assert "give one of its folds" in capsys.readouterr().err


@pytest.mark.parametrize(("folds", "fold"), [("1", "0"), ("-2", "0"), ("3", "4")])
def test_bad_folds(run, folds, fold, capsys):
    assert main(["run", str(run / "study.yaml"), "--cohort.folds", folds, "--cohort.fold", fold]) == 2
    assert "cohort.folds is" in capsys.readouterr().err
