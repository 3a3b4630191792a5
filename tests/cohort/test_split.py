from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from segue.cohort.split import SPLITS, Fold, assign_splits
from segue.errors import InputError

HALVES = {"guide": 0.5, "judge": 0.2, "validation": 0.1, "test": 0.2}

subjects = st.lists(st.integers(0, 60).map(str), min_size=1, max_size=200)
shares = st.lists(st.integers(0, 10), min_size=4, max_size=4).filter(any)
seeds = st.integers(0, 100)


def draw(subjects, shares, seed):
    fractions = {name: share / sum(shares) for name, share in zip(SPLITS, shares, strict=True)}
    try:
        return fractions, assign_splits(subjects, fractions, seed)
    except InputError:  # too few subjects: has a test of its own
        assume(False)


@given(subjects, shares, seeds)
def test_subjects_are_whole_and_counts_within_one(subjects, shares, seed):
    fractions, splits = draw(subjects, shares, seed)
    pairs = set(zip(subjects, splits, strict=True))
    assert len(pairs) == len(set(subjects))
    counts = Counter(split for _, split in pairs)
    for name, fraction in fractions.items():
        assert abs(counts[name] - fraction * len(pairs)) < 1 + 1e-9
        assert (counts[name] > 0) == (fraction > 0)


@given(subjects, shares, seeds, st.randoms())
def test_order_of_the_images_does_not_matter(subjects, shares, seed, random):
    fractions, splits = draw(subjects, shares, seed)
    shuffled = random.sample(subjects, len(subjects))
    expected = dict(zip(subjects, splits, strict=True))
    assert assign_splits(shuffled, fractions, seed) == [expected[subject] for subject in shuffled]


def test_seed_decides():
    names = [str(i) for i in range(40)]
    assert assign_splits(names, HALVES, 0) == assign_splits(names, HALVES, 0)
    assert assign_splits(names, HALVES, 0) != assign_splits(names, HALVES, 1)


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({"guide": 0.5, "judge": 0.4}, "sum to 0.9"),
        ({"guide": 1.5, "judge": -0.5}, "'guide' is 1.5|'judge' is -0.5"),
        ({"guide": float("nan")}, "'guide' is nan"),
        ({"train": 1.0}, "'train' is not a split"),
        ({"guide": 0.98, "judge": 0.02}, "'judge' asks for 0.02 of 10 subjects"),
        ({}, "sum to 0"),
    ],
)
def test_impossible_requests_are_refused(fractions, message):
    with pytest.raises(InputError, match=message):
        assign_splits([str(i) for i in range(10)], fractions, 0)


@given(st.lists(st.integers(0, 60).map(str), min_size=60, max_size=99), st.integers(2, 6), seeds)
def test_folds_test_every_subject_once_and_keep_the_shares_of_the_others(subjects, count, seed):
    assume(len(set(subjects)) >= 12)
    folds = [assign_splits(subjects, HALVES, seed, Fold(i, count)) for i in range(1, count + 1)]
    for subject, *splits in zip(subjects, *folds, strict=True):
        assert splits.count("test") == 1, subject
    n = len(set(subjects))
    for fold in folds:
        pairs = set(zip(subjects, fold, strict=True))
        counts = Counter(split for _, split in pairs)
        assert len(pairs) == n
        assert abs(counts["test"] - n / count) < 1
        for name in ("guide", "judge", "validation"):
            assert abs(counts[name] - (n - counts["test"]) * HALVES[name] / 0.8) < 1 + 1e-9


def test_more_folds_than_subjects():
    with pytest.raises(InputError, match="5 folds of 3 subjects"):
        assign_splits(["a", "b", "c"], HALVES, 0, Fold(1, 5))


STRETCHES = [f"f{i:02d}" for i in range(1, 21)]


def test_listed_subjects_are_where_they_are_listed_and_gaps_are_left_out():
    listed = {"guide": ["f01..f06", "f18"], "judge": ["f09..f10"], "test": ["f13..f15"]}
    splits = dict(zip(STRETCHES, assign_splits(STRETCHES, listed, seed=3), strict=True))
    assert [name for name in STRETCHES if splits[name] == "guide"] == [*STRETCHES[:6], "f18"]
    assert [name for name in STRETCHES if splits[name] == "test"] == STRETCHES[12:15]
    assert {splits[name] for name in ("f07", "f08", "f11", "f16", "f20")} == {"left out"}


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ({"guide": ["f01..f06"], "test": ["f06"]}, "'f06' is in guide and in test"),
        ({"guide": ["f01..f99"], "test": ["f06"]}, "'f99' is no subject"),
        ({"guide": ["f01"], "test": 0.5}, "give each split a share"),
        ({"guide": ["f01"], "tests": ["f02"]}, "'tests' is not a split"),
    ],
)
def test_wrong_lists_are_one_line(listed, said):
    with pytest.raises(InputError, match=said):
        assign_splits(STRETCHES, listed, seed=0)
