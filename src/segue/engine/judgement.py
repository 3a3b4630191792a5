"""The verdict of each answer, computed once for all surfaces: see `segue.engine.verdict`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from segue.anatomy import measurement_of, said_value, variable_unit
from segue.anatomy.reach import FAR, reach
from segue.causal.facts import Facts
from segue.causal.support import QUANTILE, unusual
from segue.engine.typical import UsualAnswers
from segue.engine.verdict import (
    AREA_ERROR,
    FAR_SHARE,
    SMALLEST_CHANGE,
    Doubt,
    Reached,
    Verdict,
    achieved_interval,
    is_met,
    share_of,
    span,
)
from segue.mechanisms.base import Ensembled, offered
from segue.mechanisms.correction import areas_by_each
from segue.text import in_digits, in_words

if TYPE_CHECKING:
    from segue.engine.answer import Abducted, Predicted
    from segue.engine.model import Model

__all__ = ["Evidence", "ensemble_of", "evidence_on", "verdicts"]

UNCHECKED = "this model has no check of its input: nobody has asked whether the image is like the training images"
UNSEEN = (
    "the values asked were not seen together in training with the image's other values "
    f"(beyond {QUANTILE:.0%} of the training data); ask for a smaller change, or change the others too"
)


@dataclass(frozen=True)
class Evidence:
    """What verdicts need of some answers, one row a request.

    Attributes:
        factual, asked: all variables; `asked` before areas are clamped at 0.
        members: achieved by the guide and each ensemble member. draws: on the answer of each posterior sample.
        reach: see `Verdict`.
    """

    factual: Float[Tensor, "request variable"]
    asked: Float[Tensor, "request variable"]
    members: Float[Tensor, "segmentor request measured"]
    draws: Float[Tensor, "draw request measured"]
    reach: Float[Tensor, " request"]


def evidence_on(
    model: "Model", facts: Facts, soft: Tensor, asked: Tensor, found: "Predicted", draws: Sequence[Tensor]
) -> Evidence:
    """The evidence on some answers, one row a request.

    Args:
        facts, soft: of the factual images, and the guide's masks of them. asked: before areas are clamped.
        draws: the answer of each posterior sample, of which the answer is the mean.
    """
    changed = asked_to_change(model, facts.pa, model.space.bounded(asked))
    structures = changed.new_zeros(len(changed), found.soft.shape[1])
    for v, structure in enumerate(model.parents.structure_of.tolist()):
        structures[:, structure] |= changed[:, v]
    by_guide = [areas_by_each(model.parents, [model.parents.segmentor], facts, one) for one in draws if len(draws) > 1]
    none = facts.pa.new_zeros(0, len(facts.pa), facts.measured)
    before = facts.by_ensemble
    assert before is not None, "the engine measures with the ensemble"
    by_ensemble = areas_by_each(model.parents, ensemble_of(model), facts, found.image) - before.transpose(0, 1)
    return Evidence(
        factual=facts.pa,
        asked=asked,
        members=torch.cat([found.achieved[None], facts.pa[:, : facts.measured] + by_ensemble]),
        draws=torch.cat([none, *by_guide]),
        reach=reach(facts.image, found.image, (soft, found.soft), structures),
    )


def ensemble_of(model: "Model") -> tuple[Any, ...]:
    """The segmentors that measure answers together with the guide; none for many mechanisms."""
    found = offered(model.mechanism, Ensembled)
    return () if found is None else tuple(found.ensemble)


def asked_to_change(model: "Model", factual: Tensor, requested: Tensor) -> Bool[Tensor, "request variable"]:
    """Which variables a request changes by more than `SMALLEST_CHANGE`."""
    return (requested - factual).abs() > SMALLEST_CHANGE * model.space.sd


def verdicts(model: "Model", known: "Abducted", owner: Tensor, found: Evidence) -> tuple[Verdict, ...]:
    """The verdict of each request.

    Args:
        known: the images, `owner` the image of each request.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> answer = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"})
    >>> answer.verdict[0].met
    True
    """
    requested = model.space.bounded(found.asked)
    changed = asked_to_change(model, found.factual, requested)
    strange = unseen_together(model, found.factual, requested)
    notes = () if model.input_check is not None else (UNCHECKED,)
    said = []
    for row, image in enumerate(owner.tolist()):
        reached = reached_by(model, found, requested, row, changed[row])
        range_doubts = request_doubts(model, found.asked[row], requested[row], changed[row])
        doubts = [Doubt("input", text) for text in known.input_doubts[image]] + range_doubts
        if bool(strange[row]) and not any(one.kind == "request" for one in range_doubts):
            doubts.append(Doubt("request", UNSEEN))
        doubts += [doubt for v, one in reached for doubt in result_doubts(one, float(model.space.sd[v]))]
        far = float(found.reach[row]) if reached else None
        beyond, mention = far_text(model, far or 0.0, reached)
        doubts += [Doubt("locality", beyond)] if beyond else []
        seen = (*notes, mention) if mention else notes
        said.append(Verdict(tuple(one for _, one in reached), tuple(doubts), seen, far))
    return tuple(said)


def reached_by(
    model: "Model", found: Evidence, requested: Tensor, row: int, changed: Tensor
) -> list[tuple[int, Reached]]:
    """Each measured variable that was asked to change, with its column."""
    entries = []
    for v in changed[: model.space.measured].nonzero().flatten().tolist():
        name, sd = model.variables[v], float(model.space.sd[v])
        factual, wanted = float(found.factual[row, v]), float(requested[row, v])
        members, draws = found.members[:, row, v].tolist(), found.draws[:, row, v].tolist()
        mean = sum(members) / len(members) if len(members) > 1 else None
        judged = members[:1] if mean is None else [members[0], mean]
        met = all(is_met(factual, wanted, value, sd=sd) for value in judged)
        error = 0.0 if (usual := usual_answers_of(model)) is None else float(usual.error[v])
        least = float(model.space.least[v])
        spans = achieved_interval(members, draws, least=least), achieved_interval(members, draws, error, least=least)
        share = share_of(factual, wanted, members[0])
        unit = variable_unit(name, model.grid.unit)
        entries.append((v, Reached(name, unit, factual, wanted, members[0], mean, *spans, share, met)))
    return entries


def unseen_together(model: "Model", factual: Tensor, requested: Tensor) -> Bool[Tensor, " request"]:
    """`segue.causal.support.unusual`; nothing is where the model does not hold the correlation."""
    if model.space.correlation is None:
        return torch.zeros(len(factual), dtype=torch.bool)
    return unusual(factual, requested, model.space.marginal, model.space.correlation)


def request_doubts(model: "Model", asked: Tensor, requested: Tensor, changed: Tensor) -> list[Doubt]:
    """Of each variable: a value clamped to 0, or outside the training range."""
    doubts = []
    for v, name in enumerate(model.variables):
        low, high = model.space.training_range(name)
        named = variable_unit(name, model.grid.unit)
        unit = f" {named}" if named else ""
        value, raw, slack = float(requested[v]), float(asked[v]), SMALLEST_CHANGE * float(model.space.sd[v])
        if raw < value:
            what = f"no {measurement_of(name).dimension} is below {value:g}, so it was set to {value:g}"
            text = f"{name} was asked to be {in_digits(raw)}{unit}; {what}"
            doubts.append(Doubt("request", f"{text}; ask for a smaller change"))
        if bool(changed[v]) and not low - slack <= value <= high + slack:
            seen = f"{span((low, high))}{unit}"
            text = f"{name} = {said_value(name, value, named)} is outside the training range ({seen})"
            doubts.append(Doubt("request", f"{text}; ask for a value inside it"))
    return doubts


def result_doubts(one: Reached, sd: float) -> list[Doubt]:
    """A request that is not met, or of which it is not certain whether anything was achieved."""
    doubts = []
    if not one.met:
        shares = f"{one.share:.0%} of the change asked" + (
            "" if one.ensemble is None else f" ({one.share_by_ensemble:.0%} by the ensemble)"
        )
        text = f"{one.variable} reached {one.say(one.achieved)} of {one.say(one.requested)}, {shares}"
        doubts.append(Doubt("not met", f"{text}; ask for a smaller change"))
    if abs(one.requested - one.factual) <= AREA_ERROR * sd:
        error = f"{in_digits(AREA_ERROR * sd)} {one.unit}".rstrip()
        text = f"the change asked of {one.variable} is below the measurement error ({error})"
        doubts.append(Doubt("uncertain", f"{text}; ask for a larger change"))
    elif one.spread is not None and one.spread[0] <= one.factual <= one.spread[1]:
        ends = f"{span(one.spread)} {one.unit}".rstrip()
        text = f"what {one.variable} achieved is {ends}, without measurement errors, and may be its factual value"
        doubts.append(Doubt("uncertain", f"{text}; ask for a larger change"))
    return doubts


def usual_answers_of(model: "Model") -> UsualAnswers | None:
    """What is usual of the model's measurements and answers; None where nobody has measured it."""
    return None if model.input_check is None else model.input_check.typical.answers


def far_text(model: "Model", far: float, reached: Sequence[tuple[int, Reached]]) -> tuple[str, str]:
    """Of a change that is far from the outlines: why locality is in doubt, or what is noted where that is usual."""
    if far <= FAR_SHARE:
        return "", ""
    structures = dict.fromkeys(in_words(one.variable.split("@")[0]) for _, one in reached)
    place = f"farther than {FAR:.0%} of the image from the outlines of {', '.join(structures)}"
    text = f"{far:.0%} of the change of the image is {place}"
    usual = usual_answers_of(model)
    most = 0.0 if usual is None else max(float(usual.reach[v]) for v, _ in reached)
    if not most:  # no usual answer was met, or none is known
        return f"{text}; look at the difference image", ""
    text = f"{text}; usual for this model is up to {most:.0%}"
    return ("", text) if far <= most else (f"{text}; look at the difference image", "")
