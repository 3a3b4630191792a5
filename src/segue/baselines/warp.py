"""An untrained warp: borders move along the gradient of the smoothed mask, as far as the guide's areas ask."""

import torch
from jaxtyping import Float
from torch import Tensor

from segue.baselines.base import SQUARINGS, BaselineParts, changed_in
from segue.causal.facts import Facts
from segue.engine.method import Method, Questions
from segue.mechanisms.base import Moved
from segue.mechanisms.diffeomorphism import exponential, resample
from segue.nets.layers import blurred
from segue.training.guides import RegionGuide


def untrained_warp(
    parts: BaselineParts, *, smoothing: float = 3.0, bisections: int = 10, largest: float = 0.25
) -> Method:
    """Borders move along the gradient of the guide's smoothed mask; nothing is trained.

    The velocity of a variable points across the border of its structure, within its region, and is largest on the
    border. Its amplitude is found by bisection, so that the guide measures the area that was asked. Where an image has
    nothing of the structure there is no border, and nothing moves.

    Args:
        parts: see `BaselineParts`.
        smoothing: standard deviation of the Gaussian that smooths masks and regions, in pixels.
        bisections: halvings of the interval of amplitudes.
        largest: amplitude, as a share of the image's shorter side.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> method = untrained_warp(BaselineParts(model.parents, model.grid, lambda: model.mechanism), bisections=4)
    >>> method.open_ended
    True
    """

    def fields(questions: Questions) -> list[Tensor]:
        facts = questions.facts
        along = directions(parts, facts, smoothing)
        most = largest * min(facts.image.shape[2:])
        return [amplified(along, bisected(parts, facts, pa, along, most, bisections)) for pa in questions.requests]

    def respond(questions: Questions) -> list[Moved]:
        return [moved_by(questions.facts, exponential(velocity, SQUARINGS)) for velocity in fields(questions)]

    return Method(respond)


def moved_by(facts: Facts, displacement: Float[Tensor, "batch dims *space"]) -> Moved:
    """The factual images, moved."""
    return Moved(resample(facts.image, displacement), displacement)


def directions(
    parts: BaselineParts, facts: Facts, smoothing: float
) -> Float[Tensor, "batch measured dims *space"]:
    """For each variable a velocity that enlarges it, of length 1 where it is largest; 0 without a border.

    An image that is resampled at p + v(p) shows at p what it showed further inside, where v points up the gradient.
    """
    soft = blurred(parts.parents.segmentor.soft(facts.image), smoothing)[:, parts.parents.structure_of]
    regions = blurred(facts.weights, smoothing)
    gradient = torch.stack(torch.gradient(soft, dim=tuple(range(2, soft.ndim))), dim=2)
    along = gradient * regions[:, :, None]
    length = along.square().sum(2, keepdim=True).sqrt().flatten(2).amax(2)
    scale = torch.where(length > 1e-4, 1 / length.clamp_min(1e-4), 0.0)
    return along * scale.reshape(*scale.shape, *[1] * (along.ndim - 2))


def amplified(
    along: Float[Tensor, "batch measured dims *space"], amplitude: Float[Tensor, "batch measured"]
) -> Float[Tensor, "batch dims *space"]:
    """The sum of the variables' velocities, each by its amplitude in pixels."""
    return (along * amplitude.reshape(*amplitude.shape, *[1] * (along.ndim - 2))).sum(1)


def bisected(
    parts: BaselineParts, facts: Facts, requested: Tensor, along: Tensor, most: float, bisections: int
) -> Float[Tensor, "batch measured"]:
    """The amplitudes at which the guide measures what was asked; 0 for variables that are not asked to change."""
    asked, wanted = changed_in(facts, requested), requested[:, : facts.measured]
    low, high, guide = -most * asked, most * asked, RegionGuide(parts.parents)
    for _ in range(bisections):
        middle = (low + high) / 2
        image = resample(facts.image, exponential(amplified(along, middle), SQUARINGS))
        areas = guide.areas(image, facts)
        low, high = torch.where(areas < wanted, middle, low), torch.where(areas < wanted, high, middle)
    return (low + high) / 2
