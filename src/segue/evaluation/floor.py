"""How well guide and judge segment the test subjects: no effectiveness can be better than that."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from monai.metrics import compute_dice
from torch import Tensor

from segue.anatomy import measure
from segue.causal.parents import Parents, SoftMasks


@torch.inference_mode()
def floor(segmentor: SoftMasks, parents: Parents, batches: Iterator[dict[str, Tensor]]) -> dict[str, Any]:
    """Dice by structure, and |area - area by the masks| by variable, in the unit and in training sd.

    The areas are those that the study uses: regions from the guide's segmentation; the truth has its regions from the
    masks themselves.
    """
    dice, errors = [], []  # the function, since MONAI's class of that name waits for all processes, which are elsewhere
    for batch in batches:
        image, fractions, pixel_area = batch["image"], batch["fractions"], batch["pixel_area"]
        soft, size = segmentor.soft(image), tuple(image.shape[2:])
        dice.append(compute_dice(hard(soft), hard(fractions), include_background=False, ignore_empty=True))
        regions = parents.weights(parents.factual(image, pixel_area).frames, size)
        true_regions = parents.weights(parents.variables.frames(fractions), size)
        truth = measure(fractions, true_regions, parents.structure_of, pixel_area)
        errors.append((measure(soft, regions, parents.structure_of, pixel_area) - truth).abs())
    by_structure = torch.cat(dice).nanmean(0).tolist()  # NaN where no image has the structure
    error = torch.cat(errors).mean(0)
    error_sd = error / parents.sd[: len(error)]
    names = parents.variables.names
    return {
        "dice": {
            name: value if math.isfinite(value) else None
            for name, value in zip(parents.variables.structures, by_structure, strict=True)
        },
        "error": dict(zip(names, error.tolist(), strict=True)),
        "error_sd": dict(zip(names, error_sd.tolist(), strict=True)),
    }


def hard(soft: Tensor) -> Tensor:
    """One-hot (background first) of the likeliest class."""
    full = torch.cat([1 - soft.sum(1, keepdim=True), soft], dim=1)
    return torch.nn.functional.one_hot(full.argmax(1), full.shape[1]).movedim(-1, 1).float()
