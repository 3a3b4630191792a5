"""Layers of the image mechanisms, in two or three dimensions."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from monai.networks.layers import Conv, Norm
from monai.networks.layers.convutils import gaussian_1d
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


class GroupNorm(nn.GroupNorm):
    """Group normalisation that is fast in bfloat16 with the channels last too.

    There torch on a CPU (2.13) takes four to ten times as long, forward and backward, as in the other layout, so that
    it pays to change the layout twice.

    >>> x = torch.randn(2, 8, 4, 4).bfloat16().contiguous(memory_format=torch.channels_last)
    >>> GroupNorm(4, 8)(x).is_contiguous(memory_format=torch.channels_last)
    True
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.bfloat16 or x.device.type != "cpu" or x.ndim != 4 or x.is_contiguous():
            return super().forward(x)
        return super().forward(x.contiguous()).contiguous(memory_format=torch.channels_last)


EITHER_LAYOUT = "GROUP_IN_EITHER_LAYOUT"  # what MONAI's networks are told
Norm.add_factory_class(EITHER_LAYOUT, GroupNorm)


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
    kernel = gaussian_1d(torch.tensor(sd), normalize=True).to(change.device)
    with torch.autocast(change.device.type, enabled=False):
        x = change.float()
        for axis in range(2, x.ndim):
            x = (x.movedim(axis, -1) @ filtering(kernel, int(x.shape[axis])).mT).movedim(-1, axis)
        return x


def highest(x: Float[Tensor, "batch channel *space"], reach: int) -> Float[Tensor, "batch channel *space"]:
    """The highest value within `reach` pixels along every axis; axis by axis, so that a wide reach is cheap.

    >>> highest(torch.tensor([[[[0.0, 0.0, 5.0, 0.0]]]]), 1)
    tensor([[[[0., 5., 5., 5.]]]])
    """
    dims = x.ndim - 2
    pool = F.max_pool2d if dims == 2 else F.max_pool3d
    for axis in range(dims):
        wide = [reach if i == axis else 0 for i in range(dims)]
        x = pool(x, [2 * width + 1 for width in wide], stride=1, padding=wide)
    return x


def filtering(kernel: Float[Tensor, " tap"], side: int) -> Float[Tensor, "side side"]:
    """The matrix that filters a line, the border repeated.

    With one channel a convolution takes torch ten times as long as this product, which is mostly with zeros.

    >>> filtering(torch.tensor([0.25, 0.5, 0.25]), 3)
    tensor([[0.7500, 0.2500, 0.0000],
            [0.2500, 0.5000, 0.2500],
            [0.0000, 0.2500, 0.7500]])
    """
    reach = len(kernel) // 2
    place = torch.arange(side, device=kernel.device)[:, None]
    taps = (place + torch.arange(-reach, reach + 1, device=kernel.device)).clamp(0, side - 1)
    return kernel.new_zeros(side, side).scatter_add(1, taps, kernel.expand(side, -1))
