import numpy as np
import polars as pl
import pytest

from segue.evaluation.bootstrap import bootstrap_ci
from segue.evaluation.pool import average, combined, pooled


def effects(images, errors):
    n = len(images)
    return pl.DataFrame(
        {
            "image": images, "variable": ["a"] * n, "requested": [10.0] * n, "judge": [10.0 + e for e in errors],
            "judge_factual": [8.0] * n, "guide": [10.0] * n, "off_target": [0.5] * n, "moved/a": [1.0] * n,
            "outside": [1.0] * n, "total": [4.0] * n,
            "change_outside": [0.1] * n, "change_inside": [0.2] * n,
        }
    )  # fmt: skip


def fold(n, sd, **method):
    return {
        "study": "fold", "n_images": n, "n_subjects": n, "unit": "px", "variables": ["a"], "sd": {"a": sd},
        "fallbacks": {"a": 1}, "seconds": 10.0, "well_posed": None,
        "methods": {"no_cft": {"mean": {"error_sd": 1.0}, **method}},
    }  # fmt: skip


def test_requests_are_pooled_and_axioms_averaged_by_images():
    local = [{"auc": auc, "ci95": [auc - 0.1, auc + 0.1], "by_variable": {}} for auc in (0.5, 0.8)]
    each = zip((2, 4), (3.0, 4.0), (0.0, 0.3), local, strict=True)
    folds = [fold(n, sd, composition=composition, local_realism=auc) for n, sd, composition, auc in each]
    tables = [effects([0, 1], [1.0, 2.0]), effects([2, 3, 4, 5], [0.0, 0.0, 3.0, 3.0])]
    subjects = list("abcdee")
    found = pooled(folds, {"no_cft": tables}, subjects=subjects, bootstrap=200, seed=0)
    method, sd = found["methods"]["no_cft"], np.sqrt((9 + 16) / 2)
    assert found["sd"]["a"] == pytest.approx(sd)
    assert method["mean"]["error"] == pytest.approx(9 / 6)
    assert method["mean"]["error_sd"] == pytest.approx(9 / 6 / sd)
    errors = np.array([1.0, 2.0, 0.0, 0.0, 3.0, 3.0]) / sd
    expected = bootstrap_ci(errors, np.array(subjects), draws=200, seed=0)
    assert method["variables"]["a"]["ci95"] == pytest.approx(expected)
    assert method["composition"] == pytest.approx(0.2)
    assert method["local_realism"]["auc"] == pytest.approx(0.7)
    reach = np.hypot(2, 4) / 6 * 0.1
    assert method["local_realism"]["ci95"] == pytest.approx([0.7 - reach, 0.7 + reach])
    assert method["mean"]["leakage"] == pytest.approx(0.25)
    assert (found["n_images"], found["n_subjects"], found["seconds"]) == (6, 5, 20.0)  # e has two images
    assert found["fallbacks"] == {"a": 2} and found["well_posed"] is None
    assert found["folds"] == [{"no_cft": 1.0}] * 2


def test_interval_of_a_mean_of_independent_folds_is_that_of_simulation():
    random = np.random.default_rng(0)
    spread, weights = np.array([1.0, 2.0, 0.5]), [1, 1, 2]
    spans = [[5 - 1.96 * s, 5 + 1.96 * s] for s in spread]
    low, high = combined([5.0] * 3, spans, weights)
    means = (random.normal(5, spread, (200_000, 3)) * np.array(weights) / 4).sum(1)
    assert [low, high] == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist(), abs=0.02)


def test_trees():
    parts = [{"n": {"x": 1, "name": "a"}, "v": {"value": 0.0, "band": [-3.0, 3.0]}, "u": None}] * 1
    parts += [{"n": {"x": 4, "name": "a"}, "v": {"value": 2.0, "band": [-2.0, 6.0]}, "u": 3.0}]
    found = average(parts, [2, 1])
    assert found["n"] == {"x": 2.0, "name": "a"} and found["u"] is None
    assert found["v"]["value"] == pytest.approx(2 / 3)
    reach = np.hypot(2, 4 / 3)
    assert found["v"]["band"] == pytest.approx([2 / 3 - reach, 2 / 3 + reach])


def test_what_one_fold_lacks_is_not_known():
    whole = {"nelbo": 2.0, "frechet": {"value": 1.0, "ci95": [0.0, 2.0]}}
    found = average([whole, {"nelbo": None}], [1, 1])
    assert found == {"nelbo": None, "frechet": None}
    folds = [fold(2, 3.0, composition=0.0), fold(2, 3.0)]
    tables = [effects([0, 1], [1.0, 2.0]), effects([2, 3], [0.0, 3.0])]
    method = pooled(folds, {"no_cft": tables}, subjects=list("abcd"), bootstrap=10, seed=0)["methods"]["no_cft"]
    assert method["composition"] is None and method["mean"]["error"] == pytest.approx(1.5)
