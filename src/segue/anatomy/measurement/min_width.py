"""The smallest width of a structure in a region, across an axis; of a vessel, the minimal lumen diameter."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy.measurement.base import Dimension, Measurement, Seen
from segue.anatomy.measurement.width import across, as_width, region_shares, sections

SOFTNESS = 0.5
"""The higher of the two temperatures of the soft minimum, in pixels."""
LEAST_SHARE = 1e-3
"""A position of which less is of the region has no width."""


@dataclass(frozen=True)
class MinWidth(Measurement):
    """2 m(t / 2) - m(t), where m(t) = sum_x p(x) d(x), p = softmax(-d / t), is the soft minimum of the width d(x).

    m(t) is above the minimum, near a smooth one by t / 2 to first order, as a harmonic oscillator's mean energy is. The
    extrapolation to t = 0 (Richardson, Phil Trans R Soc A 1911;210:307) takes that away, and keeps an average over
    several positions, which noise moves less than the minimum itself.

    >>> import torch
    >>> s = torch.zeros(1, 1, 8, 3)
    >>> s[..., :7, 0], s[..., :3, 1], s[..., :7, 2] = 1, 1, 1
    >>> seen = Seen(s, torch.ones_like(s), s, s, ("a",), torch.ones(1), torch.ones(1, 2), torch.zeros(1, 1))
    >>> round(MinWidth(axis=1)(seen).item(), 2)
    3.0
    """

    axis: int
    key: ClassVar[str] = "min_width"
    dimension: ClassVar[Dimension] = "length"

    def __call__(self, seen: Seen) -> Float[Tensor, "batch row"]:
        dims = seen.spacing.shape[1]
        share, (_, pixel) = region_shares(seen, self.axis), across(seen, self.axis)
        # of a position that the region cuts, the width is that of its part in the region
        width = as_width(sections(seen, self.axis) / share.clamp_min(LEAST_SHARE), dims)
        softness = SOFTNESS * pixel[..., None] ** (1 / (dims - 1))
        return (2 * soft_minimum(width, share, softness / 2) - soft_minimum(width, share, softness)).clamp_min(0)


def soft_minimum(
    width: Float[Tensor, "batch row n"], share: Float[Tensor, "batch row n"], softness: Float[Tensor, "batch 1 1"]
) -> Float[Tensor, "batch row"]:
    """sum_x p(x) d(x), p proportional to share(x) exp(-d(x) / softness).

    >>> ones = torch.ones(1, 1, 4)
    >>> soft_minimum(3 * ones, ones, torch.full((1, 1, 1), 0.5)).tolist()
    [[3.0]]
    """
    shares = share.clamp_min(LEAST_SHARE).log() - width / softness
    inside = shares.masked_fill(share < LEAST_SHARE, torch.finfo(shares.dtype).min)
    return (torch.softmax(inside, dim=2) * width).sum(2)
