"""Requests of a stenosis on the phantom: what is reached in the masks, and that nothing else moves."""

import numpy as np
import pytest

from segue.phantom import VARIABLES, areas, counterfactual, draw, render
from segue.phantom.stenosis import stenoses

NAME, SIZE = "lumen@mid:stenosis", (48, 144)


@pytest.fixture(scope="module")
def noise():
    return draw(12, seed=3, law="stenosed")


@pytest.mark.parametrize("wanted", [0.4, 0.6, 0.8])
def test_the_masks_have_the_stenosis_that_was_asked(noise, wanted):
    """Diameters are counted in the masks: rows of 0.25 mm, thirds of 48 columns."""
    truth = counterfactual(noise, {NAME: wanted}, SIZE, free=["lumen@mid"])
    diameter = 0.25 * truth.fractions[:, 0].sum(1)
    reference = (diameter[:, :48].mean(1) + diameter[:, 96:].mean(1)) / 2
    found = 1 - diameter[:, 48:96].min(1) / reference
    assert truth.well_posed.sum() >= 8
    np.testing.assert_allclose(found[truth.well_posed], wanted, atol=0.01)


def test_only_the_third_that_is_asked_changes_and_its_area_is_held_unless_free(noise):
    factual, (before, _) = areas(noise), render(noise, SIZE)
    held = counterfactual(noise, {NAME: 0.5}, SIZE)
    free = counterfactual(noise, {NAME: 0.5}, SIZE, free=["lumen@mid"])
    mid = VARIABLES.index("lumen@mid")
    well = held.well_posed
    np.testing.assert_allclose(held.areas[well], factual[well], atol=1e-6)
    now = stenoses(factual, noise)[:, 1]
    possible = free.well_posed
    assert (np.sign(factual[possible, mid] - free.areas[possible, mid]) == np.sign(0.5 - now[possible])).all()
    away = np.r_[0:40, 104:144]  # 2 mm from the third, farther than the scan blurs
    assert np.abs(free.image - before)[..., away].max() < 0.02 * np.abs(free.image - before).max()


def test_the_factual_stenosis_is_the_factual_image(noise):
    truth = counterfactual(noise, {NAME: stenoses(areas(noise), noise)[:, 1]}, SIZE, free=["lumen@mid"])
    np.testing.assert_allclose(truth.image, render(noise, SIZE)[0], atol=0.01)


def test_what_the_vessel_cannot_have_is_not_well_posed(noise):
    assert not counterfactual(noise, {NAME: 1.0}, SIZE).well_posed.any()  # the lumen stays open
