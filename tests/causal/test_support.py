"""The Gaussian copula against scipy, and its distances against conditional normal distributions written out."""

import numpy as np
import torch
from scipy import stats

from segue.causal.support import QUANTILE, correlation_of, distance_given_rest, normal_scores, unusual


def correlated(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).multivariate_normal([0, 0, 0], [[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]], size=rows)


def test_normal_scores_do_not_know_a_monotone_scale():
    x = torch.from_numpy(correlated(400)).float()
    plain, bent = normal_scores(x, x.sort(0).values), normal_scores(x.exp(), x.exp().sort(0).values)
    torch.testing.assert_close(plain, bent)
    ranks = (stats.rankdata(x[:, 0]) - 0.5) / 400
    np.testing.assert_allclose(plain[:, 0], stats.norm.ppf(ranks), atol=1e-5)


def test_the_correlation_is_that_of_the_ranks():
    x = correlated(2000)
    found = correlation_of(torch.from_numpy(x).float())
    expected = np.corrcoef(stats.norm.ppf((stats.rankdata(x, axis=0) - 0.5) / 2000).T)
    np.testing.assert_allclose(found, 0.98 * expected + 0.02 * np.eye(3), atol=1e-4)
    constant = correlation_of(torch.stack([torch.ones(9), torch.arange(9.0)], dim=1))
    torch.testing.assert_close(constant, torch.eye(2))


def test_distance_is_that_of_the_conditional_normal():
    r = np.array([[1, 0.5, 0.2], [0.5, 1, 0.4], [0.2, 0.4, 1]])
    z = np.array([1.0, -2.0, 0.5])
    for s in ([0], [1, 2], [0, 1, 2]):
        rest = [i for i in range(3) if i not in s]
        slope = r[np.ix_(s, rest)] @ np.linalg.inv(r[np.ix_(rest, rest)])
        gap = z[s] - slope @ z[rest]
        expected = gap @ np.linalg.inv(r[np.ix_(s, s)] - slope @ r[np.ix_(rest, s)]) @ gap
        mask = torch.tensor([[i in s for i in range(3)]])
        found = distance_given_rest(torch.from_numpy(z)[None], mask, torch.from_numpy(r))
        np.testing.assert_allclose(found, [expected], rtol=1e-6)
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    assert distance_given_rest(torch.from_numpy(z)[None], nothing, torch.from_numpy(r)).tolist() == [0]


def test_values_of_the_same_distribution_are_unusual_as_often_as_is_said():
    train, fresh = (torch.from_numpy(correlated(3000, seed)).float() for seed in (1, 2))
    marginal = train.sort(0).values
    start = fresh.clone()
    start[:, 0] = 0.9 * fresh[:, 1]  # what is expected: nothing is farther from it than the value asked
    rate = unusual(start, fresh, marginal, correlation_of(train)).float().mean()
    assert abs(float(rate) - (1 - QUANTILE)) < 0.006  # three standard errors of 3000 draws
