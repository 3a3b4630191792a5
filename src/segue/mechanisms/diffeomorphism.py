"""Smooth, invertible maps of an image onto itself, as displacement fields in pixels.

A displacement d stands for the map p -> p + d(p). An image resampled by it shows at p what it showed at p + d(p).
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["exponential", "resample"]


def exponential(velocity: Float[Tensor, "batch dims *space"], squarings: int) -> Float[Tensor, "batch dims *space"]:
    """exp(v): the displacement after unit time along a stationary velocity field, by scaling and squaring.

    Both in pixels. exp(v) and exp(-v) are inverse up to the interpolation of the field (Arsigny et al., MICCAI 2006;
    Dalca et al., Med. Image Anal. 2019). A field of zeros gives zeros.

    >>> shift = torch.full((1, 2, 8, 8), 0.5)
    >>> torch.allclose(exponential(shift, squarings=5), shift)
    True
    """
    with torch.autocast(velocity.device.type, enabled=False):
        still = identity_grid(velocity.shape[2:], velocity)
        displacement = velocity.float() / 2**squarings
        for _ in range(squarings):
            displacement = displacement + grid_sampled(displacement, still + displacement, "bilinear")
        return displacement


def resample(
    image: Float[Tensor, "batch channel *space"], displacement: Float[Tensor, "batch dims *space"]
) -> Float[Tensor, "batch channel *space"]:
    """The image at p + displacement(p); beyond its border, the border.

    Cubic, which keeps texture: in two dimensions by convolution (a = -0.75), in three linear between the points of a
    grid that is twice as fine, which cubic convolution fills.

    >>> ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    >>> right = torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1).expand(1, 2, 8, 8)
    >>> resample(ramp, right)[0, 0, 0, 2:5]
    tensor([3., 4., 5.])
    """
    with torch.autocast(image.device.type, enabled=False):
        places = identity_grid(image.shape[2:], displacement) + displacement.float()
        if image.ndim == 4:
            return grid_sampled(image.float(), places, "bicubic")
        return grid_sampled(twice_as_fine(image.float()), places, "bilinear")


def grid_sampled(
    image: Float[Tensor, "batch channel *finer"],
    places: Float[Tensor, "batch dims *space"],
    mode: Literal["bilinear", "bicubic"],
) -> Float[Tensor, "batch channel *space"]:
    """The image at places that are counted in pixels of the result; beyond its border, the border.

    The image may be finer than the result, corner on corner.

    >>> places = torch.tensor([[[[0.0, 0.0, 0.0]], [[0.0, 0.5, 9.0]]]])
    >>> grid_sampled(torch.tensor([[[[0.0, 2.0, 4.0]]]]), places, "bilinear")
    tensor([[[[0., 1., 4.]]]])
    """
    sides = torch.tensor(places.shape[2:], dtype=torch.float32, device=places.device)
    last = (sides - 1).clamp_min(1).reshape(-1, *[1] * (places.ndim - 2))
    shares = (2 * places / last - 1).flip(1).movedim(1, -1)  # grid_sample wants the last axis first
    return F.grid_sample(image, shares, mode=mode, padding_mode="border", align_corners=True)


def identity_grid(size: Sequence[int], like: Tensor) -> Float[Tensor, "1 dims *space"]:
    """The place of each pixel, in pixels.

    >>> identity_grid((2, 3), torch.zeros(1))[0, 1]
    tensor([[0., 1., 2.],
            [0., 1., 2.]])
    """
    axes = [torch.arange(side, dtype=torch.float32, device=like.device) for side in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]


def twice_as_fine(image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *finer"]:
    """The image with a point between any two along each axis (2n - 1 points), by cubic convolution; the others stay.

    Halfway its weights are -1, 9, 9, -1 sixteenths (Keys, IEEE Trans. Acoust. 1981;29:1153). The border is repeated.

    >>> twice_as_fine(torch.tensor([[[0.0, 1.0, 2.0, 3.0]]]))
    tensor([[[0.0000, 0.4375, 1.0000, 1.5000, 2.0000, 2.5625, 3.0000]]])
    """
    for axis in range(2, image.ndim):
        line = image.movedim(axis, -1)
        wide = torch.cat([line[..., :1], line, line[..., -1:]], dim=-1)
        a, b, c, d = wide[..., :-3], wide[..., 1:-2], wide[..., 2:-1], wide[..., 3:]
        between = (9 * (b + c) - (a + d)) / 16
        pairs = torch.stack([line[..., :-1], between], dim=-1).flatten(-2)
        image = torch.cat([pairs, line[..., -1:]], dim=-1).movedim(-1, axis)
    return image
