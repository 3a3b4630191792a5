"""The design: balanced, matched, each subject once, and an order that tells nothing."""

from collections import Counter

import numpy as np
import pytest

from segue.errors import InputError
from segue.readers.design import (
    FARTHEST_OFF,
    SIZES,
    draw_matches,
    draw_trials,
    reading_order,
    repeated,
    slots,
    trial_order,
)


def values_of(images: int, variables: int = 3) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(images, variables)).clip(-1)  # many equal values, as of areas of 0


@pytest.mark.parametrize("variables", [1, 4, 7, 9])
def test_changes_are_balanced_over_variables_and_sizes(variables):
    count = 4 * variables
    plan = slots(count, variables, np.random.default_rng(0))
    assert set(Counter(one.variable for one in plan).values()) == {4}
    assert set(Counter(plan).values()) == {1}  # every variable at every size once
    assert {one.size for one in plan} == set(SIZES)


def test_edited_images_ask_for_the_values_that_real_ones_have_and_no_image_comes_twice():
    values, rng, free = values_of(120), np.random.default_rng(0), set(range(120))
    plan = slots(20, 3, rng)
    matches = draw_matches(values, plan, 2, free, rng)
    trials = draw_trials(values, slots(15, 3, rng), free, rng)
    rows = [row for one in matches for row in (one.real, *one.origins)] + [one.origin for one in trials]
    assert len(set(rows)) == len(rows) == 3 * 20 + 15 and free == set(range(120)) - set(rows)
    for one, slot in zip(matches, plan, strict=True):
        for origin in one.origins:
            change = values[one.real, one.variable] - values[origin, one.variable]
            assert abs(change - slot.size) <= FARTHEST_OFF and change * slot.size > 0
    assert all(one.donor != one.origin for one in trials)


def test_methods_get_images_that_are_equally_far_from_what_is_asked():
    """No method gets the easier half of the images."""
    nearer = []
    values = values_of(90)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        for one, slot in zip(draw_matches(values, plan := slots(8, 3, rng), 2, set(range(90)), rng), plan, strict=True):
            off = [abs(values[one.real, one.variable] - values[i, one.variable] - slot.size) for i in one.origins]
            if off[0] != off[1]:
                nearer.append(off[0] < off[1])
    assert abs(np.mean(nearer) - 0.5) < 3 * 0.5 / len(nearer) ** 0.5


def test_too_few_images_are_refused_in_one_line():
    rng, message = np.random.default_rng(0), "too few test images that are far enough apart; give fewer --cases"
    with pytest.raises(InputError, match=message):
        draw_matches(np.zeros((30, 1)), slots(2, 1, rng), 2, set(range(30)), rng)
    with pytest.raises(InputError, match=message):
        draw_trials(values_of(9), slots(10, 3, rng), set(range(9)), rng)


@pytest.mark.parametrize(("cases", "repeats"), [(60, 12), (6, 3), (7, 2), (9, 0)])
def test_second_readings_come_late_and_in_equal_numbers_of_each_kind(cases, repeats):
    kinds = np.arange(cases) % 3
    for seed in range(20):
        rng = np.random.default_rng(seed)
        twice = repeated(kinds, repeats, rng)
        order = reading_order(cases, twice, rng)
        assert Counter(order.tolist()) == {i: 1 + (i in twice) for i in range(cases)}
        counts = np.bincount(kinds[twice], minlength=3)
        assert counts.max() - counts.min() <= 1
        for case in twice:
            one, other = np.flatnonzero(order == case)
            assert other - one >= len(order) // 3


def test_the_order_does_not_tell_the_kind():
    """Over many kits the mean place of each kind is the middle, and what comes next does not depend on what came."""
    kinds, places, follows = np.arange(60) % 3, [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        seen = kinds[reading_order(60, repeated(kinds, 12, rng), rng)]
        places.append([np.flatnonzero(seen == kind).mean() for kind in range(3)])
        follows.append([(seen[1:] == kind)[seen[:-1] == kind].mean() for kind in range(3)])
    assert np.abs(np.mean(places, axis=0) - 71 / 2).max() < 3 * np.std(places) / 300**0.5
    assert np.abs(np.mean(follows, axis=0) - 23 / 71).max() < 3 * np.std(follows) / 300**0.5


def test_each_block_of_trials_has_each_request_once():
    order = trial_order(10, 3, np.random.default_rng(0))
    assert [sorted(order[i : i + 10, 0].tolist()) for i in (0, 10, 20)] == [list(range(10))] * 3
    assert len({tuple(one) for one in order.tolist()}) == 30
