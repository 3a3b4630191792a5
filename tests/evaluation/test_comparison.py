"""The two yardsticks of an evaluation against their definitions, computed row by row."""

import numpy as np
import polars as pl
import pytest

from segue.evaluation.bootstrap import Bootstrap, bootstrap_ci
from segue.evaluation.comparison import compare, doing_nothing, over_best

SD = {"a": 2.0, "b": 0.5}
SUBJECTS = [f"s{i // 2}" for i in range(12)]


def rows(seed, scale):
    random = np.random.default_rng(seed)
    tables = [
        pl.DataFrame({
            "image": range(12), "variable": [name] * 12, "requested": random.normal(5, sd, 12),
            "judge_factual": random.normal(5, sd, 12),
        }).with_columns(judge=pl.col("requested") + scale * sd * pl.Series(random.normal(0, 1, 12)))
        for name, sd in SD.items()
    ]  # fmt: skip
    return pl.concat(tables)


def test_the_difference_to_the_best_is_paired_by_request():
    tables = {"good": rows(0, 0.1), "bad": rows(1, 1.0), "oracle": rows(2, 0.01)}
    found = over_best(tables, SD, Bootstrap(SUBJECTS, 200, seed=0))
    assert set(found) == {"bad", "oracle"}  # the best is compared with itself, and the oracle is never the best

    def errors(name):
        table = tables[name].sort("variable", "image")
        return np.array([abs(r["judge"] - r["requested"]) / SD[r["variable"]] for r in table.iter_rows(named=True)])

    difference = errors("bad") - errors("good")
    assert found["bad"]["value"] == pytest.approx(difference.mean())
    expected = bootstrap_ci(difference, np.array([SUBJECTS[i] for i in range(12)] * 2), draws=200, seed=0)
    assert found["bad"]["ci95"] == pytest.approx(expected)
    assert found["oracle"]["value"] < 0


def test_rows_in_another_order_are_the_same_requests():
    first, other = rows(0, 0.1), rows(0, 0.1).with_columns(judge=pl.col("judge") + 10)
    draws = Bootstrap(SUBJECTS, 50, seed=0)
    ordered = over_best({"x": first, "y": other}, SD, draws)["y"]
    assert over_best({"x": first.reverse(), "y": other}, SD, draws)["y"]["value"] == pytest.approx(ordered["value"])


def test_doing_nothing_is_judged_on_the_factual_image():
    table = rows(3, 0.2)
    found = doing_nothing(table, SD, Bootstrap(SUBJECTS, 50, seed=0))
    for name, sd in SD.items():
        of = table.filter(pl.col("variable") == name)
        expected = np.abs(of["judge_factual"].to_numpy() - of["requested"].to_numpy()).mean() / sd
        assert found["variables"][name]["error_sd"] == pytest.approx(expected)
    assert found["mean"]["error_sd"] == pytest.approx(np.mean([v["error_sd"] for v in found["variables"].values()]))


def test_an_earlier_comparison_is_replaced():
    methods = {"good": {"over_best": {"value": 9.0}}, "bad": {}}
    compare(methods, {"good": rows(0, 0.1), "bad": rows(1, 1.0)}, SD, Bootstrap(SUBJECTS, 20, seed=0))
    assert "over_best" not in methods["good"] and methods["bad"]["over_best"]["value"] > 0
