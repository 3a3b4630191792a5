"""What an intervention did, image by image: measured by guide and judge, and compared pixel by pixel."""

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.anatomy import measure
from segue.causal.mechanism import ImageMechanism, elbo
from segue.causal.parents import Parents, SoftMasks
from segue.counterfactual import predict
from segue.nets.segmentor import Segmentor


class Asked(NamedTuple):
    """A batch of factual images with one request for each measured variable.

    Attributes:
        chosen: places in the store. image: scaled to [-1, 1]. pa: parents. weights: regions, held fixed.
        values: requested, one a variable.
    """

    chosen: Int[Tensor, " batch"]
    image: Float[Tensor, "batch channel *space"]
    pa: Float[Tensor, "batch variable"]
    weights: Float[Tensor, "batch measured *space"]
    pixel_area: Float[Tensor, " batch"]
    values: Float[Tensor, "batch measured"]


def draw_requests(measured: Float[Tensor, "image measured"], seed: int) -> Float[Tensor, "image measured"]:
    """For each image and variable a value that another image has: the marginal, by permutation without fixed points."""
    generator = torch.Generator().manual_seed(seed)
    requests = torch.empty_like(measured)
    for column in range(measured.shape[1]):
        order = torch.randperm(len(measured), generator=generator)
        requests[order, column] = measured[order.roll(1), column]
    return requests


@torch.inference_mode()
def effects(
    mechanism: ImageMechanism,
    judge: Segmentor,
    batches: Iterator[Asked],
    *,
    particles: int,
) -> pl.DataFrame:
    """One row for each image x variable: what was asked, what guide and judge measured, and where the image changed.

    Columns: image, variable; factual, requested, guide, judge, judge_factual (in the unit); `off_target`, mean
    |change| of the judge's other variables in sd; `outside`, `total`, sums of |x* - x| where the region's weight is
    below one half and everywhere; `change_outside`, `change_inside`, their means as shares of the intensity range.
    """
    frames = [rows(mechanism, judge, asked, particles) for asked in batches]
    return pl.concat(frames)


def rows(mechanism: ImageMechanism, judge: Segmentor, asked: Asked, particles: int) -> pl.DataFrame:
    """`effects` of one batch."""
    parents, x = mechanism.parents, asked.image
    names = parents.variables.names
    before = areas(judge, asked, x, parents)
    requests = [act(asked.pa, v, asked.values[:, v]) for v in range(len(names))]
    images = predict(mechanism, x, asked.pa, asked.weights, requests, particles=particles)
    parts = []
    for v, image in enumerate(images):
        after = areas(judge, asked, image, parents)
        moved = ((after - before) / parents.sd[: len(names)]).abs()
        others = [w for w in range(len(names)) if w != v]
        columns = {
            "factual": asked.pa[:, v],
            "requested": asked.values[:, v],
            "guide": areas(parents.segmentor, asked, image, parents)[:, v],
            "judge": after[:, v],
            "judge_factual": before[:, v],
            "off_target": moved[:, others].mean(1) if others else torch.zeros(len(x)),
            **change(x, image, asked.weights[:, v]),
        }
        table = pl.DataFrame({name: column.cpu().double().numpy() for name, column in columns.items()})
        parts.append(table.with_columns(image=pl.Series(asked.chosen.tolist()), variable=pl.lit(names[v])))
    return pl.concat(parts)


def act(pa: Tensor, variable: int, value: Tensor) -> Float[Tensor, "batch variable"]:
    """pa with one variable set."""
    requested = pa.clone()
    requested[:, variable] = value
    return requested


def areas(
    segmentor: SoftMasks, asked: Asked, image: Tensor, parents: Parents
) -> Float[Tensor, "batch measured"]:
    """What a segmentor measures in the fixed regions."""
    return measure(segmentor.soft(image), asked.weights, parents.structure_of, asked.pixel_area)


def change(
    x: Float[Tensor, "batch channel *space"],
    counterfactual: Float[Tensor, "batch channel *space"],
    region: Float[Tensor, "batch *space"],
) -> dict[str, Float[Tensor, " batch"]]:
    """Where |x* - x| lies, in shares of the intensity range (2, after scaling)."""
    difference = (counterfactual - x).abs().mean(1).flatten(1) / 2
    outside = (region < 0.5).flatten(1).to(difference)
    inside = 1 - outside
    return {
        "outside": (difference * outside).sum(1),
        "total": difference.sum(1),
        "change_outside": (difference * outside).sum(1) / outside.sum(1).clamp_min(1),
        "change_inside": (difference * inside).sum(1) / inside.sum(1).clamp_min(1),
    }


@torch.inference_mode()
def consistency(mechanism: ImageMechanism, batches: Iterator[Asked]) -> dict[str, float]:
    """Axioms of counterfactuals (Monteiro et al., ICLR 2023), in shares of the intensity range, at the posterior mean.

    `composition`: mean |x*(null) - x|. `reversibility`: mean |x' - x|, x' having the value set back to the factual
    after the intervention, from a new abduction of x*; one variable an image, in turn. `nelbo`: nats per pixel of
    the factual images at the posterior's mean.
    """
    sums = {"composition": 0.0, "reversibility": 0.0, "nelbo": 0.0}
    count = 0
    for asked in batches:
        x, pa, weights = asked.image, asked.pa, asked.weights
        turn = torch.arange(len(x)) % weights.shape[1]
        requested = pa.clone()
        requested[torch.arange(len(x)), turn] = asked.values[torch.arange(len(x)), turn]
        null, changed = predict(mechanism, x, pa, weights, [pa, requested])
        (back,) = predict(mechanism, changed, requested, weights, [pa])
        abduction, likelihood = mechanism.abduct(x, pa, weights, sample=False)
        sums["composition"] += float((null - x).abs().flatten(1).mean(1).sum()) / 2
        sums["reversibility"] += float((back - x).abs().flatten(1).mean(1).sum()) / 2
        sums["nelbo"] += float(-elbo(x, abduction, likelihood).sum())
        count += len(x)
    return {name: total / count for name, total in sums.items()}


@torch.inference_mode()
def realism(
    pretrained: ImageMechanism, mechanism: ImageMechanism, batches: Iterator[Asked]
) -> dict[str, float]:
    """The pre-trained model's negative ELBO (nats per pixel) of factual images, and of this method's counterfactuals.

    Each image has one variable set, in turn; a counterfactual that looks like the cohort costs no more than a fact.
    """
    sums = {"nelbo_factual": 0.0, "nelbo_counterfactual": 0.0}
    count = 0
    for asked in batches:
        x, pa, weights = asked.image, asked.pa, asked.weights
        rows_, turn = torch.arange(len(x)), (torch.arange(len(x)) + 1) % weights.shape[1]
        requested = pa.clone()
        requested[rows_, turn] = asked.values[rows_, turn]
        (changed,) = predict(mechanism, x, pa, weights, [requested])
        for name, image, parents in (("nelbo_factual", x, pa), ("nelbo_counterfactual", changed, requested)):
            abduction, likelihood = pretrained.abduct(image, parents, weights, sample=False)
            sums[name] += float(-elbo(image, abduction, likelihood).sum())
        count += len(x)
    return {name: total / count for name, total in sums.items()}
