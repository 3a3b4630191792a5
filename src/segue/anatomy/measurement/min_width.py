"""The smallest width of a structure in a region, across an axis; of a vessel, the minimal lumen diameter."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy.measurement.base import Dimension, Measurement, Seen
from segue.anatomy.measurement.width import across, as_width, region_shares, sections

SOFTNESS = 0.25
"""Temperature of the soft minimum, in pixels. It is exact for a constant width, and no more than this above the minimum
of a smooth one (half of it where the width is a parabola)."""


@dataclass(frozen=True)
class MinWidth(Measurement):
    """The soft minimum of the width d(x) over the positions of the region: sum_x p(x) d(x), p = softmax(-d / t).

    >>> import torch
    >>> s = torch.zeros(1, 1, 8, 3)
    >>> s[..., :7, 0], s[..., :3, 1], s[..., :7, 2] = 1, 1, 1
    >>> seen = Seen(s, torch.ones_like(s), s, s, ("a",), torch.ones(1), torch.ones(1, 2), torch.zeros(1, 1))
    >>> MinWidth(axis=1)(seen).tolist()
    [[3.0...]]
    """

    axis: int
    key: ClassVar[str] = "min_width"
    dimension: ClassVar[Dimension] = "length"

    def __call__(self, seen: Seen) -> Float[Tensor, "batch row"]:
        dims = seen.spacing.shape[1]
        share, (_, pixel) = region_shares(seen, self.axis), across(seen, self.axis)
        tiny = torch.finfo(share.dtype).tiny
        # of a position that the region cuts, the width is that of its part in the region
        width = as_width(sections(seen, self.axis) / share.clamp_min(1e-3), dims)
        softness = SOFTNESS * pixel[..., None] ** (1 / (dims - 1))
        return (torch.softmax(share.clamp_min(tiny).log() - width / softness, dim=2) * width).sum(2)
