"""The empirical area under the ROC curve (AUC) of several readers and methods, and how these areas vary together.

The area is the share of pairs of an edited and a real case in which the edited one is rated higher; a tie is half a
pair (Mann & Whitney 1947). The covariance over cases is that of DeLong, DeLong & Clarke-Pearson (Biometrics
1988;44:837).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Ratings = Float[np.ndarray, "reader _"]
"""What each reader said of each case (reader, case): higher is more surely edited."""


class RocAreas(NamedTuple):
    """Areas of each method and reader, and their covariance over cases.

    Readers read the same cases. Methods share the real cases, and each has edited cases of its own.

    >>> RocAreas(np.full((2, 3), 0.5), np.zeros((2, 3, 2, 3))).auc.mean(axis=1)  # of two methods, over three readers
    array([0.5, 0.5])
    """

    auc: Float[np.ndarray, "method reader"]
    covariance: Float[np.ndarray, "method reader method2 reader2"]


def roc_areas(edited: Sequence[Ratings], real: Ratings) -> RocAreas:
    """Areas of the edited cases of each method against the real cases.

    Args:
        edited: by method, ratings of its cases, two at least. real: ratings of the real cases, two at least.

    >>> found = roc_areas([np.array([[3.0, 1.0]])], np.array([[2.0, 0.0]]))
    >>> found.auc.item(), found.covariance.item()  # 3 > 2, 3 > 0, 1 > 0: three of four pairs
    (0.75, 0.125)
    """
    wins = [(one[:, :, None] > real[:, None]) + 0.5 * (one[:, :, None] == real[:, None]) for one in edited]
    methods, readers = len(wins), len(real)
    of_real = np.concatenate([won.mean(1) for won in wins])  # (method x reader, real case)
    covariance = np.cov(of_real).reshape(methods, readers, methods, readers) / real.shape[1]
    for method, won in enumerate(wins):
        covariance[method, :, method] += np.cov(won.mean(2)) / won.shape[1]
    return RocAreas(np.stack([won.mean((1, 2)) for won in wins]), covariance)
