"""What an intervention did, image by image: measured by guide and judge, and compared pixel by pixel."""

from collections.abc import Sequence

import polars as pl
import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy import hard
from segue.anatomy.reach import far_change
from segue.causal.facts import Facts
from segue.causal.parents import Parents, SoftMasks
from segue.evaluation.asked import Asked
from segue.evaluation.folding import folded
from segue.evaluation.truth import distances
from segue.mechanisms.base import Moved


def effect_rows(
    answers: Sequence[Moved], parents: Parents, judge: SoftMasks, asked: Asked
) -> pl.DataFrame:
    """One row for each image x variable: what was asked, what guide and judge measured, and where the image changed.

    Columns: image, variable; factual, requested, guide, judge, judge_factual (in the unit); `moved/NAME`, change of
    each variable by the judge in sd; `off_target`, mean |change| of the others; `outside`, `total`, sums of |x* - x|
    where the region's weight is below one half and everywhere; `far`, that sum far from the structure's outlines in x
    and x*, which the judge draws; `change_outside`, `change_inside`, means of |x* - x| as shares of the intensity
    range. Where the truth is known, those of `distance_columns` too; `folding` where a method moves.

    Args:
        answers: x* of each variable, with displacements of a method that moves.
    """
    facts, names = asked.facts, parents.variables.names
    before = judge.soft(facts.image)
    measured_before = parents.measure(before, facts.image, facts)
    parts = []
    for v, (image, displacement) in enumerate(answers):
        after, structure = judge.soft(image), int(parents.structure_of[v])
        outlined = [hard(soft)[:, 1 + structure].bool() for soft in (before, after)]
        columns = {
            "requested": asked.values[:, v],
            "guide": areas_by(parents.segmentor, facts, image, parents)[:, v],
            **moved_columns(asked, v, parents, measured_before, parents.measure(after, image, facts)),
            **change(facts.image, image, facts.weights[:, v]),
            "far": far_change(facts.image, image, *outlined),
            **({} if displacement is None else {"folding": folded(displacement)}),
            **distance_columns(asked, v, image),
        }
        parts.append(image_table(asked, columns).with_columns(variable=pl.lit(names[v])))
    return pl.concat(parts)


def moved_columns(asked: Asked, v: int, parents: Parents, before: Tensor, after: Tensor) -> dict[str, Tensor]:
    """What the judge measures of x and x* when the v-th variable is requested, and how far each variable moved.

    Args:
        before, after: areas (batch, measured).
    """
    names = parents.variables.names
    moved = (after - before) / parents.sd[: len(names)]
    others = [w for w in range(len(names)) if w != v]
    return {
        "factual": asked.facts.pa[:, v],
        "judge": after[:, v],
        "judge_factual": before[:, v],
        "off_target": moved[:, others].abs().mean(1) if others else torch.zeros(len(moved)),
        **{f"moved/{name}": moved[:, w] for w, name in enumerate(names)},
    }


def distance_rows(answers: Sequence[Tensor], asked: Asked) -> pl.DataFrame:
    """How far from the truth answers are, without a judge: image, and the columns of `distance_columns`."""
    return pl.concat(image_table(asked, distance_columns(asked, v, image)) for v, image in enumerate(answers))


def distance_columns(asked: Asked, variable: int, image: Tensor) -> dict[str, Tensor]:
    """`well_posed`, and the `distances` of an answer from the true one; {} where that is not known."""
    if asked.truth is None:
        return {}
    truth, region = asked.truth.image[:, variable], asked.facts.weights[:, variable]
    return {"well_posed": asked.truth.well_posed[:, variable], **distances(image, truth, region)}


def image_table(asked: Asked, columns: dict[str, Tensor]) -> pl.DataFrame:
    """Columns with one value an image."""
    ready = {name: (c if c.dtype == torch.bool else c.double()).cpu().numpy() for name, c in columns.items()}
    return pl.DataFrame(ready).with_columns(image=pl.Series(asked.places.tolist()))


def areas_by(
    segmentor: SoftMasks, facts: Facts, image: Tensor, parents: Parents
) -> Float[Tensor, "batch measured"]:
    """What a segmentor measures on an image in the regions of the facts."""
    return parents.measure(segmentor.soft(image), image, facts)


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
