"""Corrections, against a mechanism so simple that every answer can be written down."""

from collections.abc import Sequence

import pytest
import tiny
import torch
from torch import nn

from segue.causal.facts import Facts
from segue.causal.parents import Parents
from segue.engine.predict import abduct, predict
from segue.mechanisms.correction import LIMIT
from segue.mechanisms.hvae import HVAEMechanism
from segue.mechanisms.refined import Refined
from segue.nets.hvae import Latents, PixelGaussian

HALF = tiny.SIZE[0] * tiny.SIZE[1] // 2
SD = 16.0


class Proportional(nn.Module):
    """Two structures, one a channel, each in two halves: an area moves by `gain` of what is asked, and other areas move
    by `spill` of it: those of the structure's other half (`side`), or of the other structure."""

    def __init__(self, gain: float, *, spill: float = 0.0, side: bool = False) -> None:
        super().__init__()
        self.gain, self.spill, self.side = gain, spill, side

    def abduct(self, x, context, *, sample):
        return Latents([], torch.zeros(len(x), 1), torch.zeros(len(x), 1))

    def predict(self, states, context):
        other = context.flip(-1) if self.side else context.flip(1)
        loc = SD * (self.gain * context + self.spill * other) / HALF
        return PixelGaussian(loc, torch.zeros_like(loc))


class Lens(tiny.Channels):
    """Sees areas in another size, and something where there is nothing."""

    def __init__(self, scale: float, offset: float = 0.0) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def soft(self, image):
        return self.scale * super().soft(image) + self.offset


def built(model: nn.Module, corrections: int, panel: Sequence[nn.Module] = ()) -> Refined:
    parents = Parents(segmentor=tiny.Channels(), variables=tiny.variables("lumen", "plaque"))
    parents.sd.fill_(SD)
    mechanism = HVAEMechanism(model=model, parents=parents, conditioning="map")
    return Refined(mechanism, corrections=corrections, ensemble=panel)


def facts(mechanism: Refined) -> Facts:
    """Three images half covered everywhere, symmetrical: areas of 64 each, and room for 64 more."""
    image = torch.full((3, 2, *tiny.SIZE), 0.5)
    areas, frames = mechanism.parents.factual(image, torch.ones(3))
    return Facts(image, areas, mechanism.parents.weights(frames, tiny.SIZE), torch.ones(3))


def moved(
    model: nn.Module, corrections: int, change: float, variable: int = 0, panel: Sequence[nn.Module] = ()
) -> torch.Tensor:
    """What the areas of the first image change by where one is asked to change by `change`."""
    mechanism = built(model, corrections, panel)
    known = facts(mechanism)
    requested = known.pa.clone()
    requested[:, variable] += change
    (image,) = predict(mechanism, known, abduct(mechanism, known), [requested])
    return mechanism.parents.factual(image, known.pixel_area).areas[0] - known.pa[0]


@pytest.mark.parametrize("corrections", [0, 1, 2, 5])
@pytest.mark.parametrize("gain", [0.7, 1.0, 1.2])
def test_each_correction_leaves_the_same_share_of_the_error(gain, corrections):
    found = moved(Proportional(gain), corrections, 10.0)
    assert float(10 - found[0]) == pytest.approx(10 * (1 - gain) ** (corrections + 1), abs=1e-3)
    torch.testing.assert_close(found[1:], torch.zeros(3), atol=1e-4, rtol=0)


def test_an_aim_stays_near_its_request():
    """A model that barely responds gets an aim of one sd more than was requested, and no further."""
    found = moved(Proportional(0.1), 50, 20.0)
    assert float(found[0]) == pytest.approx(0.1 * (20 + LIMIT * SD), abs=1e-3)


def test_another_structure_in_the_same_region_is_corrected_too():
    plain, better = (moved(Proportional(1.0, spill=0.2), n, 10.0) for n in (0, 3))
    torch.testing.assert_close(plain, torch.tensor([10.0, 0, 2, 0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(better, torch.tensor([10.0, 0, 0, 0]), atol=0.05, rtol=0)


def test_a_panel_sees_the_mean_of_its_changes():
    """The guide sees what is; one that sees all doubled makes it three halves, and what is asked for two thirds."""
    found = moved(Proportional(0.6), 8, 9.0, panel=[Lens(2.0)])
    torch.testing.assert_close(found, torch.tensor([6.0, 0, 0, 0]), atol=1e-2, rtol=0)


def test_errors_of_a_panel_cancel_and_what_errs_alike_on_both_images_does_not_count():
    alone = moved(Proportional(0.7), 3, 10.0)
    panel = [Lens(0.8, 0.1), Lens(1.2, 0.2)]
    torch.testing.assert_close(moved(Proportional(0.7), 3, 10.0, panel=panel), alone, atol=1e-3, rtol=0)


def test_no_new_aim_is_given_to_a_region_that_is_to_stay():
    spilling = Proportional(1.0, spill=0.2, side=True)
    plain, same = (moved(spilling, n, 10.0) for n in (0, 3))
    torch.testing.assert_close(plain, torch.tensor([10.0, 2, 0, 0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(same, plain, atol=1e-3, rtol=0)


def test_nothing_asked_is_nothing_corrected(parents, factual):
    """However wrong the guide is about its own answer to nothing: the null intervention is not moved."""
    net = tiny.hvae(context=parents.context_channels("map"))
    asked = factual
    for corrections in (0, 3):
        inner = HVAEMechanism(model=net, parents=parents, conditioning="map")
        mechanism = Refined(inner, corrections=corrections)
        wrong = asked._replace(pixel_area=3 * asked.pixel_area)
        (null,) = predict(mechanism, wrong, abduct(mechanism, wrong), [asked.pa])
        torch.testing.assert_close(null, asked.image, atol=1e-5, rtol=0)


def test_several_requests_are_corrected_each_for_itself():
    mechanism = built(Proportional(0.5), 2)
    known = facts(mechanism)
    requests = [known.pa + shift * torch.eye(4)[v] for v, shift in ((0, 8.0), (3, -8.0))]
    posteriors = abduct(mechanism, known)
    together = predict(mechanism, known, posteriors, requests)
    for image, request in zip(together, requests, strict=True):
        (alone,) = predict(mechanism, known, posteriors, [request])
        torch.testing.assert_close(image, alone)
