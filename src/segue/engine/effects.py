"""Mediation: what one request does to images and variables directly, and what it does through other variables."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.causal import scm
from segue.causal.request import Do
from segue.engine.model import Counterfactual, Model
from segue.errors import InputError

__all__ = ["Mediation", "effects"]


@dataclass(frozen=True)
class Mediation:
    """The effects of one request on a batch of images.

    Attributes:
        total: the answer where all effects follow along the graph.
        direct: the answer where all other variables stay at their factual values.
        variables: what the causal model says of each variable, by way; (batch, variable) in their units.
        names: of the variables, in that order.

    >>> Mediation.__dataclass_fields__.keys() == {"total", "direct", "variables", "names"}
    True
    """

    total: Counterfactual
    direct: Counterfactual
    variables: scm.PathEffects
    names: tuple[str, ...]

    @property
    def indirect(self) -> Float[Tensor, "batch channel *space"]:
        """What reaches the image through other variables: x* of the total effect less x* of the direct one."""
        return self.total.image - self.direct.image

    def means(self) -> dict[str, dict[str, float]]:
        """By variable, the mean total, direct and indirect effect over the batch."""
        columns = zip(*(part.mean(0).tolist() for part in self.variables), strict=True)
        return {
            name: dict(zip(("total", "direct", "indirect"), column, strict=True))
            for name, column in zip(self.names, columns, strict=True)
        }


@torch.inference_mode()
def effects(
    model: Model, images: Float[Tensor, "batch channel *space"] | np.ndarray, do: Do, **more: Any
) -> Mediation:
    """The total, the direct and the indirect effect of a request.

    Args:
        images, do: as of `Model.counterfactual`. more: its further arguments, except `propagate` and `hold`.

    Raises:
        InputError: as `Model.counterfactual`, or the study has no graph, so that all effects are direct.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> effects(model, model.examples()[:1], {"lumen@mid": "+1sd"})
    Traceback (most recent call last):
    segue.errors.InputError: the study has no graph: nothing follows from a request, and every effect is direct
    """
    if model.scm is None:
        raise InputError("the study has no graph: nothing follows from a request, and every effect is direct")
    total = model.counterfactual(images, do, **more)
    direct = model.counterfactual(images, do, propagate=False, **more)
    factual = torch.stack([total.factual[name] for name in model.variables], dim=1)
    by_way = model.scm.effects(factual, {name: total.requested[name] for name in do})
    return Mediation(total, direct, by_way, model.variables)
