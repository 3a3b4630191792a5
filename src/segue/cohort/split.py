"""Splits of a cohort by subject: drawn by shares, or listed by name."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np

from segue.errors import InputError

SPLITS = ("guide", "judge", "validation", "test")
LEFT_OUT = "left out"
"""Of a subject that no list names: the gap between the stretches of one patient, for instance."""
Shares = Mapping[str, float | list[str]]
"""By split, a share of the subjects; or, of all splits, the subjects by name."""


class Fold(NamedTuple):
    """A fold of a cross-validation: the `number`-th (from 1) of `total` equal parts of the subjects is the test split.

    >>> Fold(number=1, total=5)
    Fold(number=1, total=5)
    """

    number: int
    total: int


def assign_splits(subjects: list[str], shares: Shares, seed: int, fold: Fold | None = None) -> list[str]:
    """The split of every image; all images of a subject are in the same one.

    The shares are of subjects, not of images, rounded by largest remainder, and each split asked for holds at
    least one subject. The order of the images does not matter.

    Args:
        subjects: the subject of each image.
        shares: share of the subjects in "guide", "judge", "validation" and "test"; 0 may be left out. Or the subjects
            of each, as names and as ranges of sorted names, "first..last", both ends included; then nothing is drawn,
            and who is not listed is in no split (`LEFT_OUT`).
        seed: of the draw.
        fold: of a cross-validation. Each subject is in the test split of one fold; in the other folds, it is in one of
            the other splits, by their shares.

    Raises:
        InputError: the shares do not sum to 1, or there are too few subjects for them; or a list names a subject that
            is not there, or is in another list.

    >>> assign_splits(["a", "a", "b", "c", "d"], {"guide": 0.5, "judge": 0.25, "test": 0.25}, seed=0)
    ['guide', 'guide', 'judge', 'guide', 'test']
    >>> assign_splits(["a", "b", "c", "d"], {"guide": ["a..b"], "test": ["d"]}, seed=0)
    ['guide', 'guide', 'left out', 'test']
    """
    check_shares(shares)
    if is_listed(shares):
        found = subjects_by_name(subjects, cast(Mapping[str, list[str]], shares))
        return [found.get(subject, LEFT_OUT) for subject in subjects]
    return shares_drawn(subjects, cast(dict[str, float], dict(shares)), seed, fold)


def shares_drawn(subjects: list[str], fractions: dict[str, float], seed: int, fold: Fold | None) -> list[str]:
    """Splits by shares of the subjects."""
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


def check_shares(shares: Shares) -> None:
    """Refuse shares that are none.

    >>> check_shares({"guide": 0.5, "judge": ["p1"]})
    Traceback (most recent call last):
    segue.errors.InputError: split: give each split a share of the subjects, or each of them a list of subjects
    """
    if unknown := [name for name in shares if name not in SPLITS]:
        raise InputError(f"split: {unknown[0]!r} is not a split; choose among {', '.join(SPLITS)}")
    if is_listed(shares):
        return
    if any(isinstance(one, list) for one in shares.values()):
        raise InputError("split: give each split a share of the subjects, or each of them a list of subjects")
    fractions = cast(Mapping[str, float], shares)
    for name, share in fractions.items():
        if not (math.isfinite(share) and share >= 0):
            raise InputError(f"split: {name!r} is {share:g}; give a fraction between 0 and 1")
    if abs(sum(fractions.values()) - 1) > 1e-6:
        raise InputError(f"split: the fractions sum to {sum(fractions.values()):g}; make them sum to 1")


def is_listed(shares: Shares) -> bool:
    """Whether the splits are lists of subjects.

    >>> is_listed({"guide": ["a..c"], "test": ["d"]}), is_listed({"guide": 0.5, "test": 0.5})
    (True, False)
    """
    return bool(shares) and all(isinstance(one, list) for one in shares.values())


def subjects_by_name(subjects: Sequence[str], lists: Mapping[str, list[str]]) -> dict[str, str]:
    """The split of each subject that is listed."""
    known, found = sorted(set(subjects)), dict[str, str]()
    for split, names in lists.items():
        for text in names:
            first, _, last = text.partition("..")
            last = last or first
            if missing := [one for one in (first, last) if one not in known]:
                raise InputError(f"split: {split}: {missing[0]!r} is no subject; the first is {known[0]!r}")
            for name in known[known.index(first) : known.index(last) + 1]:
                if found.setdefault(name, split) != split:
                    raise InputError(f"split: {name!r} is in {found[name]} and in {split}; list it once")
    return found


def _largest_remainder(total: int, shares: list[float]) -> list[int]:
    """Whole numbers that sum to `total`, each `total * share` rounded down or up (Hamilton's method)."""
    quotas = [total * share / sum(shares) for share in shares]
    counts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda i: counts[i] - quotas[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts
