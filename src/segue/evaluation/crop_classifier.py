"""A small network that tells two samples of crops apart; each crop is scored by one that has not seen its subject."""

import numpy as np
import torch
from jaxtyping import Float, Int
from monai.networks.layers import Conv, Norm
from torch import Tensor, nn
from torch.nn import functional

FOLDS = 3
WIDTHS = (16, 32, 64)
EPOCHS, MOST_STEPS, BATCH = 20, 150, 32
RATE, DECAY = 1e-2, 1e-2
SHIFT = 2  # pixels by which crops are shifted at random at most, so that places are not learned by heart

Crops = Float[Tensor, "crop channel *space"]


class CropClassifier(nn.Module):
    """Three convolutions, their mean and maximum over the crop: it sees textures and edges, wherever they are.

    >>> CropClassifier(channels=1, dims=2)(torch.zeros(5, 1, 24, 24)).shape
    torch.Size([5])
    """

    def __init__(self, *, channels: int, dims: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level, (before, width) in enumerate(zip((channels, *WIDTHS), WIDTHS, strict=False)):
            convolution = Conv[Conv.CONV, dims](before, width, 3, stride=2 if level else 1, padding=1, bias=False)
            layers += [convolution, Norm[Norm.BATCH, dims](width), nn.ReLU()]
        self.layers, self.head = nn.Sequential(*layers), nn.Linear(2 * WIDTHS[-1], 1)

    def forward(self, crops: Crops) -> Float[Tensor, " crop"]:
        """One logit a crop."""
        found = self.layers(crops).flatten(2)
        return self.head(torch.cat([found.mean(2), found.amax(2)], dim=1))[:, 0]


def scored(crops: Crops, label: Int[np.ndarray, " crop"], fold: Int[np.ndarray, " crop"], seed: int) -> np.ndarray:
    """The logit of each crop, by the network that was trained on the other folds. The same seed gives the same logits.

    Args:
        label: 1 for counterfactual crops, 0 for factual ones. fold: of each crop's subject.
    """
    standard = (crops - crops.mean()) / crops.std().clamp_min(1e-6)
    scores = np.zeros(len(crops))
    devices = [crops.device] if crops.is_cuda else []
    repeatable = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices), repeatable:
        torch.manual_seed(seed)
        for held_out in np.unique(fold):
            seen, unseen = (torch.from_numpy(np.flatnonzero(part)) for part in (fold != held_out, fold == held_out))
            network = fitted(standard[seen].clone(), torch.from_numpy(label[seen]).to(standard))
            with torch.no_grad():
                parts = [network(standard[part]) for part in unseen.split(4 * BATCH)]
            scores[unseen] = torch.cat(parts).cpu().numpy()
    return scores


def fitted(crops: Crops, label: Float[Tensor, " crop"]) -> CropClassifier:
    """A network trained on crops, for evaluation."""
    network = CropClassifier(channels=crops.shape[1], dims=crops.ndim - 2).to(crops.device)
    steps = min(MOST_STEPS, EPOCHS * -(-len(crops) // BATCH))
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=RATE, total_steps=steps)
    axes = tuple(range(2, crops.ndim))
    for _ in range(steps):
        rows = torch.randint(len(crops), (BATCH,))
        by = tuple(torch.randint(-SHIFT, SHIFT + 1, (len(axes),)).tolist())
        logits = network(crops[rows].roll(by, axes))
        optimiser.zero_grad()
        functional.binary_cross_entropy_with_logits(logits, label[rows]).backward()
        optimiser.step()
        rates.step()
    return network.eval()
