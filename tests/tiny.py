"""The smallest of everything: images whose areas are known, segmentors that are right, a two-level network."""

import numpy as np
import torch
from torch import Tensor, nn

from segue.anatomy import AxisPartition, Variables
from segue.causal.parents import Parents
from segue.nets.hvae import HVAE
from segue.nets.segmentor import Segmentor

SIZE = (8, 32)
HALVES = AxisPartition(regions=("left", "right"), axis=1)


class Tones(nn.Module):
    """Soft masks by brightness: a softmax over classes of -(x - tone)^2 / width; the background has tone -1."""

    def __init__(self, *tones: float, width: float = 0.1) -> None:
        super().__init__()
        self.tones = nn.Parameter(torch.tensor((-1.0, *tones)))
        self.width = width

    def soft(self, image: Tensor) -> Tensor:
        tones = self.tones.reshape(-1, *[1] * (image.ndim - 2))
        return torch.softmax(-((image[:, :1] - tones) ** 2) / self.width, dim=1)[:, 1:]


class Channels(Segmentor):
    """Channel k of the image *is* the mask of structure k."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def soft(self, image: Tensor) -> Tensor:
        return image.clamp(0, 1)


def variables(*structures: str) -> Variables:
    """Every structure by left and right half."""
    return Variables(structures=structures, partitions=dict.fromkeys(structures, HALVES))


def bars(batch: int, *, seed: int, size: tuple[int, int] = SIZE) -> Tensor:
    """Dark images with one bright bar in each half; the bars' heights are drawn independently."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    tall = torch.randint(1, height + 1, (batch, 2), generator=generator)
    rows = torch.arange(height)[None, :, None]
    image = torch.full((batch, 1, height, width), -0.8)
    for half in range(2):
        columns = slice(half * width // 2 + width // 8, half * width // 2 + 3 * width // 8)
        on = (rows < tall[:, half, None, None]).expand(-1, -1, width // 4)
        image[:, 0, :, columns] = torch.where(on, 0.5, -0.8)
    return image + 0.02 * torch.randn(image.shape, generator=generator)


def bar_parents() -> Parents:
    """Parents of `bars`: the bright structure, left and right."""
    parents = Parents(segmentor=Tones(0.5), variables=variables("bar"))
    measured = parents.factual(bars(64, seed=99), torch.ones(64)).areas
    return parents.fit(measured)


def hvae(*, context: int = 1, seed: int = 0, **changes: object) -> HVAE:
    """Two levels, one block each, every weight away from zero (a fresh network's Gaussian heads are zero maps)."""
    torch.manual_seed(seed)
    settings = {"size": SIZE, "widths": (8, 16), "depths": (1, 1), "latent": 2, "finest": 0, "reach": 1, "head": 8}
    net = HVAE(context=context, **(settings | changes))
    with torch.no_grad():
        for parameter in net.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return net


def radiograph() -> np.ndarray:
    """Two dark lungs and a bright heart on grey, drawn: radiographs may not be published."""
    rows, columns = np.mgrid[:96, :96] / 96
    image = np.full((96, 96), 170.0)
    for centre in (0.29, 0.71):
        image[((rows - 0.47) / 0.33) ** 2 + ((columns - centre) / 0.15) ** 2 < 1] = 70
    image[((rows - 0.62) / 0.17) ** 2 + ((columns - 0.56) / 0.15) ** 2 < 1] = 190
    return image
