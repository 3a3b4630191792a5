"""Counterfactuals of a few images, each under its own requests: one abduction an image, all decoded from it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue import counterfactual
from segue.anatomy import measure
from segue.causal.intervention import parse, position
from segue.causal.mechanism import Abduction
from segue.counterfactual import Model
from segue.generation.plan import Do
from segue.generation.source import Case
from segue.training.batches import scaled, unscaled

# Pixels that go through the networks side by side: bounds their memory. On a CPU more is no faster: at 32 x 96, 16, 32,
# 64 and 128 images at a time gave 134, 140, 134 and 126 counterfactuals a second on one core.
PIXELS = {"cpu": 1 << 17, "cuda": 1 << 21}


@dataclass(frozen=True)
class Answer:
    """One image under its requests.

    Attributes:
        images: x*, in the source's units, (request, channel, *space).
        factual: (variable,), in the variables' units. requested: (request, variable).
        achieved: what the guide's segmentor measures on x*, (request, measured variable).
    """

    images: Float[np.ndarray, "request channel *space"]
    factual: Float[np.ndarray, " variable"]
    requested: Float[np.ndarray, "request variable"]
    achieved: Float[np.ndarray, "request measured"]


def at_once(model: Model) -> int:
    """Images that go through the networks side by side."""
    return max(1, PIXELS.get(model.device.type, PIXELS["cpu"]) // math.prod(model.size))


@torch.inference_mode()
def answer(model: Model, cases: Sequence[Case], requests: Sequence[Sequence[Do]]) -> list[Answer]:
    """Every case under every one of its requests. A request that changes no parent returns the image as it was.

    Raises:
        InputError: an image off the grid or not finite, or a covariate or spacing that is missing.
    """
    answers: list[Answer] = []
    for first in range(0, len(cases), length := at_once(model)):
        part = slice(first, first + length)
        answers += answer_part(model, cases[part], requests[part])
    return answers


def answer_part(model: Model, cases: Sequence[Case], requests: Sequence[Sequence[Do]]) -> list[Answer]:
    """`answer`, of no more images than go through the networks at once."""
    known = abduct(model, cases)
    owner = torch.tensor([i for i, dos in enumerate(requests) for _ in dos], device=known.x.device)
    pa_star = torch.cat([act(model, known.pa[i : i + 1], do) for i, dos in enumerate(requests) for do in dos])
    parts = [(part.images.cpu(), part.achieved) for part in predictions(model, known, owner, pa_star)]
    images, achieved = (torch.cat(column) for column in zip(*parts, strict=True))
    each = [len(dos) for dos in requests]
    columns = (images, pa_star, achieved)
    split = zip(*([part.cpu().numpy() for part in column.split(each)] for column in columns), strict=True)
    return [
        Answer(x_star, factual.cpu().numpy(), requested, reached)
        for factual, (x_star, requested, reached) in zip(known.pa, split, strict=True)
    ]


@dataclass(frozen=True)
class Known:
    """All that is inferred of some images before anything is asked of them.

    Attributes:
        raw: in the source's units, (batch, channel, *space). x: as the networks see them.
        area: of a pixel, (batch,). pa: parents. weights: regions of the measured variables, held fixed.
        abduction, noise: z and u.
    """

    raw: Tensor
    x: Tensor
    area: Tensor
    pa: Float[Tensor, "batch variable"]
    weights: Float[Tensor, "batch measured *space"]
    abduction: Abduction
    noise: Tensor


def abduct(model: Model, cases: Sequence[Case]) -> Known:
    """Measure the images, and infer what made them.

    Raises:
        InputError: an image off the grid or not finite, or a spacing that is missing.
    """
    raw = model.check(np.stack([case.image for case in cases])).to(model.device)
    x = scaled(raw, model.intensity)
    area = x.new_tensor([model.area(case.spacing) for case in cases])
    measured, frames = model.parents.factual(x, area)
    pa = torch.cat([measured, covariates(model, cases).to(measured)], dim=1)
    weights = model.parents.weights(frames, model.size)
    abduction, likelihood = model.mechanism.abduct(x, pa, weights, sample=False)
    return Known(raw, x, area, pa, weights, abduction, likelihood.noise(x))


class Predicted(NamedTuple):
    """x* in the source's units, the guide's soft masks of it, and what they measure; one row a request."""

    images: Float[Tensor, "request channel *space"]
    soft: Float[Tensor, "request structure *space"]
    achieved: Float[Tensor, "request measured"]


def predictions(
    model: Model, known: Known, owner: Int[Tensor, " request"], pa_star: Float[Tensor, "request variable"]
) -> Iterator[Predicted]:
    """The counterfactuals of the images `owner` of `known` under `pa_star`, as many at a time as `at_once` says."""
    for i, target in zip(owner.split(at_once(model)), pa_star.split(at_once(model)), strict=True):
        (likelihood,) = model.mechanism.predict(rows(known.abduction, i), [target], known.weights[i])
        x_star = likelihood.render(known.noise[i])
        null = (target == known.pa[i]).all(1).reshape(-1, *[1] * (known.x.ndim - 1))
        x_star = torch.where(null, known.x[i], x_star)
        soft = model.parents.segmentor.soft(x_star)
        achieved = measure(soft, known.weights[i], model.parents.structure_of, known.area[i])
        yield Predicted(torch.where(null, known.raw[i], unscaled(x_star, model.intensity)), soft, achieved)


def act(model: Model, pa: Float[Tensor, "1 variable"], do: counterfactual.Do) -> Float[Tensor, "1 variable"]:
    """pa* of one image."""
    return model.act(pa, {position(name, model.variables): parse(name, value) for name, value in do.items()})


def covariates(model: Model, cases: Sequence[Case]) -> Float[Tensor, "batch covariate"]:
    names = model.variables[len(model.parents.variables) :]
    return torch.tensor([[case.covariates[name] for name in names] for case in cases]).reshape(len(cases), len(names))


def rows(abduction: Abduction, index: Tensor) -> Abduction:
    """The abductions of some images, repeats allowed."""
    states = [state[index] for state in abduction.states]
    return Abduction(states, abduction.kl[index], abduction.kl_channels[index])
