"""How well two series of ratings agree: kappa with quadratic weights (Cohen, Psychol Bull 1968;70:213)."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from segue.evaluation.bootstrap import percentiles


class Kappa(NamedTuple):
    """Weighted kappa, its 95% interval by bootstrap over cases, and how many cases were compared."""

    kappa: float | None
    ci95: tuple[float, float] | None
    cases: int


def weighted_kappa(
    one: Float[np.ndarray, "*draws case"], other: Float[np.ndarray, "*draws case"]
) -> Float[np.ndarray, "*draws"]:
    """1 - (mean squared disagreement) / (that of all pairs of cases, by chance); NaN where all ratings are one value.

    >>> kappa = weighted_kappa(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0]))  # 1/3 observed, 1 by chance
    >>> round(kappa.item(), 4)
    0.6667
    """
    observed = np.square(one - other).mean(-1)
    chance = np.asarray(one.var(-1) + other.var(-1) + np.square(one.mean(-1) - other.mean(-1)))
    return np.asarray(1 - np.divide(observed, chance, out=np.full(chance.shape, np.nan), where=chance > 0))


def agreement(
    one: Float[np.ndarray, " case"], other: Float[np.ndarray, " case"], *, draws: int, seed: int
) -> Kappa:
    """Weighted kappa of two series, with its interval.

    >>> agreement(np.array([1.0, 2.0, 5.0]), np.array([1.0, 2.0, 5.0]), draws=20, seed=0).kappa
    1.0
    """
    cases = len(one)
    if not cases:
        return Kappa(None, None, 0)
    rows = np.random.default_rng(seed).integers(cases, size=(draws, cases))
    kappa, drawn = float(weighted_kappa(one, other)), weighted_kappa(one[rows], other[rows])
    if math.isnan(kappa):
        return Kappa(None, None, cases)
    return Kappa(kappa, percentiles(drawn[~np.isnan(drawn)]), cases)
