"""The registry: what it promises of every metric, and that one entry is all that a new metric needs."""

import dataclasses

import polars as pl
import pytest

from segue.evaluation.metric import FAMILIES, METRICS, Metric, shown_in
from segue.evaluation.metrics import summarise
from segue.report.console import summary_table
from segue.report.table import table1

ROWS = pl.DataFrame({"image": [0, 1], "variable": ["a", "a"], "requested": [4.0, 4.0], "judge": [5.0, 1.0]})
WORST = Metric(
    "worst_sd", "worst (sd)", "low", "sd", "largest error",
    compute=lambda table, sd: float((table["judge"] - table["requested"]).abs().max()) / sd,
    columns=("judge", "requested"), shown_in=("table", "console"),
)  # fmt: skip


def summary(rows=ROWS):
    return summarise(rows, sd={"a": 2.0}, subjects=["anna", "bert"], bootstrap=10, seed=0)


def test_keys_and_paths_are_unique():
    families = [metric for family in FAMILIES.values() for metric in family.metrics]
    assert len(METRICS) == len(families)
    paths = [(metric.path, metric.minus) for metric in families]
    assert len(set(paths)) == len(paths)


def test_every_metric_is_described():
    for metric in METRICS.values():
        assert metric.title and metric.caption and not metric.caption.endswith("."), metric.key
        assert metric.direction in ("low", "high", None)
        assert metric.interval or not metric.aggregate, metric.key
        assert metric.columns or not metric.compute or metric.key == "moved", metric.key


def test_one_entry_adds_a_metric_everywhere(monkeypatch):
    effects = FAMILIES["effects"]
    more = dataclasses.replace(effects, metrics=(*effects.metrics, WORST))
    monkeypatch.setitem(FAMILIES, "effects", more)
    monkeypatch.setitem(METRICS, WORST.key, WORST)
    found = summary()
    assert found["variables"]["a"]["worst_sd"] == found["mean"]["worst_sd"] == 1.5
    metrics = {"study": "s", "n_images": 2, "methods": {"mine": found}}
    assert "worst (sd)" in table1(metrics) and "Worst (sd): largest error." in table1(metrics)
    (column,) = [column for column in summary_table(metrics).columns if column.header == "worst (sd)"]
    assert list(column.cells) == ["1.500"]


def test_what_the_rows_lack_is_left_out():
    found = summary()
    assert set(found["mean"]) == {"error", "error_sd", "ci95"}
    assert set(found["variables"]["a"]) == {"error", "error_sd", "ci95", "moved"}


@pytest.mark.parametrize("entry", [{}, {"mean": None}, {"mean": {}, "nelbo": None, "realism": {"frechet": None}}])
def test_a_method_without_a_metric_has_none(entry):
    for metric in METRICS.values():
        assert metric.value(entry) is None and metric.ci95(entry) is None


def test_a_difference_needs_both_numbers():
    gap = METRICS["gap"]
    assert gap.value({"nelbo": {"test": 2.5, "guide": 1.0}}) == 1.5
    assert gap.value({"nelbo": {"test": 2.5}}) is None and gap.value({"nelbo": {"guide": 2.5}}) is None


def test_the_console_shows_few():
    assert [metric.key for metric in shown_in("console")] == ["error_sd", "off_target_sd", "leakage", "reversibility"]
