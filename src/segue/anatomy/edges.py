"""Edges on a pixel grid: exact shares of pixels, and the extent of a mask."""

import torch
from jaxtyping import Float
from torch import Tensor

TRIM = 0.005  # share of a mask's area set aside at either end of its extent


def beyond(
    cut: Float[Tensor, "*batch"], softness: Float[Tensor, "*#batch"], n: int
) -> Float[Tensor, "*batch n"]:
    """Mean over each of n pixels of the ramp clamp((t - cut) / softness + 1/2, 0, 1), t in [0, 1].

    A softness of 0 gives the step, hence the exact share of the pixel that lies beyond the cut.
    """
    past = torch.arange(n + 1, device=cut.device, dtype=cut.dtype) - cut[..., None] * n
    step = past[..., 1:].clamp(0, 1)
    width = (softness * n)[..., None]
    thin = 1e-3  # pixels: a narrower ramp is a step
    ramp = past / width.clamp(min=thin) + 0.5
    low, high = ramp[..., :-1], ramp[..., 1:]
    # The integral of the ramp, its slope and the part above it apart: a difference of large numbers loses digits.
    a, b = low.clamp(0, 1), high.clamp(0, 1)
    slope = (b - a) * (b + a) / 2
    above = (high - low.clamp(min=1)).clamp(min=0)
    return torch.where(width < thin, step, (slope + above) / (high - low))


def within(
    start: Float[Tensor, "*batch"], stop: Float[Tensor, "*batch"], n: int
) -> Float[Tensor, "*batch n"]:
    """Share of each of n pixels that lies between `start` and `stop`, fractions of the axis."""
    edges = torch.arange(n + 1, device=start.device, dtype=start.dtype)
    low = torch.maximum(edges[:-1], start[..., None] * n)
    high = torch.minimum(edges[1:], stop[..., None] * n)
    return (high - low).clamp(min=0)


def extent(inside: Float[Tensor, "batch *space"], axis: int) -> Float[Tensor, "batch 2"]:
    """[start, stop] of a binary mask along `axis`, as fractions of its length; [0, 1] where it is empty.

    From the outer edge of the first pixel to that of the last where the area passed, counted from that side,
    exceeds `TRIM` of the whole.
    """
    n = inside.shape[1 + axis]
    profile = inside.movedim(1 + axis, -1).reshape(len(inside), -1, n).float().sum(1)
    trim = TRIM * profile.sum(1, keepdim=True)
    before = (profile.cumsum(1) <= trim).sum(1)
    after = (profile.flip(1).cumsum(1) <= trim).sum(1)
    empty = profile.sum(1) == 0
    start, stop = before.masked_fill(empty, 0), (n - after).masked_fill(empty, n)
    return torch.stack([start, stop], dim=1).to(inside.dtype) / n
