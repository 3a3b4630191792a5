"""Layers of the image mechanisms, in two or three dimensions."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from monai.networks.layers import Conv
from monai.networks.layers.convutils import gaussian_1d
from monai.networks.layers.simplelayers import separable_filtering
from torch import Tensor, nn


def conv(spatial_dims: int, inputs: int, outputs: int, kernel: int = 3, *, zero: bool = False) -> nn.Module:
    """A convolution that keeps the size; `zero` initialises it to the zero map (residual branches, Gaussian heads)."""
    layer = Conv[Conv.CONV, spatial_dims](inputs, outputs, kernel, padding=kernel // 2)
    if zero:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return layer


def halve(spatial_dims: int, inputs: int, outputs: int) -> nn.Module:
    """Halve the resolution: non-overlapping patches of 2 pixels a side, projected linearly."""
    return Conv[Conv.CONV, spatial_dims](inputs, outputs, 2, stride=2)


def double(x: Tensor) -> Tensor:
    """Double the resolution by repeating pixels."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def average_pool(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Average `x` down to `size`; each side of `x` is a multiple of that of `size`."""
    factor = [old // new for old, new in zip(x.shape[2:], size, strict=True)]
    if all(f == 1 for f in factor):
        return x
    return F.avg_pool2d(x, factor) if len(factor) == 2 else F.avg_pool3d(x, factor)


class Block(nn.Module):
    """A part of a network whose activations a training may compute twice instead of keeping them."""


class Residual(Block):
    """x + conv(silu(conv(silu(x)))); the second convolution is initialised to zero, which keeps deep nets stable."""

    def __init__(self, *, spatial_dims: int, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.SiLU(),
            conv(spatial_dims, width, width),
            nn.SiLU(),
            conv(spatial_dims, width, width, zero=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def blurred(change: Float[Tensor, "batch channel *space"], sd: float) -> Float[Tensor, "batch channel *space"]:
    """A Gaussian blur of `sd` pixels, the border repeated, in float32.

    Two scans that differ in their anatomy differ by no finer detail than the scanner's point spread function lets
    through, although each has noise as fine as its pixels. A sharper change is not anatomy.

    >>> float(blurred(torch.full((1, 1, 5, 5), 0.5), 1.0).mean())
    0.5
    """
    with torch.autocast(change.device.type, enabled=False):
        kernel = gaussian_1d(torch.tensor(sd), normalize=True)
        return separable_filtering(change.float(), [kernel] * (change.ndim - 2), mode="replicate")
