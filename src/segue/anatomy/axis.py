"""Partitions along an axis: of the image, or of a structure's own extent.

Positions along an axis are fractions of its length, 0 at the outer edge of the first pixel and 1 at the outer
edge of the last, so that they mean the same at every resolution. A pixel that an edge crosses gets the exact
share of it.
"""

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from segue.anatomy.cohort_wide import CohortWide
from segue.anatomy.edges import beyond, extent, within
from segue.anatomy.names import check_regions
from segue.errors import InputError


class AxisPartition(CohortWide):
    """The image cut across one axis at fixed fractions: w_r = H(t - c_r) - H(t - c_{r+1}).

    H is a step, or a linear ramp with the cut at its middle; neighbours sum to one.

    Args:
        regions: names along the axis, from its first pixel to its last.
        axis: the axis of the image (0 the first) that is cut.
        cuts: len(regions) - 1 increasing fractions in (0, 1); equal parts without.
        softness: width of the ramp, a fraction of the axis' length; 0 is a hard edge.

    >>> part = AxisPartition(regions=("left", "right"), axis=1, cuts=(0.25,))
    >>> part.weights(torch.zeros(1, 0), (1, 4)).squeeze().tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]]
    """

    def __init__(
        self,
        *,
        regions: tuple[str, ...],
        axis: int = 0,
        cuts: tuple[float, ...] | None = None,
        softness: float = 0.0,
    ) -> None:
        self.regions = check_regions(regions)
        self.axis = check_axis(axis)
        self.cuts = check_cuts(cuts, len(self.regions), softness)
        self.softness = softness

    def weights(
        self, frame: Float[Tensor, "batch 0"], size: tuple[int, ...]
    ) -> Float[Tensor, "batch region *space"]:
        """The same map for every image, expanded (not copied) over the batch and the other axes."""
        check_axis(self.axis, len(size))
        profile = slabs(frame.new_tensor([self.cuts]), frame.new_tensor([self.softness]), size[self.axis])
        return along(profile, self.axis, len(size)).expand(len(frame), -1, *size)


class ExtentPartition:
    """The image cut across one axis at fractions of a structure's own extent: thirds of each lung.

    The extent runs from the outer edge of the first pixel to that of the last, after 0.5% of the structure's
    area has been set aside at either end, so that single false pixels do not move it. The extent of a solid
    rectangle is exact up to 200 pixels, and within 0.5% of its length beyond; that of a disc is shorter by
    about 4% of the radius at either end. Where the mask is empty, the extent is the whole image. The first and
    the last region reach the image's border, so that a structure that grows stays inside the regions.

    With a `margin`, the partition covers only the structure's box across the axis, grown by the margin on
    both sides. The left and the right lung, cut along the vertical, then have separate regions.

    Args:
        regions: names along the axis, from its first pixel to its last.
        axis: the axis of the image (0 the first) that is cut.
        cuts: len(regions) - 1 increasing fractions of the extent, in (0, 1); equal parts without.
        softness: width of the ramp between neighbours, a fraction of the extent; 0 is a hard edge.
        margin: growth of the box across, a fraction of the image's size there; None covers the whole image.

    >>> part = ExtentPartition(regions=("upper", "lower"), axis=0)
    >>> mask = torch.zeros(1, 8, 1)
    >>> mask[:, 2:6] = 1  # rows 2 to 5: the cut is between rows 3 and 4
    >>> frame = part.frame(mask)
    >>> frame.tolist()
    [[0.25, 0.75]]
    >>> part.weights(frame, (8, 1))[0, 0].flatten().tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """

    reads: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        *,
        regions: tuple[str, ...],
        axis: int = 0,
        cuts: tuple[float, ...] | None = None,
        softness: float = 0.0,
        margin: float | None = None,
    ) -> None:
        self.regions = check_regions(regions)
        self.axis = check_axis(axis)
        self.cuts = check_cuts(cuts, len(self.regions), softness)
        self.softness = softness
        if margin is not None and margin < 0:
            raise InputError(f"partition.margin: {margin} is negative; give a fraction of the image's size")
        self.margin = margin

    def params(self, dims: int) -> int:
        """2 (start and stop along the axis), or 2 for every axis with a margin."""
        return 2 if self.margin is None else 2 * dims

    def frame(
        self, mask: Float[Tensor, "batch *space"], *further: Float[Tensor, "batch *space"]
    ) -> Float[Tensor, "batch params"]:
        """[start, stop] along the axis, then (with a margin) along the others, as fractions of the image."""
        dims = mask.ndim - 1
        check_axis(self.axis, dims)
        axes = [self.axis] if self.margin is None else [self.axis, *others(self.axis, dims)]
        inside = (mask >= 0.5).to(mask.dtype)
        return torch.cat([extent(inside, axis) for axis in axes], dim=1)

    def missing(
        self, mask: Float[Tensor, "batch *space"], *further: Float[Tensor, "batch *space"]
    ) -> Bool[Tensor, " batch"]:
        """Images without the structure, whose extent is the whole image."""
        return ~(mask >= 0.5).flatten(1).any(1)

    def weights(
        self, frame: Float[Tensor, "batch params"], size: tuple[int, ...]
    ) -> Float[Tensor, "batch region *space"]:
        """Slabs between the cuts, times the grown box across where there is a margin."""
        dims = len(size)
        check_axis(self.axis, dims)
        start, length = frame[:, :1], frame[:, 1:2] - frame[:, :1]
        cuts = start + length * frame.new_tensor([self.cuts])
        weights = along(slabs(cuts, length[:, 0] * self.softness, size[self.axis]), self.axis, dims)
        if self.margin is not None:
            for axis, box in zip(others(self.axis, dims), frame[:, 2:].split(2, dim=1), strict=True):
                inside = within(box[:, 0] - self.margin, box[:, 1] + self.margin, size[axis])
                weights = weights * along(inside[:, None], axis, dims)
        return weights.expand(-1, -1, *size)


def slabs(
    cuts: Float[Tensor, "batch cuts"], softness: Float[Tensor, " batch"], n: int
) -> Float[Tensor, "batch region n"]:
    """Shares of n pixels between neighbouring cuts: non-negative, and one in sum."""
    steps = beyond(cuts, softness[:, None], n)
    first, last = steps.new_ones(len(cuts), 1, n), steps.new_zeros(len(cuts), 1, n)
    return torch.cat([first, steps], dim=1) - torch.cat([steps, last], dim=1)


def along(
    profile: Float[Tensor, "batch region n"], axis: int, dims: int
) -> Float[Tensor, "batch region *space"]:
    """A profile along one of `dims` axes; the others have length one."""
    shape = [1] * dims
    shape[axis] = profile.shape[-1]
    return profile.reshape(*profile.shape[:2], *shape)


def others(axis: int, dims: int) -> list[int]:
    """All axes but one, in order."""
    return [other for other in range(dims) if other != axis]


def check_axis(axis: int, dims: int = 3) -> int:
    """`axis`, if an image of `dims` axes has it."""
    if not 0 <= axis < dims:
        raise InputError(f"partition.axis: {axis} is not an axis of the image; choose 0 to {dims - 1}")
    return axis


def check_cuts(
    cuts: tuple[float, ...] | None, regions: int, softness: float, key: str = "cuts"
) -> tuple[float, ...]:
    """The cuts (equal parts without), if they and the soft edges fit the regions."""
    if cuts is None:
        cuts = tuple(i / regions for i in range(1, regions))
    if len(cuts) != regions - 1:
        raise InputError(
            f"partition.{key}: {len(cuts)} cuts for {regions} regions; give {regions - 1}, or leave {key} out"
        )
    edges = (0.0, *cuts, 1.0)
    if any(b <= a for a, b in pairwise(edges)):
        raise InputError(f"partition.{key}: {list(cuts)} must increase inside (0, 1); change them")
    narrowest = min(b - a for a, b in pairwise(edges))
    if not 0 <= softness <= narrowest:
        width = f"the narrowest region's width, {narrowest:.3g}"
        raise InputError(f"partition.softness: {softness} is not between 0 and {width}; change it")
    return tuple(cuts)
