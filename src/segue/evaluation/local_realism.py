"""Local realism: can the surroundings of an edit be told from a factual image that has the requested value?

A classifier two-sample test (Lopez-Paz & Oquab, ICLR 2017, arXiv 1610.06545). A request is the value that another image
has, its donor. The crop around the edit in x* is compared with the crop around the same structure in the factual donor.
A small network learns to tell the two kinds of crops apart, cross-validated by subject. Its area under the receiver
operating characteristic (AUC) on the crops of subjects that it has not seen is one half where it cannot.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.evaluation.bootstrap import percentiles
from segue.evaluation.crop_classifier import FOLDS, scored
from segue.evaluation.crops import Site

MOST_PAIRS = 1000
"""Requests that are compared; of more, so many are drawn at random."""


class Pairs(NamedTuple):
    """Requests, each with the image whose value it asks for; another subject's.

    Attributes:
        edit: (place, variable) of each request. donor: (place, variable) of the factual crop that it is compared with.
        subject, donor_subject: as numbers.
    """

    edit: list[Site]
    donor: list[Site]
    subject: Int[np.ndarray, " pair"]
    donor_subject: Int[np.ndarray, " pair"]

    @property
    def variable(self) -> Int[np.ndarray, " pair"]:
        """The requested variable of each pair."""
        return np.array([v for _, v in self.edit])


def draw_pairs(
    donors: Int[np.ndarray, "image measured"],
    places: Int[np.ndarray, " image"],
    subjects: Int[np.ndarray, " image"],
    seed: int,
) -> Pairs:
    """The requests whose donor is another subject, at most `MOST_PAIRS` of them.

    Args:
        donors: by image and variable, the row of the image whose value is requested. places: of each row in the store.
        subjects: of each row, as a number.

    >>> draw_pairs(np.array([[1], [2], [0]]), np.array([7, 8, 9]), np.array([0, 0, 1]), seed=0).edit
    [(8, 0), (9, 0)]
    """
    image, variable = np.nonzero(subjects[:, None] != subjects[donors])
    if len(image) > MOST_PAIRS:
        chosen = np.sort(np.random.default_rng(seed).choice(len(image), MOST_PAIRS, replace=False))
        image, variable = image[chosen], variable[chosen]
    donor = donors[image, variable]
    edit, given = (list(zip(places[rows].tolist(), variable.tolist(), strict=True)) for rows in (image, donor))
    return Pairs(edit, given, subjects[image], subjects[donor])


class LocalTest:
    """The test against given factual crops; call it with the counterfactual crops of the same pairs.

    Args:
        factual: the crops (channel, *space) of the donors. seed: of the folds, and of the networks of every call.
    """

    def __init__(self, pairs: Pairs, factual: Mapping[Site, Tensor], *, seed: int) -> None:
        self.pairs, self.seed = pairs, seed
        self.factual = torch.stack([factual[one] for one in pairs.donor])
        self.folds = subject_folds(pairs, seed)

    def __call__(self, changed: Mapping[Site, Tensor]) -> Float[np.ndarray, "2 pair"]:
        """The logit of each counterfactual crop, then of each factual one; higher where it looks counterfactual."""
        crops = torch.cat([torch.stack([changed[one] for one in self.pairs.edit]), self.factual])
        label = np.repeat([1, 0], len(self.factual))
        return scored(crops, label, self.folds.ravel(), self.seed).reshape(2, -1)

    def summary(self, scores: Float[np.ndarray, "2 pair"], names: tuple[str, ...], bootstrap: int) -> dict[str, Any]:
        """`local_realism` of metrics.json: AUC and interval, of all crops and by variable."""
        parts = {name: self.pairs.variable == v for v, name in enumerate(names)}
        by_variable = {name: self.auc(scores, part, bootstrap) for name, part in parts.items()}
        return self.auc(scores, np.full(len(self.pairs.edit), True), bootstrap) | {"by_variable": by_variable}

    def auc(self, scores: Float[np.ndarray, "2 pair"], part: np.ndarray, bootstrap: int) -> dict[str, Any]:
        """AUC of some of the pairs, and its 95% interval by bootstrap over subjects; None where nothing compares."""
        subjects = np.stack([self.pairs.subject, self.pairs.donor_subject])
        wins, compared = by_subject(scores[:, part], subjects[:, part], self.folds[:, part], int(subjects.max()) + 1)
        if not compared.any():
            return {"auc": None, "ci95": None}
        n = len(wins)
        drawn = np.random.default_rng(self.seed).multinomial(n, np.full(n, 1 / n), size=bootstrap)
        total = ((drawn @ compared) * drawn).sum(1)
        draws = (((drawn @ wins) * drawn).sum(1) / np.maximum(total, 1))[total > 0]
        interval = list(percentiles(draws)) if len(draws) else None
        return {"auc": float(wins.sum() / compared.sum()), "ci95": interval}


def subject_folds(pairs: Pairs, seed: int) -> Int[np.ndarray, "2 pair"]:
    """The fold of each counterfactual and of each factual crop: all crops of a subject's images are in one fold."""
    subjects = int(max(pairs.subject.max(), pairs.donor_subject.max())) + 1
    fold = np.random.default_rng(seed).permutation(np.arange(subjects) % FOLDS)
    return np.stack([fold[pairs.subject], fold[pairs.donor_subject]])


def by_subject(
    scores: Float[np.ndarray, "2 pair"],
    subjects: Int[np.ndarray, "2 pair"],
    folds: Int[np.ndarray, "2 pair"],
    count: int,
) -> tuple[Float[np.ndarray, "subject subject"], Float[np.ndarray, "subject subject"]]:
    """How often counterfactual crops of one subject score above factual crops of another, and how many are compared.

    AUC is the sum of the first over the sum of the second (Mann & Whitney, Ann Math Stat 1947;18:50). Crops are
    compared if one network scored both, and if they are of two subjects. A tie is half a win.

    >>> scores, subjects, folds = np.array([[2.0, 0.0], [1.0, 0.0]]), np.array([[0, 1], [2, 3]]), np.zeros((2, 2), int)
    >>> wins, compared = by_subject(scores, subjects, folds, count=4)
    >>> float(wins.sum() / compared.sum())  # 2 is above 1 and 0; 0 is below 1 and ties with 0
    0.625
    """
    changed, factual = scores[0][:, None], scores[1][None]
    apart = (folds[0][:, None] == folds[1][None]) & (subjects[0][:, None] != subjects[1][None])
    won = ((changed > factual) + 0.5 * (changed == factual)) * apart
    rows, columns = np.eye(count)[subjects[0]], np.eye(count)[subjects[1]]
    return rows.T @ won @ columns, rows.T @ apart @ columns
