"""How far an answer is from the true counterfactual, where the cohort knows it."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float
from monai.metrics.regression import compute_ssim_and_cs
from torch import Tensor

from segue.evaluation.metrics import bootstrap_ci

PARTS = ("", "_inside", "_outside")
WINDOW, WINDOW_SD = 11, 1.5  # of structural similarity, as its authors chose


class Truth(NamedTuple):
    """The true counterfactual of each image for each of its requests.

    Attributes:
        image: scaled to [-1, 1]. well_posed: whether the factual image determines the answer.
    """

    image: Float[Tensor, "batch measured channel *space"]
    well_posed: Bool[Tensor, "batch measured"]


def distances(
    image: Float[Tensor, "batch channel *space"],
    truth: Float[Tensor, "batch channel *space"],
    region: Float[Tensor, "batch *space"],
) -> dict[str, Float[Tensor, " batch"]]:
    """Mean absolute and squared difference, in shares of the intensity range, and SSIM: everywhere, in and outside.

    Inside is where the region's weight is one half or more; NaN where there is no such pixel.
    """
    difference = (image - truth) / 2
    maps = {
        "truth_mae": difference.abs().mean(1),
        "truth_mse": difference.square().mean(1),
        "truth_ssim": similarity(image, truth).mean(1),
    }
    inside = region >= 0.5
    masks = dict(zip(PARTS, (torch.ones_like(inside), inside, ~inside), strict=True))
    return {
        name + part: (values * mask).flatten(1).sum(1) / mask.flatten(1).sum(1)
        for part, mask in masks.items()
        for name, values in maps.items()
    }


def similarity(
    image: Float[Tensor, "batch channel *space"], truth: Float[Tensor, "batch channel *space"]
) -> Float[Tensor, "batch channel *space"]:
    """The map of structural similarity (Wang et al., IEEE TIP 2004), the image mirrored at its border."""
    dims = image.ndim - 2
    pad = [min(WINDOW, *(2 * side - 1 for side in image.shape[2:])) // 2] * (2 * dims)
    image, truth = (torch.nn.functional.pad(one, pad, mode="reflect") for one in (image, truth))
    window = [2 * pad[0] + 1] * dims
    found, _ = compute_ssim_and_cs(image, truth, dims, window, [WINDOW_SD] * dims, data_range=2.0)
    return found


def summarise_distances(
    table: pl.DataFrame, *, span: float, subjects: Sequence[str], bootstrap: int, seed: int
) -> dict[str, Any]:
    """The `truth` of one method, over its well-posed requests; None where none is, or a PSNR would be infinite.

    Args:
        table: with the columns of `distances`, `well_posed` and `image`.
        span: length of the intensity range, in raw units. subjects: of each image index.
    """
    table = table.filter(pl.col("well_posed"))
    found: dict[str, Any] = {}
    for part in PARTS:
        mae, mse, ssim = (known_mean(table[f"truth_{key}{part}"]) for key in ("mae", "mse", "ssim"))
        # of the mean squared error: one request met exactly would make a mean of PSNRs infinite
        psnr = -10 * math.log10(mse) if mse else None
        found |= {f"mae{part}": None if mae is None else span * mae, f"psnr{part}": psnr, f"ssim{part}": ssim}
    of = np.array([subjects[i] for i in table["image"]])
    by_request = span * table["truth_mae"].to_numpy()
    interval = list(bootstrap_ci(by_request, of, draws=bootstrap, seed=seed)) if len(table) else None
    return {"n_requests": len(table), **found, "ci95": interval}


def known_mean(column: pl.Series) -> float | None:
    """The mean of what is not NaN; None where nothing is."""
    values = column.to_numpy()
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
