"""Distance of an answer from the true counterfactual, for cohorts whose true counterfactuals are known."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from segue.evaluation.bootstrap import Bootstrap
from segue.evaluation.metric.truth import SCOPES

WINDOW, WINDOW_SD = 11, 1.5  # pixels; of structural similarity, the values of its authors


class Truth(NamedTuple):
    """The true counterfactual of each image for each of its requests.

    Attributes:
        image: scaled to [-1, 1]. well_posed: whether the factual image determines the answer.
    """

    image: Float[Tensor, "batch measured channel *space"]
    well_posed: Bool[Tensor, "batch measured"]


def posed_beside_nothing(effects: pl.DataFrame, still: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """The rows of well-posed requests with `nothing`, the factual image's distance, and the ratio of both sums.

    Args:
        effects: rows with `truth_mae` and `well_posed`. still: those of the factual images, in the same order.

    >>> answers = pl.DataFrame({"truth_mae": [1.0, 9.0], "well_posed": [True, False]})
    >>> posed_beside_nothing(answers, pl.DataFrame({"truth_mae": [2.0, 9.0]}))[1]
    0.5
    """
    posed = effects.with_columns(nothing=still["truth_mae"]).filter(pl.col("well_posed"))
    answers, nothing = posed.select("truth_mae", "nothing").to_numpy().sum(0)
    return posed, float(answers / nothing)


def distances(
    image: Float[Tensor, "batch channel *space"],
    truth: Float[Tensor, "batch channel *space"],
    region: Float[Tensor, "batch *space"],
) -> dict[str, Float[Tensor, " batch"]]:
    """Mean absolute and squared difference, in shares of the intensity range, and SSIM: of all pixels, inside, outside.

    Inside: the region's weight is one half or more. NaN if there is no such pixel.

    >>> image, truth = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    >>> image[..., :8] = 1.0  # of the range [-1, 1]
    >>> distances(image, truth, region=torch.ones(1, 16, 16))["truth_mae"]
    tensor([0.2500])
    """
    difference = (image - truth) / 2
    maps = {
        "truth_mae": difference.abs().mean(1),
        "truth_mse": difference.square().mean(1),
        "truth_ssim": similarity(image, truth).mean(1),
    }
    inside = region >= 0.5
    masks = dict(zip(SCOPES, (torch.ones_like(inside), inside, ~inside), strict=True))
    return {
        name + part: (values * mask).flatten(1).sum(1) / mask.flatten(1).sum(1)
        for part, mask in masks.items()
        for name, values in maps.items()
    }


def similarity(
    image: Float[Tensor, "batch channel *space"], truth: Float[Tensor, "batch channel *space"]
) -> Float[Tensor, "batch channel *space"]:
    """The map of structural similarity (Wang et al., IEEE TIP 2004); images are mirrored at their border."""
    from monai.metrics.regression import compute_ssim_and_cs  # with which all of MONAI is imported

    dims = image.ndim - 2
    pad = [min(WINDOW, *(2 * side - 1 for side in image.shape[2:])) // 2] * (2 * dims)
    image, truth = (torch.nn.functional.pad(one, pad, mode="reflect") for one in (image, truth))
    window = [2 * pad[0] + 1] * dims
    found, _ = compute_ssim_and_cs(image, truth, dims, window, [WINDOW_SD] * dims, data_range=2.0)
    return found


def summarise_distances(
    table: pl.DataFrame, *, span: float | np.ndarray, subjects: Sequence[str], bootstrap: int, seed: int
) -> dict[str, Any]:
    """The `truth` of one method, over its well-posed requests; None if no request is, or if a PSNR is infinite.

    Args:
        table: with the columns of `distances`, `well_posed` and `image`.
        span: length of the intensity range, in raw units: of all images, or of each image index.
        subjects: of each image index.
    """
    table = table.filter(pl.col("well_posed"))
    spans = np.broadcast_to(span, len(subjects))[table["image"].to_numpy().astype(int)]
    found: dict[str, Any] = {}
    for part in SCOPES:
        mae, mse, ssim = (table[f"truth_{key}{part}"] for key in ("mae", "mse", "ssim"))
        in_raw_units, mean_square = known_mean(spans * mae.to_numpy()), known_mean(mse)
        # PSNR of the mean squared error: the mean of PSNRs is infinite as soon as one answer is exact
        psnr = -10 * math.log10(mean_square) if mean_square else None
        found |= {f"mae{part}": in_raw_units, f"psnr{part}": psnr, f"ssim{part}": known_mean(ssim)}
    by_request = spans * table["truth_mae"].to_numpy()
    interval = Bootstrap(subjects, bootstrap, seed).interval(by_request, table["image"]) if len(table) else None
    return {"n_requests": len(table), **found, "ci95": interval}


def known_mean(column: pl.Series | np.ndarray) -> float | None:
    """The mean of the values that are not NaN; None if there are none.

    >>> known_mean(pl.Series([1.0, math.nan, 2.0]))
    1.5
    """
    values = np.asarray(column)
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
