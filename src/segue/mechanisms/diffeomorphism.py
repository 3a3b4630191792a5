"""Smooth, invertible maps of an image onto itself, as displacement fields in pixels.

A displacement d stands for the map p -> p + d(p). An image resampled by it shows at p what it showed at p + d(p).
"""

import warnings

import torch
from jaxtyping import Float
from monai.networks.blocks.warp import DVF2DDF, Warp
from torch import Tensor

__all__ = ["exponential", "resample"]

warnings.filterwarnings("ignore", message="monai.networks.blocks.Warp: Using PyTorch native grid_sample")


def exponential(velocity: Float[Tensor, "batch dims *space"], squarings: int) -> Float[Tensor, "batch dims *space"]:
    """exp(v): the displacement after unit time along a stationary velocity field, by scaling and squaring.

    Both in pixels. exp(v) and exp(-v) are inverse up to the interpolation of the field (Arsigny et al., MICCAI 2006;
    Dalca et al., Med. Image Anal. 2019). A field of zeros gives zeros.

    >>> shift = torch.full((1, 2, 8, 8), 0.5)
    >>> torch.allclose(exponential(shift, squarings=5), shift)
    True
    """
    with torch.autocast(velocity.device.type, enabled=False):
        return DVF2DDF(num_steps=squarings, padding_mode="border")(velocity.float())


def resample(
    image: Float[Tensor, "batch channel *space"], displacement: Float[Tensor, "batch dims *space"]
) -> Float[Tensor, "batch channel *space"]:
    """The image at p + displacement(p); beyond its border, the border.

    Cubic in two dimensions, which keeps texture; linear in three.

    >>> ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    >>> right = torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1).expand(1, 2, 8, 8)
    >>> resample(ramp, right)[0, 0, 0, 2:5]
    tensor([3., 4., 5.])
    """
    mode = "bicubic" if image.ndim == 4 else "bilinear"
    with torch.autocast(image.device.type, enabled=False):
        return Warp(mode=mode, padding_mode="border")(image.float(), displacement.float())
