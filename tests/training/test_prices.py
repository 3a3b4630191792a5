"""What answers cost in fine-tuning: analytic energies, and where a change is away from what was asked."""

import pytest
import tiny
import torch

from segue.causal.facts import Facts
from segue.mechanisms.deformation import Edit
from segue.training.prices import NEAR, Prices, away, priced


def edit(velocity, paint=0.0) -> Edit:
    image = torch.full((1, 1, *velocity.shape[2:]), paint)
    return Edit(image, velocity, velocity, image)


def linear(slope: float) -> torch.Tensor:
    """A field that stretches the rows: its gradient has one entry, and its second derivatives none."""
    rows = slope * torch.arange(12.0)[:, None].expand(12, 16)
    return torch.stack([rows, torch.zeros(12, 16)])[None]


@pytest.mark.parametrize(("energy", "expected"), [("first", 0.3**2 / 2), ("bending", 0.0)])
def test_the_energy_of_a_stretch(energy, expected):
    cost, terms = priced(edit(linear(0.3)), Prices(smoothness=2.0, energy=energy))
    assert float(terms["energy"]) == pytest.approx(expected, abs=1e-6)  # a mean over the two components
    assert float(cost) == pytest.approx(2 * expected, abs=1e-6)


def test_a_shift_of_everything_costs_nothing_and_paint_what_is_said():
    cost, terms = priced(edit(torch.full((1, 2, 12, 16), 3.0), paint=-0.2), Prices(painting=5.0, smoothness=1.0))
    assert float(terms["energy"]) == 0 and float(cost) == pytest.approx(1.0)


@pytest.fixture
def facts() -> Facts:
    """A bar in the left half of 40 x 96 pixels and nothing in the right half: its parents are left and right."""
    parents = tiny.bar_parents()
    image = torch.full((1, 1, 40, 96), -0.9)
    image[..., 10:30, 20:28] = 0.5
    areas, frames = parents.factual(image, torch.ones(1))
    return Facts(image, areas, parents.weights(frames, (40, 96)), torch.ones(1))


def test_near_is_the_structure_with_a_margin_within_its_region(facts):
    parents, requested = tiny.bar_parents(), facts.pa.clone()
    requested[:, 0] += 1
    found = away(parents, facts, requested, facts.image)[0, 0]
    margin = round(NEAR * 40)
    assert found[20, 24] < 0.1 and found[20, 28 + margin - 1] < 0.1 and found[20, 28 + margin] > 0.9
    assert bool((found[:, 60:] > 0.9).all())  # the other half


def test_where_there_is_nothing_of_a_structure_all_of_its_region_is_near(facts):
    parents, requested = tiny.bar_parents(), facts.pa.clone()
    requested[:, 1] += 1
    found = away(parents, facts, requested, facts.image)[0, 0]
    assert bool((found[:, 52:] == 0).all()) and bool((found[:, :40] > 0.9).all())


def test_what_the_answer_has_anew_is_near(facts):
    parents, requested, answer = tiny.bar_parents(), facts.pa.clone(), facts.image.clone()
    requested[:, 0] += 1
    answer[..., 10:30, 34:38] = 0.5
    assert away(parents, facts, requested, facts.image)[0, 0, 20, 36] > 0.9
    assert away(parents, facts, requested, answer)[0, 0, 20, 36] < 0.1
