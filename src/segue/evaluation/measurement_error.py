"""Measurement error of the segmentors on the test subjects: no method can be expected to have a smaller error."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from monai.metrics import compute_dice
from torch import Tensor

from segue.anatomy import hard
from segue.causal.parents import Parents, SoftMasks


@torch.inference_mode()
def measurement_error(
    segmentor: SoftMasks, parents: Parents, batches: Iterator[dict[str, Tensor]]
) -> dict[str, Any]:
    """Dice by structure, and |area - area of the masks| by variable, in the unit and in training sd.

    `sd_of_masks` is the standard deviation of the masks' areas over these images, in the unit: 0 for a single image.

    Areas are measured as the study measures them, in regions of the guide's segmentation. The true areas are measured
    in regions of the masks.

    Args:
        segmentor: whose error. parents: the study's variables, with the guide.
        batches: image (batch, channel, *space), fractions (batch, structure, *space), pixel_area (batch,),
            and perhaps spacing (batch, dims).
    """
    # MONAI's class DiceMetric would wait for all processes; only the main process is here
    dice, errors, truths = [], [], []
    for batch in batches:
        image, fractions = batch["image"], batch["fractions"]
        pixels = batch["pixel_area"], batch.get("spacing")
        soft, size = segmentor.soft(image), tuple(image.shape[2:])
        dice.append(compute_dice(hard(soft), hard(fractions), include_background=False, ignore_empty=True))
        regions = parents.weights(parents.factual(image, *pixels).frames, size)
        truth = parents.read(fractions, image, *pixels).areas
        truths.append(truth)
        errors.append((parents.variables.measure(soft, image, regions, *pixels) - truth).abs())
    by_structure = torch.cat(dice).nanmean(0).tolist()  # NaN if no image has the structure
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
        "sd_of_masks": dict(zip(names, torch.cat(truths).std(0, correction=0).tolist(), strict=True)),
    }
