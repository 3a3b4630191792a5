"""Two yardsticks of an evaluation: the method with the smallest error, and the factual image itself."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

from segue.evaluation.bootstrap import Bootstrap
from segue.evaluation.metric.effects import absolute_error
from segue.evaluation.metrics import summarise

IDEAL = "oracle"
"""The true counterfactual; it does not compete, so it is never the best method."""


def compare(
    methods: Mapping[str, dict[str, Any]], effects: Mapping[str, pl.DataFrame], sd: dict[str, float], draws: Bootstrap
) -> dict[str, Any]:
    """Set `over_best` in the entries of metrics.json that `methods` holds; returns `doing_nothing`.

    >>> rows = pl.DataFrame({"image": [0], "variable": "a", "requested": 4.0, "judge_factual": 1.0, "judge": 4.0})
    >>> methods = {"one": {}, "other": {}}
    >>> worse = rows.with_columns(judge=pl.lit(2.0))
    >>> compare(methods, {"one": rows, "other": worse}, {"a": 2.0}, Bootstrap(["x"], 10, seed=0))["mean"]["error_sd"]
    1.5
    >>> methods
    {'one': {}, 'other': {'over_best': {'value': 1.0, 'ci95': [1.0, 1.0]}}}
    """
    for entry in methods.values():
        entry.pop("over_best", None)
    for name, difference in over_best(effects, sd, draws).items():
        methods[name]["over_best"] = difference
    return doing_nothing(next(iter(effects.values())), sd, draws)


def over_best(
    effects: Mapping[str, pl.DataFrame], sd: Mapping[str, float], draws: Bootstrap
) -> dict[str, dict[str, Any]]:
    """`over_best` of every method but the best: the paired difference of mean errors (sd), and its 95% interval.

    Args:
        effects: the rows of each method (docs/metrics.md, "The rows behind it"). sd: training sd of each variable.

    >>> rows = [pl.DataFrame({"image": [0, 1], "variable": "a", "requested": 4.0, "judge": e}) for e in (5.0, 2.0)]
    >>> over_best({"one": rows[0], "other": rows[1]}, {"a": 2.0}, Bootstrap(["x", "y"], 10, seed=0))
    {'other': {'value': 0.5, 'ci95': [0.5, 0.5]}}
    """
    errors = {name: error_rows(rows, sd) for name, rows in effects.items()}
    means = {name: float(rows["error"].mean()) for name, rows in errors.items() if name != IDEAL}  # type: ignore[arg-type]
    if not means:
        return {}
    best = min(means, key=means.__getitem__)
    found = {}
    for name, rows in errors.items():
        both = rows.join(errors[best], on=["image", "variable"], suffix="_best", maintain_order="left")
        if name != best and len(both):
            behind: Float[np.ndarray, " row"] = (both["error"] - both["error_best"]).to_numpy()
            found[name] = {"value": float(behind.mean()), "ci95": draws.interval(behind, both["image"])}
    return found


def error_rows(rows: pl.DataFrame, sd: Mapping[str, float]) -> pl.DataFrame:
    """image, variable, and the error in sd.

    >>> rows = pl.DataFrame({"image": [0], "variable": "a", "requested": 4.0, "judge": 3.0})
    >>> error_rows(rows, {"a": 2.0}).row(0)
    (0, 'a', 0.5)
    """
    deviations = np.array([sd[name] for name in rows["variable"]])
    return rows.select("image", "variable").with_columns(error=pl.Series(absolute_error(rows) / deviations))


def doing_nothing(rows: pl.DataFrame, sd: dict[str, float], draws: Bootstrap) -> dict[str, Any]:
    """The error of the factual image itself as the answer to the same requests: `variables` and `mean`.

    >>> rows = pl.DataFrame({"image": [0], "variable": "a", "requested": 4.0, "judge_factual": 1.0, "judge": 4.0})
    >>> doing_nothing(rows, {"a": 2.0}, Bootstrap(["x"], 10, seed=0))["mean"]
    {'error': 3.0, 'error_sd': 1.5, 'ci95': [1.5, 1.5]}
    """
    still = rows.select("image", "variable", "requested", judge="judge_factual")
    found = summarise(still, sd=sd, subjects=draws.subjects, bootstrap=draws.draws, seed=draws.seed)
    kept = {name: {key: one[key] for key in ("error", "error_sd", "ci95")} for name, one in found["variables"].items()}
    return {"variables": kept, "mean": found["mean"]}
