"""The two-sample test against closed forms, a direct double sum, MONAI, and samples whose difference is known."""

import numpy as np
import pytest
import torch
from monai.metrics.fid import get_fid_score

from segue.evaluation import two_sample
from segue.evaluation.two_sample import (
    Components,
    Sampled,
    TwoSample,
    frechet,
    kernel_distance,
    moments,
    random_halves,
    realism,
)

RANDOM = np.random.default_rng(0)


def once(n: int) -> np.ndarray:
    """Every image counts once: one draw."""
    return np.ones((1, n))


# ---- Frechet -----------------------------------------------------------------------------------------------------


def test_frechet_of_gaussians_that_commute_is_the_closed_form():
    # |m - m'|^2 + sum (s - s')^2, for diagonal covariances
    means = np.array([[0.0, 1, 2]]), np.array([[1.0, 1, 0]])
    sds = np.array([1.0, 2, 0.5]), np.array([3.0, 2, 1])
    found = frechet(means[0], np.diag(sds[0] ** 2)[None], means[1], np.diag(sds[1] ** 2)[None])
    assert found == pytest.approx([1 + 4 + (2**2 + 0 + 0.5**2)])


def test_frechet_does_not_depend_on_the_axes_and_keeps_rows_apart():
    turn, _ = np.linalg.qr(RANDOM.normal(size=(3, 3)))
    cov = np.stack([np.diag([1.0, 4, 9]), np.eye(3)])
    other = np.stack([np.diag([4.0, 1, 1]), 4 * np.eye(3)])
    zero = np.zeros((2, 3))
    expected = [(2 - 1) ** 2 + (1 - 2) ** 2 + (1 - 3) ** 2, 3.0]
    assert frechet(zero, cov, zero, other) == pytest.approx(expected)
    assert frechet(zero, turn @ cov @ turn.T, zero, turn @ other @ turn.T) == pytest.approx(expected)


def test_frechet_of_samples_is_monais():
    one, other = RANDOM.normal(size=(40, 5)), RANDOM.normal(0.3, 1.4, size=(60, 5))
    expected = float(get_fid_score(torch.from_numpy(one), torch.from_numpy(other)))
    assert frechet(*moments(one, once(40)), *moments(other, once(60))) == pytest.approx([expected])


def test_a_weight_is_so_many_copies():
    sample, weights = RANDOM.normal(size=(5, 3)), np.array([[2, 0, 1, 3, 0]])
    mean, cov = moments(sample, weights.astype(float))
    copies = sample.repeat(weights[0], axis=0)
    np.testing.assert_allclose(mean[0], copies.mean(0))
    np.testing.assert_allclose(cov[0], np.cov(copies.T))


def test_one_image_has_no_covariance_and_no_distance():
    mean, cov = moments(RANDOM.normal(size=(3, 2)), np.array([[1.0, 0, 0], [1, 1, 1]]))
    assert np.isnan(frechet(mean, cov, mean, cov)).tolist() == [True, False]


# ---- the kernel distance -----------------------------------------------------------------------------------------


def direct(one: np.ndarray, other: np.ndarray) -> float:
    """The unbiased MMD^2 of Gretton et al., term by term."""

    def k(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    n, m = len(one), len(other)
    within = sum(k(one[i], one[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within += sum(k(other[i], other[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within - 2 * sum(k(x, y) for x in one for y in other) / (n * m)


def test_kernel_distance_is_the_double_sum():
    factual, changed = RANDOM.normal(size=(9, 4)), RANDOM.normal(0.5, 1, size=(9, 4))
    first = (np.arange(9) < 5).astype(float)[None]
    found = kernel_distance(factual, changed, np.arange(9), first, 1 - first)
    assert found == pytest.approx([direct(factual[:5], changed[5:])])


def test_kernel_distance_is_unbiased():
    first = (np.arange(12) < 6).astype(float)[None]
    found = [
        kernel_distance(sample, sample, np.arange(12), first, 1 - first)[0]
        for sample in np.random.default_rng(1).normal(size=(400, 12, 2))
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))


def test_two_images_of_a_subject_are_no_pair():
    factual = RANDOM.normal(size=(6, 2))
    doubled = factual.repeat(2, axis=0)
    half = (np.arange(6) < 3).astype(float)[None]
    expected = kernel_distance(factual, factual, np.arange(6), half, 1 - half)
    twice = half.repeat(2, axis=1)
    found = kernel_distance(doubled, doubled, np.arange(6).repeat(2), twice, 1 - twice)
    assert found == pytest.approx(expected)


# ---- halves and components ---------------------------------------------------------------------------------------


def test_halves_share_no_subject_and_are_of_one_size():
    group = np.repeat(np.arange(9), 2)
    one, other = random_halves(group, bootstrap=5, seed=0)
    assert one.shape == other.shape == (two_sample.HALVINGS + 5 * two_sample.HALVINGS_A_DRAW, 18)
    assert not (one * other).any()
    assert (one[:, ::2] == one[:, 1::2]).all()  # whole subjects
    facts = slice(two_sample.HALVINGS)
    assert (one[facts].sum(1) == 8).all() and (other[facts].sum(1) == 8).all()  # of nine subjects one rests
    drawn = (one + other)[two_sample.HALVINGS :]
    assert drawn.max() > 1 and drawn.sum(1).max() <= 18


def test_components_are_standardised_and_find_the_plane():
    plane = RANDOM.normal(size=(50, 2)) * [3, 0.1]
    sample = plane @ np.linalg.qr(RANDOM.normal(size=(10, 10)))[0][:2] + 7
    found = Components(sample, 5)(sample)
    assert found.shape == (50, 2)  # there are no more
    np.testing.assert_allclose(np.cov(found.T), np.eye(2), atol=1e-9)
    whitened = plane - plane.mean(0)
    distance = np.einsum("ij,jk,ik->i", whitened, np.linalg.inv(np.cov(plane.T)), whitened)
    np.testing.assert_allclose((found**2).sum(1), distance)  # Mahalanobis


# ---- the test ----------------------------------------------------------------------------------------------------

N = 120
FACTUAL = np.random.default_rng(2).normal(size=(N, 3)) @ np.random.default_rng(3).normal(size=(3, 20))
SUBJECTS = [f"s{i}" for i in range(N)]


def outcome(**changed: np.ndarray) -> tuple[dict, dict]:
    baseline = {name: "no_cft" for name in changed if name != "no_cft"}
    return realism(FACTUAL, changed, baseline=baseline, subjects=SUBJECTS, bootstrap=200, seed=0)


def test_other_images_of_the_cohort_are_told_from_nothing():
    others = np.random.default_rng(5).permutation(FACTUAL)
    found, facts = outcome(no_cft=others)
    for kind in ("frechet", "kernel"):
        low, high = facts[kind]["band"]
        assert low <= found["no_cft"][kind]["value"] <= high
        over = found["no_cft"][kind]["over_facts"]
        assert over["ci95"][0] <= 0 <= over["ci95"][1]


def test_a_shift_is_seen_and_its_size_is_right():
    found, facts = outcome(no_cft=FACTUAL, shifted=FACTUAL + 2 * FACTUAL.std(0))
    for kind in ("frechet", "kernel"):
        assert found["shifted"][kind]["value"] > facts[kind]["band"][1]
        assert found["shifted"][kind]["over_facts"]["ci95"][0] > 0
        over = found["shifted"][f"{kind}_over_no_cft"]
        assert over["ci95"][0] > 0
        assert over["value"] == pytest.approx(found["shifted"][kind]["value"] - found["no_cft"][kind]["value"])
        # doing nothing is as far from the other half as that half's own facts
        assert found["no_cft"][kind]["over_facts"] == {"value": 0, "ci95": [0, 0]}
    # a shift leaves covariances alone: |shift|^2 in standardised components, whose means differ by sampling
    components = Components(FACTUAL, 12)
    expected = ((components(FACTUAL + 2 * FACTUAL.std(0)) - components(FACTUAL)) ** 2).sum(1)[0]
    over = found["shifted"]["frechet"]["over_facts"]
    assert over["value"] == pytest.approx(expected, rel=1e-6)  # halvings come with their mirror: cross terms cancel


def test_too_few_subjects_for_a_test():
    few = [f"s{i % 7}" for i in range(N)]
    assert realism(FACTUAL, {"a": FACTUAL}, baseline={}, subjects=few, bootstrap=10, seed=0) == ({"a": {}}, None)


def test_the_same_seed_gives_the_same_test():
    once_, again = (TwoSample(FACTUAL, SUBJECTS, bootstrap=20, seed=3)(FACTUAL[::-1]) for _ in range(2))
    assert all((once_[kind].draws == again[kind].draws).all() for kind in once_)


def test_intervals_are_centred_on_the_value_and_skip_what_is_undefined():
    draws = np.append(10 + np.linspace(-1, 1, 401), np.nan)
    assert Sampled(3.0, draws).summary() == {"value": 3.0, "ci95": pytest.approx([3 - 0.95, 3 + 0.95])}
