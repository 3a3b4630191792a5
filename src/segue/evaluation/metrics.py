"""From rows of effects to metrics.json: means by variable, with bootstrap intervals over subjects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

KEYS = ("error", "error_sd", "off_target_sd", "leakage", "change_outside", "change_inside", "guide_error_sd")
WELL_POSED, WELL_POSED_ERROR = "well_posed", "error_sd_well_posed"


def summarise(
    effects: pl.DataFrame, *, sd: dict[str, float], subjects: Sequence[str], bootstrap: int, seed: int
) -> dict[str, Any]:
    """The `variables` and `mean` of one method (the contract is in the docs, "metrics.json").

    Args:
        effects: as `segue.evaluation.effect.effects` gives them.
        sd: training sd of each variable. subjects: of each image index.
    """
    variables: dict[str, dict[str, Any]] = {}
    for name, deviation in sd.items():
        table = effects.filter(pl.col("variable") == name)
        error = (table["judge"] - table["requested"]).abs().to_numpy()
        of = np.array([subjects[i] for i in table["image"]])
        low, high = bootstrap_ci(error / deviation, of, draws=bootstrap, seed=seed)
        variables[name] = {
            "error": float(error.mean()),
            "error_sd": float(error.mean() / deviation),
            "ci95": [low, high],
            "off_target_sd": mean(table["off_target"]),
            "leakage": share(table),
            "change_outside": mean(table["change_outside"]),
            "change_inside": mean(table["change_inside"]),
            "guide_error_sd": mean((table["guide"] - table["requested"]).abs()) / deviation,
            "moved": {other: mean(table[f"moved/{other}"].abs()) for other in sd},
            **well_posed_error(table, deviation),
        }
    overall: dict[str, Any] = {key: float(np.mean([v[key] for v in variables.values()])) for key in KEYS}
    deviations = np.array([sd[name] for name in effects["variable"]])
    errors = (effects["judge"] - effects["requested"]).abs().to_numpy() / deviations
    of = np.array([subjects[i] for i in effects["image"]])
    overall["ci95"] = list(bootstrap_ci(errors, of, draws=bootstrap, seed=seed))
    off_target = effects["off_target"].to_numpy()
    overall["off_target_ci95"] = list(bootstrap_ci(off_target, of, draws=bootstrap, seed=seed))
    overall["leakage_ci95"] = list(leakage_ci(effects, list(sd), subjects, draws=bootstrap, seed=seed))
    if WELL_POSED in effects.columns:
        known = [v[WELL_POSED_ERROR] for v in variables.values() if v[WELL_POSED_ERROR] is not None]
        overall[WELL_POSED_ERROR] = float(np.mean(known)) if known else None
    return {"variables": variables, "mean": overall}


def well_posed_error(table: pl.DataFrame, deviation: float) -> dict[str, float | None]:
    """`error_sd` over the well-posed requests alone, None where none is; {} where that is not known."""
    if WELL_POSED not in table.columns:
        return {}
    well = table.filter(pl.col(WELL_POSED))
    return {WELL_POSED_ERROR: mean((well["judge"] - well["requested"]).abs()) / deviation if len(well) else None}


def mean(column: pl.Series) -> float:
    return float(column.to_numpy().mean())


def share(effects: pl.DataFrame) -> float:
    """Leakage: all |x* - x| outside the region over all |x* - x|; 0 where nothing changed at all."""
    total = float(effects["total"].sum())
    return float(effects["outside"].sum()) / total if total > 0 else 0.0


def leakage_ci(
    effects: pl.DataFrame, names: Sequence[str], subjects: Sequence[str], *, draws: int, seed: int
) -> tuple[float, float]:
    """The interval of the mean over variables of each one's `share`: the same subjects are drawn for all of them."""
    shares = []
    for name in names:
        table = effects.filter(pl.col("variable") == name)
        of = np.array([subjects[i] for i in table["image"]])
        outside, total = (table[key].to_numpy() for key in ("outside", "total"))
        shares.append(resampled(outside, of, per=total, draws=draws, seed=seed))
    return percentiles(np.mean(shares, axis=0))


def bootstrap_ci(
    values: Float[np.ndarray, " row"], subjects: np.ndarray, *, draws: int, seed: int
) -> tuple[float, float]:
    """The 95% percentile interval of the mean, whole subjects drawn with replacement (Efron 1979)."""
    return percentiles(resampled(values, subjects, draws=draws, seed=seed))


def resampled(
    values: Float[np.ndarray, " row"],
    subjects: np.ndarray,
    *,
    per: Float[np.ndarray, " row"] | None = None,
    draws: int,
    seed: int,
) -> Float[np.ndarray, " draw"]:
    """The sum of `values` over that of `per` (the mean, without it) in each draw of whole subjects with replacement; 0
    where `per` is."""
    _, group = np.unique(subjects, return_inverse=True)
    sums, counts = np.bincount(group, weights=values), np.bincount(group, weights=per)
    n = len(counts)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
    whole = (drawn @ counts).astype(float)
    return np.divide(drawn @ sums, whole, out=np.zeros(draws), where=whole > 0)


def percentiles(draws: Float[np.ndarray, " draw"]) -> tuple[float, float]:
    """What holds 95% of the draws."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)
