"""The CAD-RADS 2.0 category of a diameter stenosis, and how often an answer is in the category that was asked.

Cury et al., CAD-RADS 2.0, J Cardiovasc Comput Tomogr 2022;16:536: 0%, 1-24%, 25-49%, 50-69%, 70-99%, 100%. Category 4
is not divided into 4A and 4B, which depends on the number of vessels. One vessel makes no CAD-RADS of a patient.
"""

from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float, Int

__all__ = ["CATEGORIES", "cad_rads", "confusion", "stenosis_agreement"]

CATEGORIES = ("0", "1", "2", "3", "4", "5")
STARTS = (0.005, 0.245, 0.495, 0.695, 0.995)
"""The stenosis at which categories 1 to 5 begin: percentages are rounded to whole ones, as they are reported."""


def cad_rads(stenosis: Float[np.ndarray, " answer"]) -> Int[np.ndarray, " answer"]:
    """The category of each stenosis, 0 to 5.

    >>> cad_rads(np.array([-0.1, 0.2, 0.247, 0.494, 0.5, 0.7, 1.0])).tolist()
    [0, 1, 2, 2, 3, 4, 5]
    """
    return np.digitize(stenosis, STARTS)


def confusion(
    asked: Float[np.ndarray, " answer"], found: Float[np.ndarray, " answer"]
) -> Int[np.ndarray, "asked found"]:
    """How many answers of each category that was asked (rows) were found in each category (columns).

    >>> confusion(np.array([0.6, 0.6, 0.8]), np.array([0.55, 0.4, 0.9]))[3].tolist()
    [0, 0, 1, 1, 0, 0]
    """
    counts = np.zeros((len(CATEGORIES), len(CATEGORIES)), dtype=int)
    np.add.at(counts, (cad_rads(asked), cad_rads(found)), 1)
    return counts


def stenosis_agreement(effects: pl.DataFrame) -> dict[str, Any]:
    """The mean error of requests of a stenosis, in points, the share of answers in the requested category, and which
    category was found for each that was asked.

    Args:
        effects: rows of one variable, with requested and judge (`segue.evaluation.effect.effect_rows`).

    >>> rows = pl.DataFrame({"requested": [0.6, 0.8], "judge": [0.5, 0.9]})
    >>> told = stenosis_agreement(rows)
    >>> round(told["points"], 3), told["in_category"], told["confusion"][3]
    (10.0, 1.0, [0, 0, 0, 1, 0, 0])
    """
    asked, found = (effects[name].to_numpy() for name in ("requested", "judge"))
    counts = confusion(asked, found)
    points, same = 100 * np.abs(found - asked).mean(), np.trace(counts) / max(len(asked), 1)
    return {"points": float(points), "in_category": float(same), "confusion": counts.tolist()}
