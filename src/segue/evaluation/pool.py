"""A cross-validation's folds as one: requests are pooled, what is known only fold by fold is averaged."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from segue.evaluation.metrics import summarise


def pooled(
    folds: Sequence[Mapping[str, Any]],
    effects: Mapping[str, Sequence[pl.DataFrame]],
    *,
    subjects: Sequence[str],
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """The metrics.json of a cross-validation, of its folds'.

    Errors, off-target changes and leakage are summarised anew over all requests, with intervals over all subjects; a
    variable's sd is the root of the folds' mean variance. Likelihoods, axioms, distances and the segmentors' own errors
    are the folds' means, each fold weighted by its images; intervals of such means take folds as independent (their
    test subjects are; their models share training subjects).

    Args:
        folds: their metrics.json. effects: by method, each fold's rows, of one numbering of the images.
        subjects: of each image.
    """
    images = [fold["n_images"] for fold in folds]
    sd = {name: math.sqrt(np.mean([fold["sd"][name] ** 2 for fold in folds])) for name in folds[0]["sd"]}
    whole: dict[str, Any] = average(folds, images)
    for name, tables in effects.items():
        rows = pl.concat(tables)
        whole["methods"][name] |= summarise(rows, sd=sd, subjects=subjects, bootstrap=bootstrap, seed=seed)
    tested = {subjects[i] for tables in effects.values() for table in tables for i in table["image"]}
    fallbacks = {name: sum(fold["fallbacks"][name] for fold in folds) for name in folds[0]["fallbacks"]}
    means = [{name: method["mean"]["error_sd"] for name, method in fold["methods"].items()} for fold in folds]
    return whole | {
        "n_images": sum(images),
        "n_subjects": len(tested),
        "sd": sd,
        "fallbacks": fallbacks,
        "seconds": round(sum(fold["seconds"] for fold in folds), 1),
        "folds": means,
    }


def average(parts: Sequence[Any], weights: Sequence[int]) -> Any:
    """Trees of the same keys as one: numbers averaged, intervals combined, None where any is; else the first."""
    first = parts[0]
    if any(part is None for part in parts):
        return None
    if isinstance(first, Mapping):
        found = {key: average([part[key] for part in parts], weights) for key in first}
        spans = {key: [part[key] for part in parts] for key in ("ci95", "band") if key in first and "value" in first}
        values = [part["value"] for part in parts] if spans else []
        return found | {key: combined(values, span, weights) for key, span in spans.items()}
    if isinstance(first, int | float) and not isinstance(first, bool):
        return float(np.average(parts, weights=weights))
    return first


def combined(values: Sequence[float], spans: Sequence[Sequence[float]], weights: Sequence[int]) -> list[float]:
    """The interval of a weighted mean of independent values with intervals: distances to each end add in squares."""
    shares = np.array(weights) / np.sum(weights)
    offsets = np.array(spans) - np.array(values)[:, None]
    centre, reach = float(shares @ np.array(values)), np.sqrt(((shares[:, None] * offsets) ** 2).sum(0))
    return [centre - float(reach[0]), centre + float(reach[1])]
