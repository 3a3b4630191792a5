"""A mechanism that paints exactly what it is asked for, or errs by a known amount, and what it is asked."""

import tiny
import torch
from torch import nn

from segue.causal.facts import Facts
from segue.causal.parents import Parents
from segue.evaluation.asked import Asked

HEIGHT, WIDTH = SIZE = (8, 16)
NAMES = ("lumen@left", "lumen@right", "plaque@left", "plaque@right")
SD = torch.tensor([2.0, 4, 1, 5])


def paint(pixels: torch.Tensor) -> torch.Tensor:
    """Masks (batch, 2, 8, 16) with so many pixels of lumen and plaque on the left and right, from the top row down.

    Lumen keeps to the upper half of the image and plaque to the lower: 32 pixels of room for each variable.
    """
    order = torch.arange(32).reshape(4, 8)
    image = torch.zeros(len(pixels), 2, HEIGHT, WIDTH)
    for v in range(4):
        rows, columns = slice(4 * (v // 2), 4 * (v // 2) + 4), slice(8 * (v % 2), 8 * (v % 2) + 8)
        image[:, v // 2, rows, columns] = (order < pixels[:, v, None, None]).float()
    return image


class Nothing:
    """A posterior that holds nothing."""

    def rows(self, index):
        return self


class Painter(nn.Module):
    """The mechanism x = paint(pa): no noise, and every intervention is met to the pixel.

    Its likelihood is that of N(0, 1) pixels.
    """

    def __init__(self, spill: int = 0) -> None:
        super().__init__()
        self.parents = Parents(segmentor=tiny.Channels(), variables=tiny.variables("lumen", "plaque"))
        self.parents.sd.copy_(SD)
        self.spill = spill

    def abduct(self, facts, *, sample=False):
        return Nothing()

    def predict(self, facts, posterior, requests):
        """Where anything is changed, `spill` pixels of plaque appear on the right too."""
        found = []
        for requested in requests:
            changed = (requested != facts.pa).any(1)
            spilt = torch.zeros_like(requested)
            spilt[:, 3] = self.spill * changed
            found.append(torch.where(changed[:, None, None, None], paint(requested + spilt), facts.image))
        return found

    def log_likelihood(self, facts, posterior):
        return torch.distributions.Normal(0.0, 1.0).log_prob(facts.image).flatten(1).mean(1)


def asked(pa, values, parents, index=None) -> Asked:
    weights = parents.weights(torch.zeros(len(pa), 0), SIZE)
    index = torch.arange(len(pa)) if index is None else torch.tensor(index)
    ids = tuple(f"case{i}" for i in index.tolist())
    return Asked(index, ids, Facts(paint(pa), pa, weights, torch.ones(len(pa))), values)


PA = torch.tensor([[3.0, 10, 5, 20], [8.0, 2, 0, 31], [0.0, 0, 7, 9]])
VALUES = torch.tensor([[5.0, 10, 1, 0], [8.0, 30, 4, 11], [2.0, 1, 0, 9]])
