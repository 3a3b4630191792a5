"""Splits of a cohort by subject."""

import math
from typing import NamedTuple

import numpy as np

from segue.errors import InputError

SPLITS = ("guide", "judge", "validation", "test")


class Fold(NamedTuple):
    """A fold of a cross-validation: the `number`-th (from 1) of `total` equal parts of the subjects is the test split.

    >>> Fold(number=1, total=5)
    Fold(number=1, total=5)
    """

    number: int
    total: int


def assign_splits(
    subjects: list[str], fractions: dict[str, float], seed: int, fold: Fold | None = None
) -> list[str]:
    """The split of every image; all images of a subject are in the same one.

    The shares are of subjects, not of images, rounded by largest remainder, and each split asked for holds at
    least one subject. The order of the images does not matter.

    Args:
        subjects: the subject of each image.
        fractions: share of the subjects in "guide", "judge", "validation" and "test"; 0 may be left out.
        seed: of the draw.
        fold: of a cross-validation. Each subject is in the test split of one fold; in the other folds, it is in one of
            the other splits, by their shares.

    Raises:
        InputError: the fractions are not shares of 1, or there are too few subjects for them.

    >>> assign_splits(["a", "a", "b", "c", "d"], {"guide": 0.5, "judge": 0.25, "test": 0.25}, seed=0)
    ['guide', 'guide', 'judge', 'guide', 'test']
    """
    _check(fractions)
    # Sorted, so that the draw depends on the seed and on the set of subjects alone.
    unique = sorted(set(subjects))
    order = np.random.default_rng(seed).permutation(len(unique))
    split_of = {}
    if fold is not None:
        first, last = (len(unique) * i // fold.total for i in (fold.number - 1, fold.number))
        split_of = {unique[i]: "test" for i in order[first:last]}
        order = np.concatenate([order[last:], order[:first]])
        fractions = {name: share for name, share in fractions.items() if name != "test"}
        if first == last:
            raise InputError(f"split: {fold.total} folds of {len(unique)} subjects: give fewer folds, or more subjects")
    names = [name for name in SPLITS if fractions.get(name, 0.0) > 0]
    counts = _largest_remainder(len(order), [fractions[name] for name in names])
    for name, count in zip(names, counts, strict=True):
        if count == 0:
            raise InputError(
                f"split: {name!r} asks for {fractions[name]:g} of {len(order)} subjects, which rounds to none; "
                "raise its fraction or add subjects"
            )
    split_of |= {unique[i]: str(name) for i, name in zip(order, np.repeat(names, counts), strict=True)}
    return [split_of[subject] for subject in subjects]


def _check(fractions: dict[str, float]) -> None:
    unknown = [name for name in fractions if name not in SPLITS]
    if unknown:
        raise InputError(f"split: {unknown[0]!r} is not a split; choose among {', '.join(SPLITS)}")
    for name, share in fractions.items():
        if not (math.isfinite(share) and share >= 0):
            raise InputError(f"split: {name!r} is {share:g}; give a fraction between 0 and 1")
    if abs(sum(fractions.values()) - 1) > 1e-6:
        raise InputError(f"split: the fractions sum to {sum(fractions.values()):g}; make them sum to 1")


def _largest_remainder(total: int, shares: list[float]) -> list[int]:
    """Whole numbers that sum to `total`, each `total * share` rounded down or up (Hamilton's method)."""
    quotas = [total * share / sum(shares) for share in shares]
    counts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda i: counts[i] - quotas[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts
