"""What an intervention did, image by image: measured by guide and judge, and compared pixel by pixel."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.anatomy import measure
from segue.causal.facts import Facts
from segue.causal.parents import Parents, SoftMasks
from segue.engine.model import predict
from segue.evaluation.truth import Truth, distances
from segue.mechanisms.hvae import ImageMechanism
from segue.nets.segmentor import Segmentor


class Asked(NamedTuple):
    """A batch of factual images with one request for each measured variable.

    Attributes:
        chosen: places in the store. image: scaled to [-1, 1]. pa: parents. weights: regions, held fixed.
        values: requested, one a variable. truth: the true answers, where the cohort knows them.
    """

    chosen: Int[Tensor, " batch"]
    image: Float[Tensor, "batch channel *space"]
    pa: Float[Tensor, "batch variable"]
    weights: Float[Tensor, "batch measured *space"]
    pixel_area: Float[Tensor, " batch"]
    values: Float[Tensor, "batch measured"]
    truth: Truth | None = None

    @property
    def facts(self) -> Facts:
        """What is known of the images before anything is asked."""
        return Facts(self.image, self.pa, self.weights, self.pixel_area)


Answers = Callable[[Asked], list[Tensor]]
"""A method: from a batch to its counterfactuals (batch, channel, *space), one a variable."""


def draw_requests(measured: Float[Tensor, "image measured"], seed: int) -> Float[Tensor, "image measured"]:
    """For each image and variable a value that another image has: the marginal, by permutation without fixed points."""
    generator = torch.Generator().manual_seed(seed)
    requests = torch.empty_like(measured)
    for column in range(measured.shape[1]):
        order = torch.randperm(len(measured), generator=generator)
        requests[order, column] = measured[order.roll(1), column]
    return requests


def answers(mechanism: ImageMechanism, particles: int, sample: bool = False) -> Answers:
    """What an image mechanism answers, each image abducted once (`predict` says how)."""

    def ask(asked: Asked) -> list[Tensor]:
        requests = [act(asked.pa, v, asked.values[:, v]) for v in range(asked.values.shape[1])]
        return predict(mechanism, asked.facts, requests, particles=particles, sample=sample)

    return ask


@torch.inference_mode()
def translated(asked: Asked, parents: Parents) -> Asked:
    """The same questions in the regions of other `parents`: each asks for the same *change* of its variable.

    An area is another area where the region is cut elsewhere, before anything is asked: its value does not translate.
    Areas do not go below zero.
    """
    areas, frames = parents.factual(asked.image, asked.pixel_area)
    before, given = asked.pa.split([areas.shape[1], asked.pa.shape[1] - areas.shape[1]], dim=1)
    return asked._replace(
        pa=torch.cat([areas, given], dim=1),
        values=(areas + asked.values - before).clamp_min(0),
        weights=parents.weights(frames, tuple(asked.image.shape[2:])),
    )


def oracle(asked: Asked) -> list[Tensor]:
    """The true counterfactuals."""
    assert asked.truth is not None
    return list(asked.truth.image.unbind(1))


def nothing(asked: Asked) -> list[Tensor]:
    """The factual image, whatever was asked."""
    return [asked.image] * asked.values.shape[1]


def effects(
    mechanism: ImageMechanism, judge: Segmentor, batches: Iterator[Asked], *, particles: int
) -> pl.DataFrame:
    """`judged` of an image mechanism."""
    return judged(answers(mechanism, particles), mechanism.parents, judge, batches)


@torch.inference_mode()
def judged(answer: Answers, parents: Parents, judge: Segmentor, batches: Iterator[Asked]) -> pl.DataFrame:
    """One row for each image x variable: what was asked, what guide and judge measured, and where the image changed.

    Columns: image, variable; factual, requested, guide, judge, judge_factual (in the unit); `moved/NAME`, change of
    each variable by the judge in sd; `off_target`, mean |change| of the others; `outside`, `total`, sums of |x* - x|
    where the region's weight is below one half and everywhere; `change_outside`, `change_inside`, their means as shares
    of the intensity range.
    Where the truth is known, those of `from_truth` too.
    """
    return pl.concat([rows(answer, parents, judge, asked) for asked in batches])


def rows(answer: Answers, parents: Parents, judge: Segmentor, asked: Asked) -> pl.DataFrame:
    """`judged` of one batch."""
    x, names = asked.image, parents.variables.names
    before = areas(judge, asked, x, parents)
    parts = []
    for v, image in enumerate(answer(asked)):
        after = areas(judge, asked, image, parents)
        moved = (after - before) / parents.sd[: len(names)]
        others = [w for w in range(len(names)) if w != v]
        columns = {
            "factual": asked.pa[:, v],
            "requested": asked.values[:, v],
            "guide": areas(parents.segmentor, asked, image, parents)[:, v],
            "judge": after[:, v],
            "judge_factual": before[:, v],
            "off_target": moved[:, others].abs().mean(1) if others else torch.zeros(len(x)),
            **{f"moved/{name}": moved[:, w] for w, name in enumerate(names)},
            **change(x, image, asked.weights[:, v]),
            **from_truth(asked, v, image),
        }
        parts.append(table(asked, columns).with_columns(variable=pl.lit(names[v])))
    return pl.concat(parts)


@torch.inference_mode()
def distances_of(answer: Answers, batches: Iterator[Asked]) -> pl.DataFrame:
    """How far from the truth answers are, without a judge: image, and the columns of `from_truth`."""
    return pl.concat(
        table(asked, from_truth(asked, v, image))
        for asked in batches
        for v, image in enumerate(answer(asked))
    )


def from_truth(asked: Asked, variable: int, image: Tensor) -> dict[str, Tensor]:
    """`well_posed`, and the `distances` of an answer from the true one; {} where that is not known."""
    if asked.truth is None:
        return {}
    truth, region = asked.truth.image[:, variable], asked.weights[:, variable]
    return {"well_posed": asked.truth.well_posed[:, variable], **distances(image, truth, region)}


def table(asked: Asked, columns: dict[str, Tensor]) -> pl.DataFrame:
    """Columns with one value an image."""
    ready = {name: (c if c.dtype == torch.bool else c.double()).cpu().numpy() for name, c in columns.items()}
    return pl.DataFrame(ready).with_columns(image=pl.Series(asked.chosen.tolist()))


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
