"""The widths of a structure across an axis, position by position.

At a position x along the axis, the section is the part of the structure in the plane across it: a length in 2-D, an
area in 3-D. The width is the section's length; in 3-D it is the diameter of the disc of the same area, which is how
the diameter of a vessel's section is reported where the section is not round.
"""

import math

from jaxtyping import Float
from torch import Tensor

from segue.anatomy.measurement.base import Seen

__all__ = ["across", "as_width", "presence", "region_shares", "sections"]


def across(seen: Seen, axis: int) -> tuple[list[int], Float[Tensor, "batch 1"]]:
    """The axes of a (batch, row, *space) tensor across `axis`, and the size of a pixel in the plane across it."""
    dims = seen.spacing.shape[1]
    others = [other for other in range(dims) if other != axis]
    return [2 + other for other in others], seen.spacing[:, others].prod(1, keepdim=True)


def sections(seen: Seen, axis: int) -> Float[Tensor, "batch row n"]:
    """The structure's section at each position, in mm (mm2 in 3-D); of a position that is half of the region, half."""
    axes, pixel = across(seen, axis)
    return seen.inside.sum(axes) * pixel[..., None]


def region_shares(seen: Seen, axis: int) -> Float[Tensor, "batch row n"]:
    """The share of each position that is of the region."""
    axes, _ = across(seen, axis)
    return seen.weights.amax(axes)


def presence(inside: Float[Tensor, "batch row *space"], axis: int) -> Float[Tensor, "batch row n"]:
    """How much of the structure there is at each position, 0 to 1: the largest share of a pixel across the axis."""
    return inside.amax([2 + other for other in range(inside.ndim - 2) if other != axis])


def as_width(section: Float[Tensor, "*shape"], dims: int) -> Float[Tensor, "*shape"]:
    """The width of a section.

    >>> import torch
    >>> as_width(torch.tensor([math.pi]), dims=3)
    tensor([2.])
    """
    if dims == 2:
        return section
    return 2 * (section / math.pi).clamp_min(1e-12).sqrt()  # a root has no gradient at 0
