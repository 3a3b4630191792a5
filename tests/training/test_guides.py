"""Guides by hand, on images that are their own masks."""

import pytest
import tiny
import torch
from torch import nn

from segue.causal.facts import Facts
from segue.causal.parents import Parents
from segue.nets.segmentor import Regressor
from segue.training.guides import (
    GUIDES,
    EnsembleGuide,
    GuideParts,
    RegionGuide,
    RegressorGuide,
    StructureGuide,
)


def square(*areas: float) -> torch.Tensor:
    """Two structures on 2 x 4 pixels; areas by lumen left, right, plaque left, right, in pixels (4 to a half)."""
    image = torch.zeros(1, 2, 2, 4)
    for v, area in enumerate(areas):
        half = image[0, v // 2, :, 2 * (v % 2) : 2 * (v % 2) + 2]
        half += area / 4
    return image


@pytest.fixture
def measured() -> Parents:
    parents = Parents(segmentor=tiny.Channels(), variables=tiny.variables("lumen", "plaque"), covariates=("age",))
    parents.sd.copy_(torch.tensor([1.0, 2, 0.5, 1, 10]))
    return parents


def call(guide, parents, image, requested, pixel_area=1.0):
    pa = torch.tensor([requested])
    facts = Facts(image, pa, parents.weights(torch.zeros(1, 0), (2, 4)), torch.tensor([pixel_area]))
    return float(guide(image, facts, pa))


TRAINING = torch.tensor([[1.0, 1, 0, 0, 9], [2.0, 2, 1, 0, 9], [3.0, 3, 1, 1, 9]])  # sums: 2 4 6 and 0 1 2


def test_region_guide_by_hand(measured):
    guide, image = RegionGuide(measured), square(3, 1, 0, 2)
    assert call(guide, measured, image, [3.0, 1, 0, 2, 50]) == pytest.approx(0)
    assert call(guide, measured, image, [1.0, 2, 1, 2, 50]) == pytest.approx(2**2 + 0.5**2 + 2**2)
    assert call(guide, measured, image, [1.5, 0.5, 0, 1, 50], pixel_area=0.5) == pytest.approx(0)


def test_structure_guide_by_hand(measured):
    guide, image = StructureGuide(measured, TRAINING), square(3, 1, 0, 2)
    assert guide.sum_sd.tolist() == [2, 1]
    assert call(guide, measured, image, [3.0, 1, 0, 2, 50]) == pytest.approx(0)
    assert call(guide, measured, image, [4.0, 3, 0, 0, 50]) == pytest.approx(1.5**2 + 2**2)


def test_the_structure_guide_is_blind_to_a_swap_between_regions_and_the_region_guide_is_not(measured):
    image, swapped = square(3, 1, 0, 2), [1.0, 3, 2, 0, 50]
    assert call(StructureGuide(measured, TRAINING), measured, image, swapped) == pytest.approx(0)
    assert call(RegionGuide(measured), measured, image, swapped) == pytest.approx(2**2 + 1 + 4**2 + 2**2)


class Half(tiny.Channels):
    """A segmentor that sees half of everything."""

    def soft(self, image):
        return super().soft(image) / 2


def test_the_ensemble_guide_is_the_mean_of_squares_by_hand(measured):
    """The guide sees 3, 1, 0, 2 and a further segmentor half of it: one of them is never content."""
    guide, image = EnsembleGuide(measured, [Half()]), square(3, 1, 0, 2)
    assert call(guide, measured, image, [3.0, 1, 0, 2, 50]) == pytest.approx((1.5**2 + 0.25**2 + 1**2) / 2)
    assert call(guide, measured, image, [1.5, 1, 0, 2, 50]) == pytest.approx((1.5**2 + 0.25**2 + 1**2) / 2)
    assert call(EnsembleGuide(measured, []), measured, image, [1.0, 2, 1, 2, 50]) == pytest.approx(4 + 0.25 + 4)


class Says(Regressor):
    """Standardised parents as given, plus the image's mean."""

    def __init__(self, *values: float) -> None:
        nn.Module.__init__(self)
        self.values = nn.Parameter(torch.tensor([values]))

    def forward(self, image):
        return self.values + image.mean()


def test_regressor_guide_by_hand(measured):
    guide = RegressorGuide(measured, Says(0.0, 1.0, 2.0, 3.0, 4.0))
    measured.mean.copy_(torch.tensor([1.0, 1, 1, 1, 40]))
    # requested in sd: 2, 0, -2, 1, 1
    assert call(guide, measured, square(0, 0, 0, 0), [3.0, 1, 0, 2, 50]) == pytest.approx(4 + 1 + 16 + 4 + 9)


@pytest.mark.parametrize("kind", GUIDES)
def test_the_image_gets_a_gradient_and_the_guide_never_does(kind):
    parents = Parents(segmentor=tiny.Tones(0.5), variables=tiny.variables("bar"))
    guide = GUIDES[kind].build(GuideParts(parents, torch.rand(5, 2), lambda: Says(0.0, 1.0))).train()
    image = tiny.bars(2, seed=0).requires_grad_()
    weights = parents.weights(torch.zeros(2, 0), tiny.SIZE)
    requested = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    guide(image, Facts(image, requested, weights, torch.ones(2)), requested).sum().backward()
    assert image.grad.abs().max() > 0
    assert all(not p.requires_grad and p.grad is None for p in guide.parameters())


def test_guides_stay_in_evaluation_mode(measured):
    guide = RegressorGuide(measured, Regressor(size=(16, 16), outputs=5, width=8)).train()
    assert not any(m.training for m in guide.modules())
    assert not any(m.training for m in RegionGuide(measured).train().parents.modules())
