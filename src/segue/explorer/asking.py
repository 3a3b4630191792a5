"""Answers, of an image and a request alone: counterfactuals by several methods, measured by guide and judge."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy import variable_unit
from segue.causal.request import Do, Request
from segue.cohort.case import Case
from segue.engine.answer import Abducted, Drawn, draw_answers, predict_all, with_verdicts
from segue.engine.asked import requested_parents
from segue.engine.model import Model
from segue.engine.verdict import Verdict
from segue.errors import InputError
from segue.evaluation.effect import change
from segue.explorer.models import Explored
from segue.hardware import threads_for

Array = Float[np.ndarray, "*space"]
Areas = dict[str, float]
MOST_METHODS = 3


@dataclass(frozen=True)
class Reading:
    """One method's answer. What follows `drawn` is measured after the picture is drawn, by `measured`.

    Attributes:
        image: x* in the source's units, first channel. outlines: by structure, the guide's soft masks of x*.
        guide: measured on x*, by variable. drawn: what the engine judges. judge: as guide; {} where there is none.
        leakage: share of |x* - x| outside the regions of what was to move; None where nothing changed or was to move.
        off_target: mean |change| of the variables that were not to move, in training sd, by the judge (the guide,
            without one); None where all were to move.
        verdict: of this answer, by the engine.
        displacement: in pixels (`segue.mechanisms.base.Moved`); None where the method does not move.
    """

    method: str
    image: Array
    outlines: dict[str, Array]
    guide: Areas
    displacement: Float[np.ndarray, "dims *space"] | None
    drawn: Drawn = field(repr=False)
    judge: Areas = field(default_factory=dict)
    leakage: float | None = None
    off_target: float | None = None
    verdict: Verdict = field(default_factory=lambda: Verdict((), ()))


@dataclass(frozen=True)
class Answer:
    """An image and what became of it.

    Attributes:
        image: x, first channel. window: its (black, white). outlines: the guide's soft masks of x, by structure.
        regions: by variable, its region's weights.
        factual, requested: by variable, covariates too. judge: on x.
        do: what was asked. propagate, hold: as of `Model.counterfactual`. sd: of the training data, by variable.
    """

    image: Array
    window: tuple[float, float]
    outlines: dict[str, Array]
    regions: dict[str, Array]
    factual: Areas
    judge: Areas
    requested: Areas
    do: dict[str, float]
    propagate: bool
    hold: tuple[str, ...]
    sd: Areas
    unit: str
    readings: tuple[Reading, ...]

    @property
    def moving(self) -> list[str]:
        """What was to move: the variables that were asked, and those that the graph asks in consequence."""
        followed = (name for name in self.requested if self.requested[name] != self.factual[name])
        return list(dict.fromkeys([*self.do, *followed]))


def check_methods(explored: Explored, methods: Sequence[str]) -> list[str]:
    """One method at least, three at most, all of the model."""
    if not 1 <= len(methods) <= MOST_METHODS:
        raise InputError(f"{len(methods)} methods are chosen: choose 1 to {MOST_METHODS}")
    if unknown := [name for name in methods if name not in explored.models]:
        raise InputError(f"method {unknown[0]!r} is not in the model; choose from {', '.join(explored.models)}")
    return list(methods)


@torch.inference_mode()
def ask(
    explored: Explored,
    case: Case,
    do: Do,
    methods: Sequence[str],
    *,
    propagate: bool = True,
    hold: Collection[str] = (),
) -> Answer:
    """One request of one image, by each of `methods`.

    Args:
        do, propagate, hold: as in `Model.counterfactual`.

    Raises:
        InputError: an unknown variable or method, a malformed request, or an image that does not fit.
    """
    return measured(explored, case, answer_pictures(explored, case, Request(do, propagate, tuple(hold)), methods))


@torch.inference_mode()
def answer_pictures(explored: Explored, case: Case, request: Request, methods: Sequence[str]) -> Answer:
    """`ask`, as far as it is seen: what is measured besides, and the verdicts, are left to `measured`."""
    methods = check_methods(explored, methods)
    with threads_for(explored.first.grid.pixels), explored.quick.helping():
        target, asked = asked_of_case(explored, case, request, methods[0])
        return replace(asked, readings=tuple(read_method(explored, method, case, target) for method in methods))


@torch.inference_mode()
def measured(explored: Explored, case: Case, answer: Answer) -> Answer:
    """The answer with what the judge measures, and its verdicts."""
    with threads_for(explored.first.grid.pixels), explored.quick.helping():
        by_judge = explored.judged_factual(explored.known(answer.readings[0].method, case), case)
        names = explored.first.space.areas
        answer = replace(answer, judge={} if by_judge is None else by_name(names, by_judge))
        readings = tuple(judge_method(explored, case, answer, one) for one in answer.readings)
    explored.quick.go_on()
    return replace(answer, readings=readings)


def asked_of_case(
    explored: Explored, case: Case, request: Request, method: str
) -> tuple[Float[Tensor, "1 variable"], Answer]:
    """pa* as it is written (the methods share guide and graph), and the answer before any method gave one."""
    model, known = explored.models[method], explored.known(method, case)
    target = requested_parents(model, [request], known.facts.pa, known.facts.pixel_area)
    requested, names = model.space.bounded(target), model.space.areas
    return target, Answer(
        image=known.raw[0, 0].cpu().numpy(),
        window=model.grid.limits(case.image),
        outlines=masks(model, known.soft[0]),
        regions=dict(zip(names, known.facts.weights[0].cpu().numpy(), strict=True)),
        factual=by_name(model.variables, known.facts.pa[0]),
        judge={},
        requested=by_name(model.variables, requested[0]),
        do={name: shortest(float(requested[0, model.variables.index(name)])) for name in request.do},
        propagate=request.propagate,
        hold=tuple(request.hold),
        sd=by_name(model.variables, model.parents.sd),
        unit=model.grid.unit,
        readings=(),
    )


def shortest(value: float) -> float:
    """Of the numbers that are the same in 32 bits the one with the fewest digits, as it was written.

    >>> shortest(30.799999237060547), shortest(0.0)
    (30.8, 0.0)
    """
    return float(str(np.float32(value)))


def read_method(explored: Explored, method: str, case: Case, target: Float[Tensor, "1 variable"]) -> Reading:
    """One method's picture for pa*."""
    model = explored.models[method]
    (one,) = draw_answers(model, explored.known(method, case), owner_zero(target), target)
    found = one.found
    return Reading(
        method=method,
        image=found.raw[0, 0].cpu().numpy(),
        outlines=masks(model, found.soft[0]),
        guide=by_name(model.space.areas, found.achieved[0]),
        displacement=None if found.displacement is None else found.displacement[0].cpu().numpy(),
        drawn=one,
    )


def judge_method(explored: Explored, case: Case, answer: Answer, one: Reading) -> Reading:
    """One method's answer, measured and judged."""
    model, known = explored.models[one.method], explored.known(one.method, case)
    names, moving, image = model.space.areas, answer.moving, one.drawn.found.image
    by_judge = explored.judged(known, image)
    judge = {} if by_judge is None else by_name(names, by_judge)
    factual, found = (answer.judge, judge) if judge else (answer.factual, one.guide)
    others = [abs(found[name] - factual[name]) / answer.sd[name] for name in names if name not in moving]
    return replace(
        one,
        judge=judge,
        leakage=leakage(known, image, [names.index(name) for name in moving if name in names]),
        off_target=sum(others) / len(others) if others else None,
        verdict=with_verdicts(model, known, one.drawn).verdicts[0],
    )


@dataclass(frozen=True)
class Sweep:
    """One variable over its range, everything else as asked.

    Attributes:
        requested, guide: (frame,), in `unit`. judge: the same, None without one. images: (frame, *space).
        window: (black, white) of the factual image.
    """

    variable: str
    method: str
    unit: str
    requested: list[float]
    guide: list[float]
    judge: list[float] | None
    training: tuple[float, float]
    factual: float
    images: Float[np.ndarray, "frame *space"]
    window: tuple[float, float]


@torch.inference_mode()
def sweep(
    explored: Explored,
    case: Case,
    do: Do,
    method: str,
    variable: str,
    *,
    low: float | int,
    high: float | int,
    frames: int,
    propagate: bool = True,
    hold: Collection[str] = (),
) -> Sweep:
    """A variable from `low` to `high`, the other requests kept."""
    check_methods(explored, [method])
    model = explored.models[method]
    if variable not in (names := model.space.areas):
        raise InputError(f"variable {variable!r} is not measured; choose from {', '.join(names)}")
    if not 2 <= frames <= 64:
        raise InputError(f"{frames} frames: give a number from 2 to 64")
    place = names.index(variable)
    values = np.linspace(low, high, frames).tolist()
    requests = [Request({**do, variable: value}, propagate, tuple(hold)) for value in values]
    with explored.quick.working():
        known = explored.known(method, case)
        facts = known.facts.rows(owner_zero(known.facts.pa.new_zeros(frames)))
        targets = requested_parents(model, requests, facts.pa, facts.pixel_area)
        found = predict_all(model, known, owner_zero(targets), targets)
        by_judge = explored.judged(known, found.image)
    return Sweep(
        variable=variable,
        method=method,
        unit=variable_unit(variable, model.grid.unit),
        requested=model.space.bounded(targets)[:, place].tolist(),
        guide=found.achieved[:, place].tolist(),
        judge=None if by_judge is None else by_judge[:, place].tolist(),
        training=training_range(model, place),
        factual=float(known.facts.pa[0, place]),
        images=found.raw[:, 0].cpu().numpy(),
        window=model.grid.limits(case.image),
    )


def owner_zero(targets: Tensor) -> Tensor:
    """All requests are of the one image."""
    return torch.zeros(len(targets), dtype=torch.long, device=targets.device)


def leakage(known: Abducted, x_star: Tensor, moving: list[int]) -> float | None:
    """Share of |x* - x| outside the regions of the variables that were to move."""
    if not moving:
        return None
    sums = change(known.facts.image, x_star, known.facts.weights[:, moving].amax(1))
    total = float(sums["total"])
    return float(sums["outside"]) / total if total > 0 else None


def training_range(model: Model, index: int) -> tuple[float, float]:
    """The smallest and the largest training value of a variable."""
    return model.space.training_range(model.variables[index])


def by_name(names: Sequence[str], values: Tensor) -> Areas:
    return dict(zip(names, values.flatten().tolist()[: len(names)], strict=True))


def masks(model: Model, soft: Float[Tensor, "structure *space"]) -> dict[str, Array]:
    return dict(zip(model.structures, soft.cpu().numpy(), strict=True))
