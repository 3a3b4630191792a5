"""Confidence intervals by bootstrap over subjects (Efron 1979): whole subjects are drawn with replacement."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float


class Bootstrap(NamedTuple):
    """How intervals are drawn.

    Attributes:
        subjects: the subject of each image index. draws: how many. seed: the same subjects are drawn by the same seed.
    """

    subjects: Sequence[str]
    draws: int
    seed: int

    def interval(self, values: Float[np.ndarray, " row"], images: pl.Series) -> list[float]:
        """The 95% interval of the mean of `values`, one an image of `images`.

        >>> Bootstrap(["anna", "anna", "bert"], draws=100, seed=0).interval(np.array([1.0, 3.0]), pl.Series([0, 1]))
        [2.0, 2.0]
        """
        return list(bootstrap_ci(values, self.of(images), draws=self.draws, seed=self.seed))

    def ratio(self, table: pl.DataFrame, over: str, under: str) -> Float[np.ndarray, " draw"]:
        """The sum of one column over the sum of another, in each draw."""
        top, bottom = table[over].to_numpy(), table[under].to_numpy()
        return resampled(top, self.of(table["image"]), per=bottom, draws=self.draws, seed=self.seed)

    def of(self, images: pl.Series) -> np.ndarray:
        """The subject of each image."""
        return np.array([self.subjects[i] for i in images])


def bootstrap_ci(
    values: Float[np.ndarray, " row"], subjects: np.ndarray, *, draws: int, seed: int
) -> tuple[float, float]:
    """The 95% percentile interval of the mean.

    >>> bootstrap_ci(np.array([1.0, 3.0]), np.array(["anna", "anna"]), draws=100, seed=0)  # one subject: no spread
    (2.0, 2.0)
    """
    return percentiles(resampled(values, subjects, draws=draws, seed=seed))


def resampled(
    values: Float[np.ndarray, " row"],
    subjects: np.ndarray,
    *,
    per: Float[np.ndarray, " row"] | None = None,
    draws: int,
    seed: int,
) -> Float[np.ndarray, " draw"]:
    """In each draw the sum of `values` over the sum of `per`, or the mean without `per`; 0 where the sum of `per` is 0.

    >>> resampled(np.array([1.0, 3.0]), np.array(["anna", "anna"]), per=np.array([4.0, 4.0]), draws=2, seed=0)
    array([0.5, 0.5])
    """
    _, group = np.unique(subjects, return_inverse=True)
    sums, counts = np.bincount(group, weights=values), np.bincount(group, weights=per)
    n = len(counts)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
    whole = (drawn @ counts).astype(float)
    return np.divide(drawn @ sums, whole, out=np.zeros(draws), where=whole > 0)


def percentiles(draws: Float[np.ndarray, " draw"]) -> tuple[float, float]:
    """The interval that holds the middle 95% of the draws.

    >>> percentiles(np.arange(1001.0))
    (25.0, 975.0)
    """
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)
