"""Judging one method, in one pass: what figures and features show are the very images that were measured."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Float
from torch import Tensor

from segue.causal.parents import Parents
from segue.engine.method import Method
from segue.evaluation.asked import Asked, in_turn, turn
from segue.evaluation.axioms import ByImage, composition, likelihoods, reversibility, spread
from segue.evaluation.crops import Site, crops_of
from segue.evaluation.effect import effect_rows
from segue.evaluation.local_realism import LocalTest
from segue.mechanisms.base import ImageMechanism, Moved
from segue.nets.segmentor import Segmentor

__all__ = ["Judge", "Judged", "axioms_of", "judged"]


@dataclass(frozen=True)
class Judge:
    """Who judges, and what is to be kept of the images.

    Attributes:
        parents: measure the answers in the study's regions. segmentor: the independent judge.
        pictures: (place in the store, variable) of the answers that figures show.
        local: the test of crops around edits, if there are subjects enough for one.
        translate: how questions are put to a method whose regions are others than the judged ones.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> Judge(model.parents, model.parents.segmentor, pictures=((0, 3),)).pictures
    ((0, 3),)
    """

    parents: Parents
    segmentor: Segmentor
    pictures: tuple[Site, ...] = ()
    local: LocalTest | None = None
    translate: Callable[[Asked, Method], Asked] = field(default=lambda asked, method: asked)


@dataclass(frozen=True)
class Judged:
    """A method's answers, judged.

    Attributes:
        effects: a row for each image x variable, see `effect_rows`.
        features: the judge's, of x* with one variable of each image set in turn.
        checks: by name, one value an image: axioms and likelihoods.
        pictures: x*, scaled, in the order of `Judge.pictures`.
        local: scores of crops by `Judge.local`; without it, of no pairs.

    >>> empty = np.zeros((0, 2))
    >>> Judged(pl.DataFrame(), empty, {}, np.zeros((0, 1, 4, 4)), np.zeros((2, 0))).features.shape
    (0, 2)
    """

    effects: pl.DataFrame
    features: Float[np.ndarray, "image feature"]
    checks: dict[str, Float[np.ndarray, " image"]]
    pictures: Float[np.ndarray, "picture channel *space"]
    local: Float[np.ndarray, "2 pair"]


@torch.inference_mode()
def judged(
    method: Method, batches: Iterable[Asked], judge: Judge, *, pretrained: ImageMechanism | None = None
) -> Judged:
    """Ask a method everything, and measure what it answers.

    Args:
        pretrained: the mechanism that the method started from; its likelihood says what looks like the cohort.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> from segue.engine.answer import abduct_images, check_inputs
    >>> from segue.engine.method import of_function
    >>> known = abduct_images(model, check_inputs(model, model.examples()[:2]))
    >>> asked = Asked(torch.arange(2), ("a", "b"), known.facts, known.facts.pa + 1)
    >>> nothing = of_function(lambda facts, requested: facts.image)
    >>> found = judged(nothing, [asked], Judge(model.parents, model.parents.segmentor))
    >>> len(found.effects), found.effects["total"].sum()
    (18, 0.0)
    """
    effects: list[pl.DataFrame] = []
    features: list[np.ndarray] = []
    checks: list[ByImage] = []
    pictures: dict[Site, np.ndarray] = {}
    crops: dict[Site, Tensor] = {}
    edits = set() if judge.local is None else set(judge.local.pairs.edit)
    for asked in batches:
        put = judge.translate(asked, method)
        moved, null = respond(method, put)
        answers = [one.image for one in moved]
        effects.append(effect_rows(moved, judge.parents, judge.segmentor, asked))
        image = torch.stack(answers, dim=1)[torch.arange(len(asked.ids)), turn(asked).to(answers[0].device)]
        features.append(judge.segmentor.features(image).cpu().numpy())
        checks.append(checks_of(method, pretrained, put, image, null))
        pictures |= chosen_pictures(asked, answers, judge.pictures)
        crops |= crops_of(asked, answers, judge.parents, judge.segmentor, edits)
    empty = np.zeros((0, *answers[0].shape[1:]), np.float32)
    return Judged(
        effects=pl.concat(effects),
        features=np.concatenate(features),
        checks={name: torch.cat([one[name] for one in checks]).double().cpu().numpy() for name in checks[0]},
        pictures=np.stack([pictures[key] for key in judge.pictures]) if judge.pictures else empty,
        local=np.zeros((2, 0)) if judge.local is None else judge.local(crops),
    )


def respond(method: Method, asked: Asked) -> tuple[list[Moved], Tensor | None]:
    """The answers to all requests, and to the null request as the method itself gives it, if it can."""
    questions = asked.questions
    if not method.open_ended:
        return method.moved(questions), None
    raw = method.respond(questions._replace(requests=[*questions.requests, asked.facts.pa]))
    return Method(lambda _: raw[:-1]).moved(questions), raw[-1].image


def checks_of(
    method: Method, pretrained: ImageMechanism | None, asked: Asked, image: Tensor, null: Tensor | None
) -> ByImage:
    """Axioms and likelihoods of one batch, those that the method has."""
    requested = in_turn(asked)
    found = likelihoods(method, pretrained, asked, image, requested) | spread(method, asked, requested)
    if null is not None:
        found |= composition(asked.facts.image, null) | reversibility(method, asked, image, requested)
    return found


def chosen_pictures(
    asked: Asked, answers: list[Tensor], wanted: tuple[Site, ...]
) -> dict[Site, np.ndarray]:
    """Those answers of a batch that figures show."""
    rows = {place: row for row, place in enumerate(asked.places.tolist())}
    return {(i, v): answers[v][rows[i]].cpu().numpy() for i, v in wanted if i in rows}


def axioms_of(checks: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """`composition`, `reversibility`, `spread` and the likelihoods of `realism`, as metrics.json has them.

    A method that answers alike each time has no spread.

    >>> axioms_of({"composition": np.zeros(2), "nelbo": np.ones(2)})
    {'composition': 0.0, 'realism': {'nelbo': 1.0}}
    """
    means = {name: float(values.mean()) for name, values in checks.items()}
    axioms = ("composition", "reversibility", "spread")
    outside: dict[str, Any] = {name: means.pop(name) for name in axioms if name in means}
    if outside.get("spread", 1) < 1e-7:  # of the intensity range: rounding
        del outside["spread"]
    return {**outside, "realism": means}


@torch.inference_mode()
def factual_crops(
    wanted: Collection[Site], batches: Iterable[Asked], parents: Parents, judge: Segmentor
) -> dict[Site, Float[Tensor, "channel *crop"]]:
    """Crops of the factual images around each variable's structure."""
    found: dict[Site, Tensor] = {}
    for asked in batches:
        found |= crops_of(asked, [asked.facts.image] * asked.facts.measured, parents, judge, wanted)
    return found


@torch.inference_mode()
def factual_features(judge: Segmentor, batches: Iterable[Asked]) -> Float[np.ndarray, "image feature"]:
    """The judge's features of the factual images."""
    return np.concatenate([judge.features(asked.facts.image).cpu().numpy() for asked in batches])
