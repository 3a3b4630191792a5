"""The engine: images of a model, measured and abducted once, under any number of requests.

Python, command line, generation, explorer and its HTTP API answer through this module, so that all of them give the
same bits, or the same refusal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.causal.facts import Facts
from segue.causal.request import Request
from segue.cohort.case import Case
from segue.engine.asked import requested_parents
from segue.engine.inputs import Inputs, check_inputs, inputs_of
from segue.engine.judgement import ensemble_of, evidence_on, verdicts
from segue.engine.predict import abduct, draw_one, finite_image, is_null, mean_of, unless_null
from segue.engine.verdict import Verdict
from segue.mechanisms.correction import areas_of_each

__all__ = [
    "CaseAnswer",
    "Drawn",
    "Inputs",
    "Predicted",
    "abduct_images",
    "answer",
    "check_inputs",
    "draw_answers",
    "infer_images",
    "predictions",
    "with_verdicts",
]

if TYPE_CHECKING:
    from segue.engine.model import Model

# Pixels that go through the networks side by side: bounds their memory. On a CPU more is no faster: at 32 x 96, 16, 32,
# 64 and 128 images at a time gave 134, 140, 134 and 126 counterfactuals a second on one core.
PIXELS = {"cpu": 1 << 17, "cuda": 1 << 21}


@dataclass(frozen=True)
class Abducted:
    """All that is inferred of some images before anything is asked of them.

    Attributes:
        raw: in the source's units, (batch, channel, *space). window: by which they, and answers to them, are scaled.
        facts: the images scaled and measured, by the mechanism's ensemble too.
        soft: the guide's masks. ensemble_soft: the mean of the ensemble's; None without an ensemble.
        posteriors: opaque; one at the posterior's mean, or several draws.
        input_doubts: for each image, why it is not like the training images; () where it is, or nothing checks it.
    """

    raw: Tensor
    window: Float[Tensor, "batch 2"]
    facts: Facts
    soft: Float[Tensor, "batch structure *space"]
    ensemble_soft: Float[Tensor, "batch structure *space"] | None
    posteriors: list[Any]
    input_doubts: list[tuple[str, ...]]


class Predicted(NamedTuple):
    """Counterfactuals, one row a request.

    Attributes:
        raw: x* in the source's units. image: x* scaled. soft: the guide's masks of x*, and `achieved` their areas.
        verdicts: one a request.
        displacement: in pixels, as of `segue.mechanisms.base.Moved`; None where the mechanism does not move.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> known = abduct_images(model, check_inputs(model, model.examples()[:2]))
    >>> found = predict_all(model, known, torch.tensor([0, 1, 1]), known.facts.pa[[0, 1, 1]])
    >>> found.raw.shape, found.achieved.shape
    (torch.Size([3, 1, 48, 144]), torch.Size([3, 9]))
    """

    raw: Float[Tensor, "request channel *space"]
    image: Float[Tensor, "request channel *space"]
    soft: Float[Tensor, "request structure *space"]
    achieved: Float[Tensor, "request measured"]
    verdicts: tuple[Verdict, ...]
    displacement: Float[Tensor, "request dims *space"] | None = None


class Drawn(NamedTuple):
    """Counterfactuals before their verdicts.

    Attributes:
        owner: the image of each request. facts: of these images, one row a request. asked: pa* as it was asked.
        found: without verdicts. draws: the answer of each posterior sample, scaled; `found` is their mean.

    >>> Drawn._fields[-1]
    'draws'
    """

    owner: Int[Tensor, " request"]
    facts: Facts
    asked: Float[Tensor, "request variable"]
    found: Predicted
    draws: list[Tensor]


def batch_length(model: "Model") -> int:
    """Images that go through the networks side by side."""
    return max(1, PIXELS.get(model.device.type, PIXELS["cpu"]) // model.grid.pixels)


@torch.inference_mode()
def abduct_images(model: "Model", inputs: Inputs, *, particles: int = 1) -> Abducted:
    """Infer what made images (`infer_images`), and say what of them is not like the training images.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> abduct_images(model, check_inputs(model, model.examples()[:2])).input_doubts
    [(), ()]
    """
    known = infer_images(model, inputs, particles=particles)
    return known if model.input_check is None else replace(known, input_doubts=model.input_check.doubts(known))


@torch.inference_mode()
def infer_images(model: "Model", inputs: Inputs, *, particles: int = 1) -> Abducted:
    """Measure images, and infer what made them (`particles`: see `segue.engine.predict.abduct`).

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> known = infer_images(model, check_inputs(model, model.examples()[:2]))
    >>> known.facts.pa.shape, len(known.posteriors)
    (torch.Size([2, 9]), 1)
    """
    window, facts, soft = measure_images(model, inputs)
    masks = [member.soft(facts.image) for member in ensemble_of(model)]
    facts = facts._replace(by_ensemble=areas_of_each(model.parents, masks, facts, facts.image).transpose(0, 1))
    mean = torch.stack(masks).mean(0) if masks else None
    posteriors = abduct(model.mechanism, facts, particles=particles)
    return Abducted(inputs.raw, window, facts, soft, mean, posteriors, [()] * len(soft))


class MeasuredImages(NamedTuple):
    """Images scaled by their window and measured: see `Abducted`."""

    window: Float[Tensor, "batch 2"]
    facts: Facts
    soft: Float[Tensor, "batch structure *space"]


def measure_images(model: "Model", inputs: Inputs) -> MeasuredImages:
    """What the guide sees of images; nothing is inferred of their noise."""
    window = model.grid.window(inputs.raw)
    x = model.grid.scale(inputs.raw, window)
    soft = model.parents.segmentor.soft(x)
    measured, frames = model.parents.read(soft, x, inputs.pixel_area, inputs.spacing)
    weights = model.parents.weights(frames, model.grid.size)
    pa = torch.cat([measured, inputs.covariates], dim=1)
    facts = Facts(x, pa, weights, inputs.pixel_area, spacing=inputs.spacing)
    return MeasuredImages(window, facts, soft)


def predictions(
    model: "Model", known: Abducted, owner: Int[Tensor, " request"], asked: Float[Tensor, "request variable"]
) -> Iterator[Predicted]:
    """The counterfactuals of the images `owner` of `known`, `batch_length` at a time, with their verdicts.

    Args:
        asked: pa*; areas below 0 (see `segue.causal.request.unbounded`) are clamped, and the verdict says so.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> known = abduct_images(model, check_inputs(model, model.examples()[:2]))
    >>> (null,) = predictions(model, known, torch.tensor([0]), known.facts.pa[:1])
    >>> torch.equal(null.raw, model.examples()[:1])
    True
    """
    return (with_verdicts(model, known, one) for one in draw_answers(model, known, owner, asked))


@torch.inference_mode()
def draw_answers(
    model: "Model", known: Abducted, owner: Int[Tensor, " request"], asked: Float[Tensor, "request variable"]
) -> Iterator[Drawn]:
    """`predictions` before their verdicts, which need further measurements: a picture can be shown before them.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> known = abduct_images(model, check_inputs(model, model.examples()[:1]))
    >>> (one,) = draw_answers(model, known, torch.tensor([0]), known.facts.pa)
    >>> one.found.verdicts
    ()
    """
    for i, part in zip(*(each.split(batch_length(model)) for each in (owner, asked)), strict=True):
        facts, target = known.facts.rows(i), model.space.bounded(part)
        posteriors = [posterior.rows(i) for posterior in known.posteriors]
        draws = [draw_one(model.mechanism, facts, posterior, [target])[0] for posterior in posteriors]
        found, null = mean_of(draws), is_null(facts, target)
        image = unless_null(null, facts.image, found.image)
        soft = model.parents.segmentor.soft(image)
        achieved = model.parents.measure(soft, image, facts)
        raw = model.grid.answered(image, facts.image, known.raw[i], known.window[i])
        answered = Predicted(finite_image(raw), image, soft, achieved, (), found.displacement)
        yield Drawn(i, facts, part, answered, [one.image for one in draws])


@torch.inference_mode()
def with_verdicts(model: "Model", known: Abducted, one: Drawn) -> Predicted:
    """Counterfactuals with their verdicts.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> known = abduct_images(model, check_inputs(model, model.examples()[:1]))
    >>> (one,) = draw_answers(model, known, torch.tensor([0]), known.facts.pa)
    >>> len(with_verdicts(model, known, one).verdicts)
    1
    """
    evidence = evidence_on(model, one.facts, known.soft[one.owner], one.asked, one.found, one.draws)
    return one.found._replace(verdicts=verdicts(model, known, one.owner, evidence))


def predict_all(model: "Model", known: Abducted, owner: Tensor, asked: Tensor) -> Predicted:
    """`predictions`, all of them."""
    *tensors, said, moved = zip(*predictions(model, known, owner, asked), strict=True)
    raw, image, soft, achieved = map(torch.cat, tensors)
    displacement = None if moved[0] is None else torch.cat(moved)
    return Predicted(raw, image, soft, achieved, tuple(chain.from_iterable(said)), displacement)


@dataclass(frozen=True)
class CaseAnswer:
    """One image under its requests.

    Attributes:
        images: x*, in the source's units, (request, channel, *space).
        factual: (variable,), in the variables' units. requested: (request, variable).
        achieved: what the guide's segmentor measures on x*, (request, measured variable). verdicts: one a request.
        displacement: see `Predicted`.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> case = Case("a", model.examples()[0].numpy(), None, np.eye(4))
    >>> (found,) = answer(model, [case], [[Request({"lumen@mid": "+1sd"}), Request()]])
    >>> found.images.shape, found.requested.shape
    ((2, 1, 48, 144), (2, 9))
    """

    images: Float[np.ndarray, "request channel *space"]
    factual: Float[np.ndarray, " variable"]
    requested: Float[np.ndarray, "request variable"]
    achieved: Float[np.ndarray, "request measured"]
    verdicts: tuple[Verdict, ...]
    displacement: Float[np.ndarray, "request dims *space"] | None = None


def answer(model: "Model", cases: Sequence[Case], requests: Sequence[Sequence[Request]]) -> list[CaseAnswer]:
    """Every case under every one of its requests, each image abducted once.

    Raises:
        InputError: an image or a request that cannot be answered (see `check_inputs` and `segue.causal.request`).

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> case = Case("a", model.examples()[0].numpy(), None, np.eye(4))
    >>> (found,) = answer(model, [case], [[Request()]])
    >>> bool((found.images[0] == case.image).all())
    True
    """
    found: list[CaseAnswer] = []
    for first in range(0, len(cases), length := batch_length(model)):
        part = slice(first, first + length)
        found += answer_batch(model, cases[part], requests[part])
    return found


def answer_batch(model: "Model", cases: Sequence[Case], requests: Sequence[Sequence[Request]]) -> list[CaseAnswer]:
    """`answer`, of no more images than go through the networks at once."""
    known = abduct_images(model, inputs_of(model, cases))
    pa, each = known.facts.pa, [len(asked) for asked in requests]
    owner = torch.arange(len(cases), device=pa.device).repeat_interleave(torch.tensor(each, device=pa.device))
    everything = list(chain.from_iterable(requests))
    asked = requested_parents(model, everything, pa[owner], known.facts.pixel_area[owner])
    parts = [
        (part.raw.cpu(), part.achieved, part.verdicts, part.displacement)
        for part in predictions(model, known, owner, asked)
    ]
    images, achieved, said, moved = zip(*parts, strict=True)
    shifts = [None] * len(cases) if moved[0] is None else [one.cpu().numpy() for one in torch.cat(moved).split(each)]
    columns = (torch.cat(images), model.space.bounded(asked), torch.cat(achieved))
    split = zip(*([part.cpu().numpy() for part in column.split(each)] for column in columns), strict=True)
    found = iter(chain.from_iterable(said))
    return [
        CaseAnswer(x_star, factual.cpu().numpy(), requested, reached, tuple(islice(found, len(x_star))), shift)
        for factual, (x_star, requested, reached), shift in zip(pa, split, shifts, strict=True)
    ]
