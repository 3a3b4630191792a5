"""The folds of a cross-validation as one evaluation: requests are pooled, other numbers are averaged over folds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from segue.evaluation.bootstrap import Bootstrap
from segue.evaluation.comparison import compare
from segue.evaluation.metric import HEADLINE
from segue.evaluation.metrics import summarise

CENTRES = ("value", "auc")
"""Keys of numbers that have an interval beside them."""


def pooled(
    folds: Sequence[Mapping[str, Any]],
    effects: Mapping[str, Sequence[pl.DataFrame]],
    *,
    subjects: Sequence[str],
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """The metrics.json of a cross-validation, from those of its folds.

    Metrics of the rows of effects are computed again over the requests of all folds, with intervals over all subjects.
    The sd of a variable is the root of the folds' mean variance. All other numbers are means over folds, weighted by
    the number of images: so is the AUC of crops, because the networks of two folds do not score alike. Intervals of
    such means take the folds as independent: their test subjects are, but their models share training subjects.

    Args:
        folds: metrics.json of each fold. effects: by method, the rows of each fold; images have the same numbers in
            all folds. subjects: of each image. bootstrap: number of draws. seed: of the draws.
    """
    images = [fold["n_images"] for fold in folds]
    sd = root_mean_square([fold["sd"] for fold in folds])
    whole: dict[str, Any] = average(folds, images)
    answers = {name: pl.concat(tables) for name, tables in effects.items()}
    for name, rows in answers.items():
        judged = whole["methods"].get(name) or {}
        whole["methods"][name] = judged | summarise(rows, sd=sd, subjects=subjects, bootstrap=bootstrap, seed=seed)
    nothing = compare(whole["methods"], answers, sd, Bootstrap(subjects, bootstrap, seed))
    tested = {subjects[i] for rows in answers.values() for i in rows["image"]}
    fallbacks = {name: sum(fold["fallbacks"][name] for fold in folds) for name in folds[0]["fallbacks"]}
    means = [{name: HEADLINE.value(method) for name, method in fold["methods"].items()} for fold in folds]
    return whole | {
        "n_images": sum(images),
        "n_subjects": len(tested),
        "sd": sd,
        "doing_nothing": nothing,
        "fallbacks": fallbacks,
        "seconds": round(sum(fold["seconds"] for fold in folds), 1),
        "folds": means,
    }


def root_mean_square(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By name: the root of the mean square.

    >>> root_mean_square([{"a": 1.0}, {"a": 7.0}])
    {'a': 5.0}
    """
    return {name: math.sqrt(np.mean([part[name] ** 2 for part in parts])) for name in parts[0]}


def average(parts: Sequence[Any], weights: Sequence[int]) -> Any:
    """Trees of keys as one: numbers are averaged, intervals combined, of anything else the first is taken.

    What is None or missing in one of the parts is None.

    >>> average([{"error": 1.0, "unit": "px"}, {"error": 4.0, "unit": "px", "nelbo": 2.0}], weights=[2, 1])
    {'error': 2.0, 'unit': 'px', 'nelbo': None}
    """
    first = parts[0]
    if any(part is None for part in parts):
        return None
    if isinstance(first, Mapping):
        keys = dict.fromkeys(key for part in parts for key in part)
        found = {key: average([part.get(key) for part in parts], weights) for key in keys}
        if (centre := next((key for key in CENTRES if found.get(key) is not None), None)) is not None:
            values = [part[centre] for part in parts]
            spans = {key: [part[key] for part in parts] for key in ("ci95", "band") if found.get(key) is not None}
            found |= {key: combined(values, span, weights) for key, span in spans.items()}
        return found
    if isinstance(first, int | float) and not isinstance(first, bool):
        return float(np.average(parts, weights=weights))
    return first


def combined(values: Sequence[float], spans: Sequence[Sequence[float]], weights: Sequence[int]) -> list[float]:
    """The interval of a weighted mean of independent values: squared distances to the ends of their intervals add up.

    >>> combined([0.0, 2.0], [[-3.0, 3.0], [-2.0, 6.0]], weights=[1, 1])
    [-1.5, 3.5]
    """
    shares = np.array(weights) / np.sum(weights)
    offsets = np.array(spans) - np.array(values)[:, None]
    centre, reach = float(shares @ np.array(values)), np.sqrt(((shares[:, None] * offsets) ** 2).sum(0))
    return [centre - float(reach[0]), centre + float(reach[1])]
