"""Areas, their covariance and intervals: by hand, against published numbers, on readers whose area is known."""

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from segue.readers.agreement import agreement, weighted_kappa
from segue.readers.mrmc import estimate, of_difference, of_one_reader, of_readers
from segue.readers.roc import RocAreas, roc_areas

VAN_DYKE = np.array([
    [0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066],
    [0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169],
])  # fmt: skip
"""Two methods and five readers (Van Dyke et al. 1993), as analysed by RJafroc and OR-DBM MRMC."""


def van_dyke() -> RocAreas:
    """The areas with the published variance components."""
    covariance = np.full((2, 5, 2, 5), 0.00023902837)  # Cov3
    for method, (variance, cov2) in enumerate([(0.00101410277, 0.00048396180), (0.00059047376, 0.00020418785)]):
        covariance[method, :, method] = np.where(np.eye(5), variance, cov2)
    for reader in range(5):
        covariance[0, reader, 1, reader] = covariance[1, reader, 0, reader] = 0.00034661371  # Cov1
    return RocAreas(VAN_DYKE, covariance)


def test_the_published_analysis_of_five_readers():
    found = van_dyke()
    for method, expected in enumerate([(0.89703704, 0.033173597, 12.744648, 0.82522360, 0.96885048),
                                       (0.94083736, 0.021566368, 12.710190, 0.89413783, 0.98753689)]):  # fmt: skip
        one = of_readers(found, method)
        assert (one.value, one.se, one.df, *one.ci95) == pytest.approx(expected, rel=1e-5)
    one = of_difference(found, 0, 1)
    assert (one.value, one.se, one.df) == pytest.approx((-0.043800322, 0.020748618, 15.259675), rel=1e-5)
    assert one.ci95 == pytest.approx((-0.087959499, 0.00035885444), abs=1e-7)
    assert one.p == pytest.approx(0.051665686, rel=1e-5)


def test_areas_are_mann_whitneys_and_the_covariance_is_the_jackknifes():
    rng = np.random.default_rng(0)
    *edited, real = (rng.integers(0, 10, (2, n)).astype(float) for n in (9, 11, 13))
    found = roc_areas(edited, real)
    for m in range(2):
        for r in range(2):
            wins = mannwhitneyu(edited[m][r], real[r]).statistic
            assert found.auc[m, r] == pytest.approx(wins / (edited[m].shape[1] * 13))

    def jackknife(which, count):
        """The covariance of all areas when cases of one sample are left out in turn."""
        left = []
        for i in range(count):
            kept = np.arange(count) != i
            parts = [one[:, kept] if which == m else one for m, one in enumerate(edited)]
            left.append(roc_areas(parts, real[:, kept] if which == "real" else real).auc.ravel())
        apart = np.array(left) - np.mean(left, axis=0)
        return (count - 1) / count * apart.T @ apart

    whole = jackknife("real", 13) + jackknife(0, 9) + jackknife(1, 11)
    np.testing.assert_allclose(found.covariance.reshape(4, 4), whole, rtol=1e-9, atol=1e-12)


def test_a_perfect_reader_and_one_who_guesses_the_same_each_time():
    found = roc_areas([np.array([[9.0, 8.0], [4.0, 4.0]])], np.array([[0.0, 1.0], [4.0, 4.0]]))
    assert found.auc.tolist() == [[1.0, 0.5]]
    perfect = of_one_reader(found, 0, 0)
    assert perfect.ci95 == (1.0, 1.0) and perfect.df == math.inf
    low, high = of_readers(found, 0).ci95
    assert 0 <= low < 0.75 < high <= 1
    assert estimate(0.0, 0.0, math.inf).p == 1 and estimate(0.1, 0.0, math.inf).p == 0


def simulated(rng, *, readers, cases, separation, spread, method_spread=0.0, shared=0.4):
    """Ratings from 0 to 9 by the model of Roe & Metz (Acad Radiol 1997;4:298), two methods of equal difficulty.

    Readers differ by `spread` in where they put real and edited cases. Of a case's variance, `shared` is common to all
    readers.
    """
    def ratings(mean, count, own):
        case = np.sqrt(shared) * rng.normal(size=(1, count))
        return mean + own[:, None] + case + np.sqrt(1 - shared) * rng.normal(size=(readers, count))

    of_reader = [spread * rng.normal(size=readers) for _ in range(2)]
    real = ratings(0.0, cases, of_reader[0])
    edited = [
        ratings(separation, cases, of_reader[1] + method_spread * rng.normal(size=readers)) for _ in range(2)
    ]
    edges = np.linspace(-1.5, 3, 9)
    return [np.digitize(one, edges).astype(float) for one in edited], np.digitize(real, edges).astype(float)


def true_area(separation, spread, method_spread=0.0):
    """The expected area of a reader drawn at random, of ratings from 0 to 9."""
    edges = [-np.inf, *np.linspace(-1.5, 3, 9), np.inf]
    real = np.diff(norm.cdf(edges, 0, np.hypot(1, spread)))
    edited = np.diff(norm.cdf(edges, separation, np.sqrt(1 + spread**2 + method_spread**2)))
    above = np.concatenate([[0], np.cumsum(real)[:-1]]) + real / 2
    return float(edited @ above)


@pytest.mark.parametrize(("separation", "spread"), [(0.0, 0.2), (1.0, 0.3), (1.6, 0.1)])
def test_intervals_cover_the_known_area_of_simulated_readers(separation, spread):
    rng, truth, draws = np.random.default_rng(1), true_area(separation, spread), 400
    covered = []
    for _ in range(draws):
        found = roc_areas(*simulated(rng, readers=4, cases=30, separation=separation, spread=spread))
        low, high = of_readers(found, 0).ci95
        covered.append(low <= truth <= high)
    assert 0.925 <= np.mean(covered) <= 0.985


def test_a_difference_of_equal_methods_is_found_as_often_as_chance_says():
    rng, draws, size = np.random.default_rng(2), 400, {"readers": 4, "cases": 30}
    found = [
        of_difference(roc_areas(*simulated(rng, **size, separation=1.0, spread=0.3, method_spread=0.15)), 0, 1)
        for _ in range(draws)
    ]
    covered = np.mean([one.ci95[0] <= 0 <= one.ci95[1] for one in found])
    assert 0.925 <= covered <= 0.99
    assert covered == np.mean([one.p >= 0.05 for one in found])


def test_one_reader_has_an_interval_over_cases():
    rng, truth = np.random.default_rng(3), true_area(1.0, 0.0)
    covered = []
    for _ in range(400):
        found = roc_areas(*simulated(rng, readers=1, cases=40, separation=1.0, spread=0.0))
        assert of_readers(found, 0) == of_one_reader(found, 0, 0)
        low, high = of_readers(found, 0).ci95
        covered.append(low <= truth <= high)
        both = of_difference(found, 0, 1)
        assert both.df == math.inf and both.se > 0
    assert 0.91 <= np.mean(covered) <= 0.98


# ---- kappa -------------------------------------------------------------------------------------------------------


def test_kappa_by_the_table_of_counts():
    """Cohen's definition: 1 - sum(w f) / sum(w e), with counts f, expected counts e and weights (i - j)^2."""
    rng = np.random.default_rng(0)
    one = rng.integers(1, 6, 80)
    other = np.clip(one + rng.integers(-1, 2, 80), 1, 5)
    counts = np.zeros((5, 5))
    np.add.at(counts, (one - 1, other - 1), 1)
    expected = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
    weights = (np.arange(5)[:, None] - np.arange(5)) ** 2
    by_table = 1 - (weights * counts).sum() / (weights * expected).sum()
    assert weighted_kappa(one.astype(float), other.astype(float)) == pytest.approx(by_table)


def test_kappa_of_chance_of_opposites_and_of_one_value():
    rng = np.random.default_rng(1)
    one, other = rng.integers(1, 6, (2, 2000)).astype(float)
    assert abs(weighted_kappa(one, other)) < 0.05
    assert weighted_kappa(one, 6 - one) < -0.9
    assert np.isnan(weighted_kappa(np.full(4, 3.0), np.full(4, 3.0)))
    low, high = agreement(one[:60], one[:60] + rng.integers(0, 2, 60), draws=200, seed=0).ci95
    assert 0 < low < high <= 1
    assert agreement(np.zeros(0), np.zeros(0), draws=10, seed=0).kappa is None
