"""What the input check looks at: one number an image for its intensities, texture, layout, and what the model says.

The first three need the image alone. The last are what abduction has inferred already: areas, how certain the guide is,
how likely the image.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from segue.cohort.grid import Grid
from segue.engine.thumbnails import ThumbnailModel, thumbnails_of
from segue.mechanisms.base import ImageMechanism, Likelihood, offered

__all__ = ["AREA", "POSE", "Statistics", "image_statistics", "model_statistics", "outer"]

if TYPE_CHECKING:
    from segue.engine.answer import Abducted

Statistics = dict[str, Float[Tensor, " batch"]]
"""By name, one value an image."""
OUTER = (0.01, 0.99)  # quantiles between which an image's intensities lie
TINY = 1e-6  # of what a logarithm is taken of
AREA, POSE = "area ", "pose "
"""Prefixes of the statistics of a variable, and of a pose."""


def image_statistics(
    raw: Float[Tensor, "batch channel *space"], grid: Grid, layout: ThumbnailModel
) -> Statistics:
    """Of the image alone.

    Args:
        raw: in the source's units.

    Returns:
        dark, bright: 1st and 99th percentile, the study's usual intensities being [0, 1]. contrast: log10 of their
        distance.
        even: share of pixels that equal their neighbour, as in blank or saturated areas.
        sharpness: log10 of the mean square difference of neighbours, in the networks' range. grain: log10 of its ratio
        to that of pixels four apart: 0 for white noise, lower the smoother an image is.
        layout: see `ThumbnailModel.distance`. pose ...: see `ThumbnailModel.log_odds`.
    """
    image = grid.scale(raw)
    dark, bright = ((outer(raw) - grid.intensity.usual[0]) / grid.span).unbind(1)
    near, far = (difference(image, lag, torch.square).clamp_min(TINY) for lag in (1, 4))
    thumbs = thumbnails_of(image)
    return {
        "dark": dark,
        "bright": bright,
        "contrast": (bright - dark).clamp_min(TINY).log10(),
        "even": difference(raw, 1, lambda change: (change == 0).float()),
        "sharpness": near.log10(),
        "grain": (near / far).log10(),
        "layout": layout.distance(thumbs),
        **{POSE + pose: odds for pose, odds in layout.log_odds(thumbs).items()},
    }


def outer(raw: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch 2"]:
    """The values that all but a hundredth of an image's values are above, and below.

    >>> outer(torch.arange(101.0).reshape(1, 1, 101)).tolist()
    [[1.0, 99.0]]
    """
    ordered = raw.flatten(1).sort(dim=1).values
    return ordered[:, [round(share * (ordered.shape[1] - 1)) for share in OUTER]]


def difference(
    image: Float[Tensor, "batch channel *space"], lag: int, size: Callable[[Tensor], Tensor]
) -> Float[Tensor, " batch"]:
    """The mean size of the difference of pixels `lag` apart along an axis, over all pixels and axes.

    >>> difference(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]]), 1, torch.abs)
    tensor([0.5000])
    """
    means = []
    for axis in range(2, image.ndim):
        left = image.shape[axis] - min(lag, image.shape[axis] - 1)
        change = image.narrow(axis, image.shape[axis] - left, left) - image.narrow(axis, 0, left)
        means.append(size(change).flatten(1).mean(1))
    return torch.stack(means).mean(0)


def model_statistics(known: "Abducted", mechanism: ImageMechanism) -> Statistics:
    """What the model says of images.

    Returns:
        uncertainty: log10 of the mean entropy of the guide's masks, over pixels, in nats. area ...: of each measured
        variable, in standard deviations from the mean. likelihood: nats per pixel and channel, where there is one.
        disagreement: log10 of the mean distance of the guide's masks from the ensemble's, where there is one.
    """
    soft, parents = known.soft, mechanism.parents
    classes = torch.cat([1 - soft.sum(1, keepdim=True), soft], dim=1).clamp_min(TINY)
    entropy = -(classes * classes.log()).sum(1).flatten(1).mean(1)
    standard = parents.standardise(known.facts.pa)[:, : known.facts.measured]
    found = {"uncertainty": entropy.clamp_min(TINY).log10()}
    found |= {AREA + name: column for name, column in zip(parents.names, standard.T, strict=False)}
    if (likely := offered(mechanism, Likelihood)) is not None:
        each = [likely.log_likelihood(known.facts, posterior) for posterior in known.posteriors]
        found["likelihood"] = torch.stack(each).mean(0)
    if known.ensemble_soft is not None:
        apart = (known.ensemble_soft - soft).abs().sum(1).flatten(1)
        found["disagreement"] = apart.mean(1).clamp_min(TINY).log10()
    return found
