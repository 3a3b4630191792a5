"""The mean thickness of a sheet, such as the wall of the heart."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from segue.anatomy.measurement.base import Dimension, Measurement, Seen, total

SMOOTHING, RADIUS = 1.0, 3  # pixels, standard deviation and reach: outlines of pixels are longer than what they outline
LEAST_OUTLINE = 1e-3  # pixels of outline


@dataclass(frozen=True)
class Thickness(Measurement):
    """2 A / P: twice the area (volume) over the length of the outlines (area of the surfaces) in the region.

    It is exact for a sheet and for a ring of constant thickness, and is known from bone as the plate model (Parfitt et
    al., J Clin Invest 1983;72:1396). The region's own edges are no outlines. P is the integral of the gradient's length
    of the smoothed mask, so that it has a gradient, and does not depend on the direction of the outlines. A sheet
    of 5 pixels comes out 3% too thick, a thinner one more.

    >>> import torch
    >>> s = torch.zeros(1, 1, 24, 8)
    >>> s[..., 8:14, :] = 1
    >>> seen = Seen(s, torch.ones_like(s), s, s, ("a",), torch.ones(1), torch.ones(1, 2), torch.zeros(1, 1))
    >>> round(Thickness()(seen).item(), 2)
    6.03
    """

    key: ClassVar[str] = "thickness"
    dimension: ClassVar[Dimension] = "length"

    def __call__(self, seen: Seen) -> Float[Tensor, "batch row"]:
        outline = total(seen.weights * slope(smoothed_mask(seen.mask), seen.spacing))
        least = LEAST_OUTLINE / seen.spacing.amax(1, keepdim=True)
        return 2 * total(seen.inside) / outline.maximum(least)


def smoothed_mask(mask: Float[Tensor, "batch row *space"]) -> Float[Tensor, "batch row *space"]:
    """The mask blurred along every axis, as if it went on beyond the image's border."""
    places = torch.arange(-RADIUS, RADIUS + 1)
    kernel = torch.exp(-0.5 * (places / SMOOTHING) ** 2)
    for axis in range(2, mask.ndim):
        lines, n = beyond_border(mask, axis, RADIUS), mask.shape[axis]
        parts = zip((kernel / kernel.sum()).tolist(), range(2 * RADIUS + 1), strict=True)
        mask = sum((share * lines.narrow(axis, first, n) for share, first in parts), start=torch.zeros_like(mask))
    return mask


def beyond_border(mask: Float[Tensor, "batch row *space"], axis: int, by: int) -> Tensor:
    """The mask as if it went on along an axis beyond the image's border."""
    moved = mask.movedim(axis, -1)
    lines = pad(moved.reshape(-1, 1, moved.shape[-1]), (by, by), mode="replicate")
    return lines.reshape(*moved.shape[:-1], -1).movedim(-1, axis)


def slope(
    mask: Float[Tensor, "batch row *space"], spacing: Float[Tensor, "batch dims"]
) -> Float[Tensor, "batch row *space"]:
    """The length of the gradient, by central differences."""
    squares = torch.zeros_like(mask)
    for axis, mm in enumerate(spacing.unbind(1), start=2):
        lines, n = beyond_border(mask, axis, 1), mask.shape[axis]
        step = (lines.narrow(axis, 2, n) - lines.narrow(axis, 0, n)) / 2
        squares = squares + (step / mm.reshape(-1, *[1] * (mask.ndim - 1))) ** 2
    return (squares + 1e-12).sqrt()  # a root has no gradient at 0
