"""How often an answer is in the category that was asked, of measurements with categories of the clinic."""

from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from segue.anatomy.measurement import Categories

__all__ = ["category_agreement", "confusion"]


def confusion(
    asked: Float[np.ndarray, " answer"], found: Float[np.ndarray, " answer"], categories: Categories
) -> Int[np.ndarray, "asked found"]:
    """How many answers of each category that was asked (rows) were found in each category (columns).

    >>> from segue.anatomy.measurement.stenosis import CAD_RADS
    >>> confusion(np.array([0.6, 0.6, 0.8]), np.array([0.55, 0.4, 0.9]), CAD_RADS)[3].tolist()
    [0, 0, 1, 1, 0, 0]
    """
    counts = np.zeros((len(categories.names), len(categories.names)), dtype=int)
    np.add.at(counts, (categories.of(asked), categories.of(found)), 1)
    return counts


def category_agreement(effects: pl.DataFrame, categories: Categories) -> dict[str, Any]:
    """The mean error of the requests in points, the share of answers in the requested category, and which category was
    found for each that was asked. Where it is known which requests are well-posed, of these alone.

    Args:
        effects: rows of one variable, with requested and judge (`segue.evaluation.effect.effect_rows`).

    >>> from segue.anatomy.measurement.stenosis import CAD_RADS
    >>> rows = pl.DataFrame({"requested": [0.6, 0.8], "judge": [0.5, 0.9]})
    >>> told = category_agreement(rows, CAD_RADS)
    >>> told["requests"], round(told["points"], 3), told["in_category"], told["confusion"][3]
    (2, 10.0, 1.0, [0, 0, 0, 1, 0, 0])
    """
    if "well_posed" in effects.columns:
        effects = effects.filter("well_posed")
    if not len(effects):
        return {}
    asked, found = (effects[name].to_numpy() for name in ("requested", "judge"))
    counts = confusion(asked, found, categories)
    return {
        "requests": len(asked),
        "points": float(categories.points * np.abs(found - asked).mean()),
        "in_category": float(np.trace(counts) / len(asked)),
        "confusion": counts.tolist(),
    }
