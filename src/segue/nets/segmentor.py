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

SegmentorArch = Literal["unet", "segresnet"]


class Segmentor(nn.Module, PyTorchModelHubMixin):
    """An image to soft masks. `arch` is one of two unlike MONAI networks, so that guide and judge can differ.

    `unet` is BasicUNet (concatenated skips, five levels); `segresnet` is SegResNet (residual encoder with an additive
    decoder, four levels; Myronenko, BrainLes 2018). Both normalise by groups, which keeps absolute intensities and runs
    channels last.

    Args:
        width: channels of the finest level; a multiple of 8.
        patch: side of the pixel patches that are seen and labelled at once (Shi et al., CVPR 2016). At 2 the network
            works at half resolution: a quarter of the work at the same width. 1 is for small images.
    """

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
        norm = ("GROUP", {"num_groups": 8})
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
        """The deepest level's activations, averaged over the image: what the network makes of it as a whole."""
        x = pixelunshuffle(image, self.spatial_dims, self.patch)
        if isinstance(self.net, SegResNet):
            x, _ = self.net.encode(x)
        else:
            for level in ("conv_0", "down_1", "down_2", "down_3", "down_4"):
                x = getattr(self.net, level)(x)
        return x.float().flatten(2).mean(2)


def check_segmentor(arch: SegmentorArch, width: int, patch: int, size: Sequence[int]) -> None:
    """Raise ValueError where the network does not fit the image."""
    check_groups(width)
    if patch < 1 or any(side % patch for side in size):
        raise ValueError(f"patch is {patch}: give a divisor of the sides {list(size)}")
    if arch == "segresnet" and any(side % (8 * patch) for side in size):
        raise ValueError(f"segresnet needs sides that are multiples of {8 * patch}, not {list(size)}: use unet")
    if arch == "unet" and min(size) < 16 * patch:
        smaller = "patch: 1" if patch > 1 else "a larger size"
        raise ValueError(f"unet needs sides of {16 * patch} pixels or more, not {list(size)}: use {smaller}")


def check_groups(width: int) -> None:
    """Raise ValueError where the channels do not part into 8 groups."""
    if width < 8 or width % 8:
        raise ValueError(f"width is {width}: give a multiple of 8")


class Regressor(nn.Module, PyTorchModelHubMixin):
    """An image straight to standardised parents: the guide of Reg-CFT.

    MONAI's residual Regressor: its last layer sees the whole feature map, so that it can tell the regions apart
    (a globally pooled network could not). Group normalisation keeps absolute intensities, which instances lose.
    """

    def __init__(self, *, size: Sequence[int], outputs: int, width: int, channels: int = 1) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 4 * width)
        self.net = MonaiRegressor(
            (channels, *size), (outputs,), widths, (2, 2, 2, 2), norm=("group", {"num_groups": 8}), bias=True
        )

    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch variable"]:
        return self.net(image).float()
