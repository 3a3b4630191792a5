"""The velocity of anatomy: from an image, its soft masks and a painted change of the parents to a vector field.

The image is read once, into gates. The change enters through layers without a bias, times these gates. So where
nothing changes within its reach the velocity is zero, bit for bit, whatever was learned.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from jaxtyping import Float
from monai.networks.layers import Conv
from torch import Tensor, nn

from segue.nets.gaussian import bounded
from segue.nets.layers import Block, Residual, average_pool, blurred, conv, double, halve

__all__ = ["VelocityNet", "check_resolution"]

LARGEST = 0.25  # bound of the velocity along an axis, as a share of the image's shorter side
BLOCKS = 3  # gated blocks of the head; with the first convolution it sees 7 positions to each side


class VelocityNet(nn.Module, PyTorchModelHubMixin):
    """A U-Net over the image, and a head without biases that turns a change of the parents into a velocity.

    Args:
        size: image size; every side a multiple of 2 ** len(widths).
        inputs: channels that are read: those of the image, and one for each structure's soft mask.
        context: channels of the parents' image.
        widths: channels by level, fine to coarse; level l works at 1 / 2 ** (l + 1) of the resolution.
        resolution: the field is predicted at 1 / resolution of the image's: a power of 2, from 2.
        smoothing: standard deviation of the Gaussian that the field passes, in pixels of the image.

    >>> net = VelocityNet(size=(16, 16), inputs=2, context=1, widths=(8, 8))
    >>> gates = net.gates(torch.rand(1, 2, 16, 16))
    >>> net(gates, torch.ones(1, 1, 16, 16)).shape, net(gates, torch.zeros(1, 1, 16, 16)).any()
    (torch.Size([1, 2, 16, 16]), tensor(False))
    """

    TRACEABLE = "forward"  # see `segue.nets.traced`

    def __init__(
        self,
        *,
        size: Sequence[int],
        inputs: int,
        context: int,
        widths: Sequence[int] = (32, 64, 96, 96),
        resolution: int = 4,
        smoothing: float = 1.5,
    ) -> None:
        super().__init__()
        check_resolution(size=size, widths=widths, resolution=resolution)
        dims, self.level = len(size), int(math.log2(resolution)) - 1
        self.size, self.resolution, self.smoothing = tuple(size), resolution, smoothing
        self.down = nn.ModuleList(halve(dims, a, b) for a, b in pairwise((inputs, *widths)))
        self.encoder = nn.ModuleList(Residual(spatial_dims=dims, width=width) for width in widths)
        above = range(self.level, len(widths) - 1)
        self.rise = nn.ModuleList(conv(dims, widths[level + 1], widths[level], 1) for level in above)
        self.decoder = nn.ModuleList(Residual(spatial_dims=dims, width=widths[level]) for level in above)
        width = widths[self.level]
        self.enter = Gated(spatial_dims=dims, inputs=context, width=width)
        self.blocks = nn.ModuleList(Gated(spatial_dims=dims, inputs=width, width=width) for _ in range(BLOCKS))
        self.out = unbiased(dims, width, dims)

    def gates(self, x: Float[Tensor, "batch inputs *space"]) -> Float[Tensor, "batch gate *coarse"]:
        """What the velocity depends on besides the change: read once for each image, block by block of the head."""
        found = []
        for down, block in zip(self.down, self.encoder, strict=True):
            x = block(down(x))
            found.append(x)
        for rise, block, skip in reversed([*zip(self.rise, self.decoder, found[self.level : -1], strict=True)]):
            x = block(skip + double(rise(x)))
        return torch.cat([one.read(x) for one in (self.enter, *self.blocks)], dim=1)

    def forward(
        self, gates: Float[Tensor, "batch gate *coarse"], change: Float[Tensor, "batch context *space"]
    ) -> Float[Tensor, "batch dims *space"]:
        """The velocity in pixels of the image, in float32.

        Args:
            gates: of the images, see `gates`.
            change: the image of pa* less that of pa.
        """
        coarse = tuple(side // self.resolution for side in self.size)
        first, *more = gates.chunk(1 + BLOCKS, dim=1)
        h = self.enter(average_pool(change, coarse), first)
        for block, gate in zip(self.blocks, more, strict=True):
            h = h + block(F.silu(h), gate)
        with torch.autocast(h.device.type, enabled=False):
            velocity = self.resolution * self.out(h.float())
            mode = "bilinear" if velocity.ndim == 4 else "trilinear"
            velocity = F.interpolate(velocity, size=self.size, mode=mode, align_corners=False)
            velocity = blurred(velocity, self.smoothing) if self.smoothing else velocity
            return bounded(velocity, LARGEST * min(self.size))


class Gated(Block):
    """A convolution without bias, times a gate in (-1, 1) read off the image's features: nothing in, nothing out."""

    def __init__(self, *, spatial_dims: int, inputs: int, width: int) -> None:
        super().__init__()
        self.change = unbiased(spatial_dims, inputs, width)
        self.gate = conv(spatial_dims, width, width, 1)
        self.mix = unbiased(spatial_dims, width, width)

    def read(self, features: Tensor) -> Tensor:
        """The gate."""
        return torch.tanh(self.gate(features))

    def forward(self, change: Tensor, gate: Tensor) -> Tensor:
        return self.mix(F.silu(self.change(change.to(gate.dtype)) * gate))


def unbiased(spatial_dims: int, inputs: int, outputs: int) -> nn.Module:
    """A convolution of 3 pixels a side without bias."""
    return Conv[Conv.CONV, spatial_dims](inputs, outputs, 3, padding=1, bias=False)


def check_resolution(*, size: Sequence[int], widths: Sequence[int], resolution: int) -> None:
    """Raise ValueError where the network does not fit the image, or has no level of this resolution.

    >>> check_resolution(size=(16, 16), widths=(8, 8), resolution=3)
    Traceback (most recent call last):
    ValueError: resolution is 3: choose from 2, 4
    """
    if any(side % 2 ** len(widths) for side in size):
        raise ValueError(f"size {list(size)} is not a multiple of {2 ** len(widths)}: use fewer widths or another size")
    known = [2 ** (level + 1) for level in range(len(widths))]
    if resolution not in known:
        raise ValueError(f"resolution is {resolution}: choose from {', '.join(map(str, known))}")
