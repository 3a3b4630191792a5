"""What is refused because a split cannot be learnt from."""

import numpy as np
import pytest

from segue.cohort import Record
from segue.cohort.census import Census, check_counts, check_varying
from segue.errors import InputError


def records(present):
    """One image each, with these structures of two; no two masks are the same."""
    for i, has in enumerate(present):
        fractions = np.zeros((2, 2, 2), np.float32)
        for k in has:
            fractions[k, 0, 0] = 1 / (2 + i)
        yield Record(f"p{i}", f"p{i}", np.arange(4, dtype=np.float32).reshape(1, 2, 2), fractions)


def images_of(*, mask=lambda i: [[1 / (2 + i), 0]], image=lambda i: [[0, 1 + i]], count=8, splits=None):
    """A cohort of one structure, as it passes the census."""
    found = [Record(f"p{i}", f"p{i}", np.float32([image(i)]), np.float32([mask(i)])) for i in range(count)]
    census = Census(("heart",), splits or ["guide"] * count)
    return census, lambda: list(census.counted(iter(found)))


def test_a_structure_that_a_split_lacks_is_refused_before_the_last_record():
    census = Census(("heart", "lung"), ["guide", "test", "judge", "guide"])
    counted = census.counted(records([[0, 1], [0], [0, 1], [0, 1]]))
    assert [next(counted).id for _ in range(3)] == ["p0", "p1", "p2"]
    with pytest.raises(InputError, match=r"lung: is in no mask of the split 'test' \(1 images\)"):
        next(counted)


def test_images_without_a_structure_are_counted_and_named():
    census = Census(("heart", "lung"), ["guide"] * 8)
    assert len(list(census.counted(records([[0, 1], [0, 1], *[[0]] * 6])))) == 8
    assert census.remarks() == ["lung: 6 of 8 masks hold none of it (p2, p3, p4, p5, p6, ...)"]


def test_validation_may_lack_a_structure():
    assert len(list(Census(("heart", "lung"), ["guide", "validation"]).counted(records([[0, 1], []])))) == 2


@pytest.mark.parametrize(("splits", "bad"), [("ggjt", "test"), ("gjtt", "guide"), ("ggtt", "judge"), ("ggjtt", None)])
def test_too_few_subjects_are_refused(splits, bad):
    names = [{"g": "guide", "j": "judge", "t": "test"}[one] for one in splits]
    if bad is None:
        return check_counts(list("abcde"), names)
    with pytest.raises(InputError, match=rf"split: '{bad}' has . of 4 subjects"):
        check_counts(list("abcd"), names)


def test_many_images_of_one_subject_are_one_subject():
    with pytest.raises(InputError, match=r"'test' has 1 of 4 subjects"):
        check_counts(list("aabcdd"), ["guide", "guide", "guide", "judge", "test", "test"])


@pytest.mark.parametrize(("ages", "refused"), [((63.7, 63.7, 20), True), ((63.7, 64, 20), False), ((0, 0, 1), True)])
def test_a_covariate_that_does_not_vary_where_it_is_learnt_is_refused(ages, refused):
    rows, splits = [{"age": float(age)} for age in ages], ["guide", "guide", "test"]
    if not refused:
        return check_varying(rows, splits)
    with pytest.raises(InputError, match=r"'age' is .* in all 2 images of the split 'guide'"):
        check_varying(rows, splits)


def test_one_structure_with_the_same_mask_everywhere_is_refused():
    with pytest.raises(InputError, match=r"heart: has the same mask in all 8 images of the split 'guide'"):
        images_of(mask=lambda i: [[1, 0]])[1]()


def test_a_structure_in_one_training_image_is_refused():
    with pytest.raises(InputError, match=r"heart: is in one mask of the split 'guide' \(8 images\)"):
        images_of(mask=lambda i: [[float(i == 3), 0]])[1]()


@pytest.mark.parametrize("black", [4, 8])
def test_a_split_of_black_images_is_refused(black):
    with pytest.raises(InputError, match=rf"{black} of 8 images of the split 'guide' are of one value \(p0 first\)"):
        images_of(image=lambda i: [[0, float(i >= black)]])[1]()


def test_a_few_black_images_are_said():
    census, count = images_of(image=lambda i: [[0, float(i > 1)]])
    assert len(count()) == 8
    assert census.remarks() == ["2 of 8 images are of one value (p0, p1)"]


@pytest.mark.parametrize("worst", [1e25, -1e25, 5e4])
def test_an_image_of_another_order_of_magnitude_is_named(worst):
    with pytest.raises(InputError, match=r"image p5: holds values up to .*, the cohort's median is 4"):
        images_of(image=lambda i: [[0, worst if i == 5 else 4.0]])[1]()


def test_metal_in_one_image_is_no_other_order_of_magnitude():
    assert len(images_of(image=lambda i: [[-1024, 30_000 if i == 5 else 300.0]])[1]()) == 8
