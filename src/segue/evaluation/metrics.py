"""From rows of effects to `variables` and `mean` of metrics.json."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from segue.anatomy.measurement import measurement_of
from segue.evaluation.agreement import category_agreement
from segue.evaluation.bootstrap import Bootstrap
from segue.evaluation.metric import AVERAGED, FAMILIES, HEADLINE, Metric, Number


def summarise(
    effects: pl.DataFrame, *, sd: dict[str, float], subjects: Sequence[str], bootstrap: int, seed: int
) -> dict[str, Any]:
    """Every registered metric by variable, and its mean over variables with its interval (docs/metrics.md).

    A metric whose columns the rows lack is left out.

    Args:
        effects: one row for each image and variable, see docs/metrics.md, "The rows behind it".
        sd: training sd of each variable. subjects: of each image index.
        bootstrap: number of draws. seed: of the draws.

    >>> rows = {"image": [0, 1], "variable": ["heart"] * 2, "requested": [5.0, 5.0], "judge": [6.0, 8.0]}
    >>> found = summarise(pl.DataFrame(rows), sd={"heart": 2.0}, subjects=["a", "a"], bootstrap=9, seed=0)
    >>> found["variables"]
    {'heart': {'error': 2.0, 'error_sd': 1.0, 'moved': {}, 'ci95': [1.0, 1.0]}}
    >>> found["mean"]
    {'error': 2.0, 'error_sd': 1.0, 'ci95': [1.0, 1.0]}
    """
    known = [metric for metric in FAMILIES["effects"].metrics if set(metric.columns) <= set(effects.columns)]
    draws = Bootstrap(subjects, bootstrap, seed)
    variables: dict[str, dict[str, Any]] = {}
    for name, deviation in sd.items():
        table = effects.filter(pl.col("variable") == name)
        variables[name] = of_variable(known, table, deviation)
        assert HEADLINE.aggregate is not None
        variables[name]["ci95"] = HEADLINE.aggregate(table, {name: deviation}, draws)
        if (categories := measurement_of(name).categories) is not None:
            variables[name][categories.key] = category_agreement(table, categories)
    mean: dict[str, Any] = {}
    for metric in known:
        if metric.averaged:
            mean[metric.key] = mean_of_known([entry[metric.key] for entry in variables.values()])
        if metric.aggregate:
            mean[metric.interval.removeprefix(AVERAGED)] = metric.aggregate(effects, sd, draws)
    return {"variables": variables, "mean": mean}


def of_variable(metrics: Sequence[Metric], table: pl.DataFrame, sd: float) -> dict[str, Number]:
    """The numbers of one variable, by key.

    >>> of_variable([HEADLINE], pl.DataFrame({"judge": [3.0], "requested": [1.0]}), sd=2.0)
    {'error_sd': 1.0}
    """
    return {metric.key: metric.compute(table, sd) for metric in metrics if metric.compute}


def mean_of_known(values: Sequence[Number]) -> float | None:
    """The mean of the numbers that are known; None where none is.

    >>> mean_of_known([1.0, None, 2.0])
    1.5
    """
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None  # type: ignore[arg-type]
