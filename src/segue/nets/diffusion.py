"""The denoising network of a diffusion model: MONAI's U-Net (Pinaya et al. 2022) on patches of pixels, given parents.

The network knows nothing of variables. It is conditioned on `maps`, an image that is concatenated to the noisy one.
Where the maps are 0 nothing is known of the parents: the same network is conditional and unconditional (classifier-free
guidance, Ho & Salimans, arXiv 2207.12598).
"""

from collections.abc import Sequence

import torch
from huggingface_hub import PyTorchModelHubMixin
from jaxtyping import Float, Int
from monai.networks.nets import DiffusionModelUNet
from monai.networks.utils import pixelshuffle, pixelunshuffle
from torch import Tensor, nn

__all__ = ["DiffusionNet", "check_denoiser"]

MULTIPLE = 8  # groups of channels of the normalisation, and channels of an attention head


class DiffusionNet(nn.Module, PyTorchModelHubMixin):
    """Predicts v from x_t, the time t and the maps of the parents, v = sqrt(alpha_t) noise - sqrt(1 - alpha_t) x_0.

    v is the target of Salimans & Ho (arXiv 2202.00512, appendix D).

    Args:
        maps: channels of the image of parents.
        channels: image channels.
        widths: channels by level, fine to coarse; multiples of 8. The coarsest level attends to the whole image.
        blocks: residual blocks of each level.
        patch: side of the patches of pixels that one position of the network reads and writes (pixel shuffle).
        steps, depth, guidance, last: how its mechanism answers (`segue.mechanisms.diffusion.DiffusionSettings`); kept
            beside the weights, since answers depend on them.

    >>> net = DiffusionNet(spatial_dims=2, maps=2, widths=(8, 16)).eval()
    >>> x, t = torch.zeros(3, 1, 8, 16), torch.tensor([1, 500, 1000])
    >>> net(x, t, torch.ones(3, 2, 8, 16)).shape
    torch.Size([3, 1, 8, 16])
    """

    def __init__(
        self,
        *,
        spatial_dims: int,
        maps: int,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 96),
        blocks: int = 1,
        patch: int = 2,
        steps: int = 25,
        depth: float = 0.6,
        guidance: float = 1.0,
        last: int = 2,
    ) -> None:
        super().__init__()
        self.spatial_dims, self.maps, self.channels, self.patch = spatial_dims, maps, channels, patch
        self.steps, self.depth, self.guidance, self.last = steps, depth, guidance, last
        self.net = DiffusionModelUNet(
            spatial_dims,
            (channels + maps) * patch**spatial_dims,
            channels * patch**spatial_dims,
            num_res_blocks=blocks,
            channels=tuple(widths),
            attention_levels=[False] * (len(widths) - 1) + [True],
            norm_num_groups=MULTIPLE,
            num_head_channels=MULTIPLE,
        )

    def forward(
        self,
        x_t: Float[Tensor, "batch channel *space"],
        t: Int[Tensor, " batch"],
        maps: Float[Tensor, "batch map *space"] | None,
    ) -> Float[Tensor, "batch channel *space"]:
        """v; without maps, that of an image of which nothing is known."""
        if maps is None:
            maps = x_t.new_zeros(len(x_t), self.maps, *x_t.shape[2:])
        patches = pixelunshuffle(torch.cat([x_t, maps], dim=1), self.spatial_dims, self.patch)
        return pixelshuffle(self.net(patches, t).float(), self.spatial_dims, self.patch)


def check_denoiser(widths: Sequence[int], blocks: int, patch: int, size: Sequence[int]) -> None:
    """Raise ValueError if the network cannot take images of this size.

    >>> check_denoiser((16, 32), 1, 2, (6, 8))
    Traceback (most recent call last):
    ValueError: size [6, 8] is not a multiple of 4: use fewer widths, another patch or another size
    """
    if not widths or min(widths) < MULTIPLE or any(width % MULTIPLE for width in widths):
        raise ValueError(f"widths are {list(widths)}: give multiples of {MULTIPLE}")
    if patch < 1 or blocks < 1:
        raise ValueError(f"patch is {patch}, blocks {blocks}: give 1 or more")
    factor = patch * 2 ** (len(widths) - 1)
    if any(side % factor for side in size):
        mend = "use fewer widths, another patch or another size"
        raise ValueError(f"size {list(size)} is not a multiple of {factor}: {mend}")
