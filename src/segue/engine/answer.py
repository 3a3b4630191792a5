"""Counterfactuals of a few images, each under its own requests: one abduction an image, all decoded from it."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.anatomy import measure
from segue.causal.facts import Facts
from segue.causal.intervention import parse, position
from segue.cohort.case import Case
from segue.cohort.grid import scaled, unscaled
from segue.engine.model import Do, Model
from segue.mechanisms.hvae import Abduction, Likelihood

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
def answer(
    model: Model,
    cases: Sequence[Case],
    requests: Sequence[Sequence[Do]],
    *,
    propagate: bool = True,
    hold: Collection[str] = (),
) -> list[Answer]:
    """Every case under every one of its requests. A request that changes no parent returns the image as it was.

    Args:
        propagate, hold: as of `Model.counterfactual`; what a request does itself, it does not hold.

    Raises:
        InputError: an image off the grid or not finite, or a covariate or spacing that is missing.
    """
    answers: list[Answer] = []
    for first in range(0, len(cases), length := at_once(model)):
        part = slice(first, first + length)
        answers += answer_part(model, cases[part], requests[part], propagate, hold)
    return answers


def answer_part(
    model: Model, cases: Sequence[Case], requests: Sequence[Sequence[Do]], propagate: bool, hold: Collection[str]
) -> list[Answer]:
    """`answer`, of no more images than go through the networks at once."""
    known = abduct(model, cases)
    owner = torch.tensor([i for i, dos in enumerate(requests) for _ in dos], device=known.x.device)
    pa_star = act(model, known.pa[owner], [do for dos in requests for do in dos], propagate, hold)
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
        area: of a pixel, (batch,). soft: the guide's masks. pa: parents.
        weights: regions of the measured variables, held fixed.
        abduction, factual: z, and p(x | z, pa), which gives u.
    """

    raw: Tensor
    x: Tensor
    area: Tensor
    soft: Float[Tensor, "batch structure *space"]
    pa: Float[Tensor, "batch variable"]
    weights: Float[Tensor, "batch measured *space"]
    abduction: Abduction
    factual: Likelihood


def abduct(model: Model, cases: Sequence[Case]) -> Known:
    """Measure the images, and infer what made them.

    Raises:
        InputError: an image off the grid or not finite, or a spacing that is missing.
    """
    raw = model.check(np.stack([case.image for case in cases])).to(model.device)
    x = scaled(raw, model.intensity)
    area = x.new_tensor([model.area(case.spacing) for case in cases])
    soft = model.parents.segmentor.soft(x)
    measured, frames = model.parents.read(soft, area)
    pa = torch.cat([measured, covariates(model, cases).to(measured)], dim=1)
    weights = model.parents.weights(frames, model.size)
    abduction, factual = model.mechanism.abduct(x, pa, weights, sample=False)
    return Known(raw, x, area, soft, pa, weights, abduction, factual)


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
        facts = Facts(known.x[i], known.pa[i], known.weights[i], known.area[i])
        factual = Likelihood(*(part[i] for part in known.factual))
        (x_star,) = model.mechanism.answer(facts, rows(known.abduction, i), factual, [target])
        null = (target == known.pa[i]).all(1).reshape(-1, *[1] * (known.x.ndim - 1))
        x_star = torch.where(null, known.x[i], x_star)
        soft = model.parents.segmentor.soft(x_star)
        achieved = measure(soft, known.weights[i], model.parents.structure_of, known.area[i])
        yield Predicted(torch.where(null, known.raw[i], unscaled(x_star, model.intensity)), soft, achieved)


def act(
    model: Model,
    pa: Float[Tensor, "row variable"],
    dos: Sequence[Do],
    propagate: bool,
    hold: Collection[str],
) -> Float[Tensor, "row variable"]:
    """pa* of each row under its own request; requests of the same variables go along the graph together."""
    pa_star = pa.clone()
    alike: dict[tuple[str, ...], list[int]] = {}
    for row, do in enumerate(dos):
        alike.setdefault(tuple(sorted(do)), []).append(row)
    for names, members in alike.items():
        done: dict[str, list[Tensor]] = {name: [] for name in names}
        for row in members:
            actions = {position(name, model.variables): parse(name, value) for name, value in dos[row].items()}
            for name, value in model.asked(pa[row : row + 1], actions).items():
                done[name].append(value)
        held = model.held(dict.fromkeys(names, ""), propagate, [name for name in hold if name not in names])
        pa_star[members] = model.follow(pa[members], {name: torch.cat(values) for name, values in done.items()}, held)
    return pa_star


def covariates(model: Model, cases: Sequence[Case]) -> Float[Tensor, "batch covariate"]:
    names = model.covariate_names
    return torch.tensor([[case.covariates[name] for name in names] for case in cases]).reshape(len(cases), len(names))


def rows(abduction: Abduction, index: Tensor) -> Abduction:
    """The abductions of some images, repeats allowed."""
    states = [state[index] for state in abduction.states]
    return Abduction(states, abduction.kl[index], abduction.kl_channels[index])
