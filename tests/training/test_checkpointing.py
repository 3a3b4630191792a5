"""Gradient checkpointing: the same loss, the same gradients, less that is kept; and an estimate that knows it."""

import pytest
import tiny
import torch
from torch import nn

from segue.mechanisms.hvae import HVAEMechanism
from segue.nets.layers import Residual
from segue.nets.segmentor import Segmentor
from segue.training.checkpointing import blocks_of, checkpointed
from segue.training.memory import TRANSIENT, training_bytes
from segue.training.objectives import Augmentation, Pretraining


class Blocks(nn.Module):
    """Residual blocks one after another, each on tensors of the image's size."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Residual(spatial_dims=2, width=4) for _ in range(count)))

    def forward(self, batch, progress):
        return self.blocks(batch["image"]).mean(), {}


class Soft(nn.Module):
    """Mean squared soft masks of a segmentor."""

    def __init__(self, arch: str) -> None:
        super().__init__()
        self.net = Segmentor(arch=arch, spatial_dims=2, structures=1, width=8, patch=1)

    def forward(self, batch, progress):
        return self.net.soft(batch["image"]).square().mean(), {}


def objectives(parents) -> dict[str, nn.Module]:
    mechanism = HVAEMechanism(model=tiny.hvae(context=1), parents=parents, conditioning="map")
    networks = {"unet": Soft("unet"), "segresnet": Soft("segresnet")}
    return networks | {"hvae": Pretraining(mechanism, augment=Augmentation())}


@pytest.mark.parametrize("name", ["hvae", "unet", "segresnet"])
def test_gradients_are_the_same_and_less_is_kept(parents, name):
    torch.manual_seed(0)
    objective = objectives(parents)[name]
    x = tiny.bars(2, seed=1, size=(32, 32) if name != "hvae" else tiny.SIZE)
    batch = {"image": x, "pixel_area": torch.ones(2)}
    batch["parents"], batch["frames"] = parents.factual(x, torch.ones(2))
    found = []
    for on in (False, True):
        torch.manual_seed(5)
        kept = [0]
        objective.zero_grad()
        with checkpointed(objective, on), torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, kept=kept: kept.append(tensor.nbytes) or tensor, lambda tensor: tensor
        ):
            loss, _ = objective(batch, 0.5)
            loss.backward()
        gradients = [one.grad for one in objective.parameters() if one.grad is not None]
        found.append((loss.detach(), gradients, sum(kept)))
    (loss, gradients, plain), (again, recomputed, less) = found
    assert len(gradients) == len(recomputed) > 10 and any(one.any() for one in gradients)
    torch.testing.assert_close(again, loss, rtol=0, atol=0)
    torch.testing.assert_close(recomputed, gradients)
    assert less < 0.6 * plain
    assert blocks_of(objective) and not any("forward" in vars(block) for block in blocks_of(objective))


@pytest.mark.parametrize("count", [1, 6])
def test_the_estimate_is_of_what_goes_in_and_of_one_block(count):
    """A block keeps what each of its two SiLU's and two convolutions takes; the image itself needs no gradient."""
    image, net = torch.rand(2, 4, 64, 64), Blocks(count)
    weights = 5 * sum(one.nbytes for one in net.parameters())
    plain, less = (
        (training_bytes(net, {"image": image}, 2, "no", gradient_checkpointing=on) - weights) / TRANSIENT / image.nbytes
        for on in (False, True)
    )
    assert plain == pytest.approx(4 * count - 1, rel=0.01)
    assert less == pytest.approx(count + (3 if count == 1 else 4), rel=0.01)
