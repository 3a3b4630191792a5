"""What baselines are made from, and what an entry of the registry is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from segue.causal.facts import Facts
from segue.causal.parents import Parents
from segue.cohort.grid import Grid
from segue.engine.method import Method
from segue.errors import InputError
from segue.mechanisms.base import ImageMechanism
from segue.mechanisms.diffusion import Diffusion

__all__ = ["SQUARINGS", "Baseline", "BaselineParts", "changed_in", "minimised", "ordinary"]

SQUARINGS = 5
"""Of the exponential of a velocity, as in `segue.mechanisms.deformation.DeformationSettings`."""


def no_diffusion() -> Diffusion:
    """What loads the diffusion model where none is trained.

    >>> no_diffusion()
    Traceback (most recent call last):
    segue.errors.InputError: the study trains no diffusion model, and a baseline needs one; leave the baseline out
    """
    raise InputError("the study trains no diffusion model, and a baseline needs one; leave the baseline out")


@dataclass(frozen=True)
class BaselineParts:
    """What baselines are built from.

    Attributes:
        parents: the guide, frozen. grid: of the study. pretrained: loads the image mechanism as the ELBO trained it.
        diffusion: loads the diffusion model, not fine-tuned.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> BaselineParts(model.parents, model.grid, lambda: model.mechanism).grid.size
    (48, 144)
    """

    parents: Parents
    grid: Grid
    pretrained: Callable[[], ImageMechanism]
    diffusion: Callable[[], Diffusion] = no_diffusion


Baseline = Callable[..., Method]
"""From `BaselineParts`, and settings by keyword, to the method. Its signature lists the settings of a study."""


def ordinary(facts: Facts) -> Facts:
    """Copies of the facts through which a gradient may flow, also where they were made in inference mode.

    >>> import torch
    >>> with torch.inference_mode():
    ...     facts = Facts(torch.zeros(1, 1, 2, 2), torch.ones(1, 1), torch.ones(1, 1, 2, 2), torch.ones(1))
    >>> ordinary(facts).image.is_inference()
    False
    """
    copies = (None if part is None else part.clone() for part in facts)
    return Facts(*copies)._replace(by_ensemble=None)  # type: ignore[arg-type]


def minimised(parameters: Sequence[Tensor], loss: Callable[[], Tensor], *, steps: int, lr: float) -> None:
    """Change parameters, in place, so that a loss falls, by Adam.

    >>> import torch
    >>> x = torch.ones(1, requires_grad=True)
    >>> minimised([x], lambda: x.square().sum(), steps=100, lr=0.1)
    >>> bool(x.abs() < 0.1)
    True
    """
    adam = torch.optim.Adam(parameters, lr=lr)
    for _ in range(steps):
        adam.zero_grad()
        loss().backward(inputs=list(parameters))
        adam.step()


def changed_in(facts: Facts, requested: Tensor) -> Tensor:
    """1 for the measured variables that a request changes, else 0: (batch, measured).

    >>> import torch
    >>> facts = Facts(torch.zeros(1, 1, 2, 2), torch.ones(1, 2), torch.ones(1, 2, 2, 2), torch.ones(1))
    >>> changed_in(facts, torch.tensor([[1.0, 3.0]]))
    tensor([[0., 1.]])
    """
    return (requested != facts.pa)[:, : facts.measured].to(facts.image)
