"""What is usual of a model's measurements and answers, on validation images: for intervals and doubts of verdicts."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.cohort import Store
from segue.engine.answer import Abducted, infer_images, predictions
from segue.engine.method import set_one
from segue.engine.model import Model
from segue.engine.typical import UsualAnswers
from segue.pipeline.read_inputs import read_inputs

REACH_QUANTILE = 0.95


@torch.inference_mode()
def usual_answers(model: Model, store: Store, rows: Int[np.ndarray, " image"]) -> UsualAnswers:
    """Measured on images of a store: the guide's error, and the reach of plain requests that are met.

    Each variable of each image is asked to be one standard deviation larger, or smaller on every second image.

    Args:
        rows: validation images.
    """
    errors, reaches = [], []
    for inputs, read in read_inputs(model, store, rows, title="usual answers", fractions=True):
        known = infer_images(model, inputs)
        errors.append(errors_of(model, known, read["fractions"].to(known.soft)))
        reaches.append(torch.stack(list(reach_of_each(model, known)), dim=1))
    squared, reach = torch.cat(errors).square().mean(0), torch.cat(reaches)
    return UsualAnswers(squared.sqrt().cpu(), reach.nanquantile(REACH_QUANTILE, dim=0).nan_to_num(0.0).cpu())


def errors_of(
    model: Model, known: Abducted, fractions: Float[Tensor, "batch structure *space"]
) -> Float[Tensor, "batch measured"]:
    """The guide's areas less those of the masks, each in regions of its own."""
    facts = known.facts
    masks = model.parents.read(fractions, facts.image, facts.pixel_area, facts.spacing)
    return facts.pa[:, : facts.measured] - masks.areas


def reach_of_each(model: Model, known: Abducted) -> Iterator[Float[Tensor, " batch"]]:
    """For each variable the reach of the answers; NaN where one is not met."""
    facts, everyone = known.facts, torch.arange(len(known.raw), device=model.device)
    sign = 1.0 - 2.0 * (everyone % 2)
    for v in range(facts.measured):
        asked = set_one(facts.pa, v, facts.pa[:, v] + sign * model.space.sd[v])
        said = [one for found in predictions(model, known, everyone, asked) for one in found.verdicts]
        yield torch.tensor([one.reach if one.met and one.reach is not None else torch.nan for one in said])
