"""What an answer costs in fine-tuning, besides its error: change far from what was asked, paint, rough motion."""

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float
from monai.losses.deform import BendingEnergyLoss, DiffusionLoss
from torch import Tensor, nn

from segue.causal.facts import Facts
from segue.causal.parents import Parents
from segue.mechanisms.deformation import Edit, Energy
from segue.nets.layers import highest

__all__ = ["ENERGIES", "Prices", "away", "priced"]

warnings.filterwarnings("ignore", message="Using a non-tuple sequence for multidimensional indexing")  # MONAI's

ENERGIES: dict[Energy, type[nn.Module]] = {"first": DiffusionLoss, "bending": BendingEnergyLoss}
"""Of a field, by the order of its derivatives: the mean squared gradient, or the mean squared second derivatives."""

NEAR = 0.06
"""How far from a structure's part a change belongs to it, as a share of the image's shorter side."""


@dataclass(frozen=True)
class Prices:
    """Weights of the penalties; 0 leaves one out.

    Attributes:
        outside: of the mean absolute change away from the parts of structures that are asked to change.
        painting: of the mean absolute change that is painted, where anatomy moves.
        smoothness: of the velocity's energy. energy: which one, see `ENERGIES`.

    >>> Prices(painting=10.0).smoothness
    0.0
    """

    outside: float = 0.0
    painting: float = 0.0
    smoothness: float = 0.0
    energy: Energy = "first"


def priced(edit: Edit, prices: Prices) -> tuple[Tensor, dict[str, Tensor]]:
    """What motion and paint of a batch cost, and both by name, to be logged.

    >>> still = Edit(*(torch.zeros(1, 2, 8, 8) for _ in range(4)))
    >>> float(priced(still, Prices(painting=1.0, smoothness=1.0))[0])
    0.0
    """
    paint, energy = edit.paint.abs().mean(), ENERGIES[prices.energy]()(edit.velocity)
    return prices.painting * paint + prices.smoothness * energy, {"paint": paint, "energy": energy}


@torch.no_grad()
def away(
    parents: Parents, facts: Facts, requested: Float[Tensor, "batch variable"], answer: Tensor
) -> Float[Tensor, "batch 1 *space"]:
    """1 where a change belongs to nothing that was asked, 0 on the parts that were, and in a margin around them.

    The part of a variable is its structure within its region, in the factual image or in the answer; where there is
    nothing of the structure, its whole region: what is new may appear anywhere in it.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> from segue.engine.answer import abduct_images, check_inputs
    >>> facts = abduct_images(model, check_inputs(model, model.examples()[:1])).facts
    >>> bool((away(model.parents, facts, facts.pa, facts.image) == 1).all())
    True
    """
    asked = (requested != facts.pa)[:, : facts.measured]
    parts = torch.zeros_like(facts.weights)
    for image in (facts.image, answer):
        soft = parents.soft(image)[:, parents.structure_of]
        parts = torch.maximum(parts, soft * facts.weights)
    there = parts.flatten(2).sum(2) >= 1  # of a pixel
    mask = there.reshape(*there.shape, *[1] * (parts.ndim - 2))
    parts = torch.where(mask, parts, facts.weights) * asked.reshape(mask.shape)
    radius = round(NEAR * min(parts.shape[2:]))
    return 1 - highest(parts.amax(1, keepdim=True), radius)
