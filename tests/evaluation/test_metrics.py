import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from segue.evaluation.bootstrap import Bootstrap, bootstrap_ci
from segue.evaluation.metric import METRICS
from segue.evaluation.metric.effects import leakage_ci, share_outside
from segue.evaluation.metrics import summarise

# ---- the bootstrap -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [20, 100])
def test_one_image_a_subject_is_scipys_percentile_bootstrap(n):
    values = np.random.default_rng(0).exponential(size=n)
    found = bootstrap_ci(values, np.arange(n), draws=20_000, seed=0)
    expected = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    width = expected.high - expected.low
    assert found == pytest.approx(tuple(expected), abs=0.04 * width)


def test_whole_subjects_are_drawn_by_scipy_too():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 6, size=40)
    subjects = np.repeat(np.arange(40), counts)
    values = rng.normal(size=40)[subjects] + 0.1 * rng.normal(size=len(subjects))
    sums = np.bincount(subjects, weights=values)

    def ratio(sums, counts, axis):
        return sums.sum(axis) / counts.sum(axis)

    expected = stats.bootstrap(
        (sums, counts), ratio, paired=True, vectorized=True, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    found = bootstrap_ci(values, subjects, draws=20_000, seed=0)
    assert found == pytest.approx(tuple(expected), abs=0.04 * (expected.high - expected.low))
    by_image = bootstrap_ci(values, np.arange(len(values)), draws=20_000, seed=0)
    assert found[1] - found[0] > 1.3 * (by_image[1] - by_image[0])  # images of one subject tell less


def test_a_single_subject_has_no_interval():
    found = bootstrap_ci(np.array([1.0, 2.0, 6.0]), np.array(["a", "a", "a"]), draws=100, seed=0)
    assert found == pytest.approx((3, 3))


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.integers(1, 5), st.integers(0, 100))
def test_the_interval_lies_within_the_subjects_means(values, groups, seed):
    values, subjects = np.array(values), np.arange(len(values)) % groups
    means = [values[subjects == group].mean() for group in set(subjects)]
    low, high = bootstrap_ci(values, subjects, draws=50, seed=seed)
    assert min(means) - 1e-9 <= low <= high <= max(means) + 1e-9
    assert (low, high) == bootstrap_ci(values, subjects, draws=50, seed=seed)


def test_it_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    draws = [bootstrap_ci(rng.normal(size=60), np.arange(60), draws=300, seed=i) for i in range(800)]
    assert 0.90 < np.mean([low <= 0 <= high for low, high in draws]) < 0.97


# ---- summaries by hand -------------------------------------------------------------------------------------------

EFFECTS = pl.DataFrame(
    {
        "image": [4, 2, 4, 2],
        "variable": ["a", "a", "b", "b"],
        "requested": [1.0, 5.0, 10.0, 20.0],
        "judge": [2.0, 2.0, 10.0, 26.0],
        "guide": [1.0, 4.0, 10.0, 20.0],
        "off_target": [0.1, 0.3, 0.0, 0.0],
        "moved/a": [-2.0, 1.0, 0.0, 0.0],
        "moved/b": [0.1, -0.3, 4.0, -2.0],
        "outside": [1.0, 0.0, 0.0, 0.0],
        "total": [3.0, 5.0, 0.0, 0.0],
        "change_outside": [0.01, 0.0, 0.0, 0.0],
        "change_inside": [0.1, 0.2, 0.0, 0.4],
    }
)


def test_summary_by_hand():
    subjects = ["-", "-", "anna", "-", "bert"]
    found = summarise(EFFECTS, sd={"a": 2.0, "b": 3.0}, subjects=subjects, bootstrap=500, seed=0)
    expected = {
        "a": {
            "error": 2.0,  # |2 - 1|, |2 - 5|
            "error_sd": 1.0,
            "ci95": [0.5, 1.5],  # anna's or bert's alone
            "off_target_sd": 0.2,
            "leakage": 1 / 8,
            "change_outside": 0.005,
            "change_inside": 0.15,
            "guide_error_sd": 0.25,
            "moved": {"a": 1.5, "b": 0.2},
        },
        "b": {
            "error": 3.0,
            "error_sd": 1.0,
            "ci95": [0.0, 2.0],
            "off_target_sd": 0.0,
            "leakage": 0.0,
            "change_outside": 0.0,
            "change_inside": 0.2,
            "guide_error_sd": 0.0,
            "moved": {"a": 0.0, "b": 3.0},
        },
    }
    assert found["variables"].keys() == expected.keys()
    for name, entry in expected.items():
        assert found["variables"][name].keys() == entry.keys()
        for key, value in entry.items():
            assert found["variables"][name][key] == pytest.approx(value), (name, key)
    mean = found["mean"]
    for key in [key for key in METRICS if key in expected["a"] and METRICS[key].averaged]:
        assert mean[key] == pytest.approx((expected["a"][key] + expected["b"][key]) / 2)
    # subjects: bert has (0.5, 0), anna (1.5, 2)
    assert mean["ci95"] == pytest.approx([0.25, 1.75])
    # of the changes: bert's fall a third outside of a and there is none of b, anna's inside
    assert mean["off_target_ci95"] == pytest.approx([0.05, 0.15])
    assert mean["leakage_ci95"] == pytest.approx([0, 1 / 6])


def test_the_interval_of_leakage_is_scipys():
    rng = np.random.default_rng(0)
    outside, inside = rng.exponential(size=(2, 2, 40))  # of two variables, on 40 images of one subject each
    table = pl.DataFrame(
        {
            "image": [*range(40), *range(40)],
            "variable": ["a"] * 40 + ["b"] * 40,
            "outside": outside.ravel(),
            "total": (outside + inside).ravel(),
        }
    )

    def share(chosen, axis):
        parts = [outside[v][chosen].sum(axis) / (outside[v] + inside[v])[chosen].sum(axis) for v in range(2)]
        return np.mean(parts, axis=0)

    expected = stats.bootstrap(
        (np.arange(40),), share, vectorized=True, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    found = leakage_ci(table, {"a": 1.0, "b": 1.0}, Bootstrap([str(i) for i in range(40)], draws=20_000, seed=0))
    assert found == pytest.approx(tuple(expected), abs=0.04 * (expected.high - expected.low))


def test_leakage_is_a_share_of_all_change():
    assert share_outside(EFFECTS) == 1 / 8
    assert share_outside(EFFECTS.filter(pl.col("variable") == "b")) == 0  # nothing changed at all


def test_well_posed_requests_have_an_error_of_their_own():
    table = EFFECTS.with_columns(well_posed=pl.Series([True, False, False, False]))
    subjects = ["-", "-", "anna", "-", "bert"]
    found = summarise(table, sd={"a": 2.0, "b": 3.0}, subjects=subjects, bootstrap=10, seed=0)
    # anna's |2 - 1| / 2 is the only one; no request for b is well-posed
    assert found["variables"]["a"]["error_sd_well_posed"] == found["mean"]["error_sd_well_posed"] == 0.5
    assert found["variables"]["b"]["error_sd_well_posed"] is None
    assert found["variables"]["a"]["error_sd"] == 1.0  # over all, as ever
    nobody = EFFECTS.with_columns(well_posed=pl.lit(False))
    found = summarise(nobody, sd={"a": 2.0, "b": 3.0}, subjects=subjects, bootstrap=10, seed=0)
    assert found["mean"]["error_sd_well_posed"] is None
