"""Segmentors and regressors: MONAI networks behind one signature each."""

from collections.abc import Sequence
from typing import Literal

import torch
from huggingface_hub import PyTorchModelHubMixin
from jaxtyping import Float
from monai.networks.nets import BasicUNet, SegResNet
from monai.networks.nets import Regressor as MonaiRegressor
from monai.networks.utils import pixelshuffle, pixelunshuffle
from torch import Tensor, nn

from segue.nets.layers import EITHER_LAYOUT

SegmentorArch = Literal["unet", "segresnet"]


class Segmentor(nn.Module, PyTorchModelHubMixin):
    """From an image to soft masks. `arch` is one of two different MONAI networks, so that guide and judge can differ.

    `unet` is BasicUNet (concatenated skips, five levels); `segresnet` is SegResNet (residual encoder with an additive
    decoder, four levels; Myronenko, BrainLes 2018). Both use group normalisation, which keeps absolute intensities and
    works with channels-last memory.

    Args:
        width: channels of the finest level; a multiple of 8.
        patch: side of the patches of pixels that one position of the network reads and labels (pixel shuffle, Shi et
            al., CVPR 2016). With 2 the network works at half resolution, with a quarter of the operations at the same
            width. Use 1 for small images.

    >>> net = Segmentor(arch="unet", spatial_dims=2, structures=3, width=8).eval()
    >>> image = torch.zeros(2, 1, 32, 96)  # intensities scaled to about [-1, 1]
    >>> net(image).shape, net.soft(image).shape  # logits with the background; soft masks without it
    (torch.Size([2, 4, 32, 96]), torch.Size([2, 3, 32, 96]))
    """

    TRACEABLE = "soft"  # see `segue.nets.traced`

    def __init__(
        self,
        *,
        arch: SegmentorArch,
        spatial_dims: int,
        structures: int,
        width: int,
        channels: int = 1,
        patch: int = 2,
    ) -> None:
        super().__init__()
        self.spatial_dims, self.patch = spatial_dims, patch
        inputs, outputs = (n * patch**spatial_dims for n in (channels, structures + 1))
        norm = (EITHER_LAYOUT, {"num_groups": 8})
        self.net: nn.Module
        if arch == "unet":
            features = (width, width, 2 * width, 4 * width, 8 * width, width)
            self.net = BasicUNet(spatial_dims, inputs, outputs, features, norm=norm)
        else:
            self.net = SegResNet(spatial_dims, width, inputs, outputs, norm=norm)

    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch class *space"]:
        """Logits over background and structures."""
        patches = pixelunshuffle(image, self.spatial_dims, self.patch)
        return pixelshuffle(self.net(patches).float(), self.spatial_dims, self.patch)

    def soft(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch structure *space"]:
        """Soft masks s_k in [0, 1], the background dropped."""
        return torch.softmax(self(image), dim=1)[:, 1:]

    def features(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch feature"]:
        """The deepest level's activations, averaged over the image: one description of the whole image."""
        x = pixelunshuffle(image, self.spatial_dims, self.patch)
        if isinstance(self.net, SegResNet):
            x, _ = self.net.encode(x)
        else:
            for level in ("conv_0", "down_1", "down_2", "down_3", "down_4"):
                x = getattr(self.net, level)(x)
        return x.float().flatten(2).mean(2)


def check_segmentor(arch: SegmentorArch, width: int, patch: int, size: Sequence[int]) -> None:
    """Raise ValueError if the network cannot take images of this size.

    >>> check_segmentor("unet", 8, 2, (16, 16))
    Traceback (most recent call last):
    ValueError: unet needs sides of 32 pixels or more, not [16, 16]: use patch: 1
    """
    check_groups(width)
    if patch < 1 or any(side % patch for side in size):
        raise ValueError(f"patch is {patch}: give a divisor of the sides {list(size)}")
    if arch == "segresnet" and any(side % (8 * patch) for side in size):
        raise ValueError(f"segresnet needs sides that are multiples of {8 * patch}, not {list(size)}: use unet")
    if arch == "unet" and min(size) < 16 * patch:
        smaller = "patch: 1" if patch > 1 else "a larger size"
        raise ValueError(f"unet needs sides of {16 * patch} pixels or more, not {list(size)}: use {smaller}")


def check_groups(width: int) -> None:
    """Raise ValueError if the channels cannot be divided into 8 groups.

    >>> check_groups(12)
    Traceback (most recent call last):
    ValueError: width is 12: give a multiple of 8
    """
    if width < 8 or width % 8:
        raise ValueError(f"width is {width}: give a multiple of 8")


class Regressor(nn.Module, PyTorchModelHubMixin):
    """From an image directly to standardised parents: the guide of Reg-CFT.

    MONAI's residual Regressor: its last layer reads the whole feature map, so it can distinguish the regions (a network
    with global pooling cannot). Group normalisation keeps absolute intensities; instance normalisation removes them.

    >>> net = Regressor(size=(32, 96), outputs=9, width=8).eval()
    >>> net(torch.zeros(2, 1, 32, 96)).shape
    torch.Size([2, 9])
    """

    def __init__(self, *, size: Sequence[int], outputs: int, width: int, channels: int = 1) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 4 * width)
        self.net = MonaiRegressor(
            (channels, *size), (outputs,), widths, (2, 2, 2, 2), norm=(EITHER_LAYOUT, {"num_groups": 8}), bias=True
        )

    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch variable"]:
        return self.net(image).float()
