"""Intervals over readers and cases: the multi-reader multi-case analysis of Obuchowski and Rockette.

Areas are modelled as mean + method + reader + method x reader + error, with errors that are correlated because readers
read the same cases (Obuchowski & Rockette, Commun Stat Simul Comput 1995;24:285). Degrees of freedom are those of
Hillis (Stat Med 2007;26:596). With one reader, intervals are over cases alone.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from segue.readers.roc import RocAreas


class Estimate(NamedTuple):
    """A number, its standard error, degrees of freedom, and 95% interval.

    >>> Estimate(0.75, 0.1, 12.0, (0.53, 0.97)).value
    0.75
    """

    value: float
    se: float
    df: float
    ci95: tuple[float, float]

    @property
    def p(self) -> float:
        """Of the two-sided test of zero; 1 where there is no variation and no difference.

        >>> round(estimate(0.0, 0.1, 5.0).p, 3)
        1.0
        """
        if self.se == 0:
            return float(self.value == 0)
        return float(2 * student.sf(abs(self.value) / self.se, self.df))


def estimate(value: float, variance: float, df: float, lowest: float = -1.0, highest: float = 1.0) -> Estimate:
    """An estimate with the interval of Student's t, cut at what is possible.

    >>> [round(end, 3) for end in estimate(0.5, 0.01, math.inf).ci95]
    [0.304, 0.696]
    """
    se = math.sqrt(max(variance, 0.0))
    reach = se * float(student.ppf(0.975, df) if math.isfinite(df) else norm.ppf(0.975))
    return Estimate(float(value), se, df, (max(value - reach, lowest), min(value + reach, highest)))


def of_one_reader(found: RocAreas, method: int, reader: int) -> Estimate:
    """The area of one reader, with its interval over cases.

    >>> from segue.readers.roc import roc_areas
    >>> of_one_reader(roc_areas([np.array([[3.0, 1.0]])], np.array([[2.0, 0.0]])), 0, 0).value
    0.75
    """
    return estimate(found.auc[method, reader], found.covariance[method, reader, method, reader], math.inf, 0.0)


def of_readers(found: RocAreas, method: int) -> Estimate:
    """The mean area over readers, with its interval over readers and cases.

    The variance is (MS(R) + r max(Cov2, 0)) / r: MS(R) is the mean square of the r readers' areas, and Cov2 the
    mean covariance of two readers.

    >>> from segue.readers.roc import roc_areas
    >>> found = roc_areas([np.array([[3.0, 1.0], [3.0, 0.0]])], np.array([[2.0, 0.0], [2.0, 1.0]]))
    >>> of_readers(found, 0).value  # of 0.75 and 0.5
    0.625
    """
    auc = found.auc[method]
    if len(auc) == 1:
        return of_one_reader(found, method, 0)
    return estimate(auc.mean(), *spread_of(auc.var(ddof=1), between_readers(found, method, method), len(auc)), 0.0)


def of_difference(found: RocAreas, one: int, other: int) -> Estimate:
    """The mean area of one method less that of another, with its interval over readers and cases.

    The variance is 2 (MS(TR) + r max(Cov2 - Cov3, 0)) / r: MS(TR) is the mean square of method x reader, and Cov3 the
    mean covariance of two readers with two methods.

    >>> from segue.readers.roc import roc_areas
    >>> found = roc_areas([np.array([[3.0, 1.0]]), np.array([[3.0, 4.0]])], np.array([[2.0, 0.0]]))
    >>> of_difference(found, 0, 1).value  # of 0.75 and 1
    -0.25
    """
    by_reader = found.auc[one] - found.auc[other]
    pair = (one, other)
    if len(by_reader) == 1:
        block = found.covariance[np.ix_(pair, [0], pair, [0])][:, 0, :, 0]
        return estimate(by_reader[0], block[0, 0] + block[1, 1] - 2 * block[0, 1], math.inf)
    within = np.mean([between_readers(found, method, method) for method in pair])
    apart = float(within - between_readers(found, one, other))
    variance, df = spread_of(by_reader.var(ddof=1) / 2, apart, len(by_reader))
    return estimate(by_reader.mean(), 2 * variance, df)


def spread_of(mean_square: float, covariance: float, readers: int) -> tuple[float, float]:
    """The variance of a mean over readers, and Hillis' degrees of freedom.

    >>> spread_of(0.004, 0.001, readers=4)
    (0.002, 12.0)
    """
    error = float(mean_square) + readers * max(covariance, 0.0)
    df = (readers - 1) * (error / mean_square) ** 2 if mean_square > 0 else math.inf
    return error / readers, float(df)


def between_readers(found: RocAreas, one: int, other: int) -> float:
    """The mean covariance of the areas of two different readers, with the same or with two methods.

    >>> covariance = np.array([[4.0, 1.0], [1.0, 3.0]]).reshape(1, 2, 1, 2)
    >>> between_readers(RocAreas(np.full((1, 2), 0.5), covariance), 0, 0)
    1.0
    """
    block = found.covariance[one, :, other]
    return float(block[~np.eye(len(block), dtype=bool)].mean())
