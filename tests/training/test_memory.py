"""The memory of a training, counted before it starts."""

import pytest
import torch
from torch import nn

from segue.training.memory import training_bytes


class Chain(nn.Module):
    """Squares one after another: each keeps its input, of known size. It draws, and counts its calls."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length, self.scale = length, nn.Parameter(torch.ones(1))
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, batch, progress):
        x = batch["image"] * self.scale + torch.rand(1)
        self.calls += 1
        for _ in range(self.length):
            x = x**2
        return x.mean(), {}


@pytest.mark.parametrize("length", [3, 9])
def test_what_is_kept_is_counted(length):
    images, pixels = 64, 10_000
    found = training_bytes(Chain(length), {"image": torch.rand(images, 1, pixels)}, images=images, precision="no")
    assert found == pytest.approx(2 * 4 * images * pixels * (length + 1), rel=0.01)  # and the image, for the scale


def test_it_leaves_no_trace():
    chain = Chain(2).train()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    training_bytes(chain, {"image": torch.rand(2, 1, 8, generator=torch.Generator().manual_seed(0))}, 2, "no")
    assert chain.training and not chain.calls.any() and torch.equal(torch.rand(1), expected)
    assert chain.scale.grad is None
