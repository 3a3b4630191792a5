"""How well two series of ratings agree: kappa with quadratic weights (Cohen, Psychol Bull 1968;70:213)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from segue.evaluation.bootstrap import percentiles


class Kappa(NamedTuple):
    """Weighted kappa, its 95% interval by bootstrap over cases, and how many cases were compared."""

    kappa: float | None
    ci95: tuple[float, float] | None
    cases: int


def weighted_kappa(one: Float[np.ndarray, " case"], other: Float[np.ndarray, " case"]) -> float | None:
    """1 - (mean squared disagreement) / (that expected by chance); None where all ratings are one value.

    >>> round(weighted_kappa(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0])), 4)  # 1/3 observed, 1 by chance
    0.6667
    """
    observed, chance = np.square(one - other).mean(), np.square(one[:, None] - other[None]).mean()
    return float(1 - observed / chance) if chance > 0 else None


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
    drawn = [value for row in rows if (value := weighted_kappa(one[row], other[row])) is not None]
    return Kappa(weighted_kappa(one, other), percentiles(np.array(drawn)) if drawn else None, cases)
