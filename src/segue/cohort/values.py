"""The values of a prepared cohort: percentiles, and the intensity that a study wants found in its training images."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float

from segue.cohort.intensity import AskedIntensity
from segue.cohort.store import Store
from segue.cohort.window import ValuePair

TOLD_LEVELS = (0.0, 0.5, 50.0, 99.5, 100.0)
"""Percentiles of a cohort that are told."""
TRAINING_SPLITS = ("guide", "judge")
"""Splits that train something; the others are looked at by nobody before a study is done."""
SAMPLE = 1 << 24  # values of which percentiles are computed, at most
NARROW = 0.01  # share of a window's width: values that all lie in it are hardly told apart


def training_images(store: Store) -> np.ndarray:
    """Indices of the images of the training splits; of all, where a cohort has none."""
    rows = np.concatenate([store.indices(split) for split in TRAINING_SPLITS])
    return np.sort(rows) if len(rows) else np.arange(len(store))


def read_blocks(store: Store, rows: np.ndarray) -> Iterator[torch.Tensor]:
    """Images (batch, channel, *space) of a store, some at a time."""
    for start in range(0, len(rows), store.chunk):
        yield store.read(rows[start : start + store.chunk], fractions=False)["image"]


def sampled_values(store: Store, rows: np.ndarray) -> Float[np.ndarray, " value"]:
    """Values of images, ascending: all of them, or evenly spaced ones of more than 16 million, extremes included."""
    count = len(rows) * store.channels * int(np.prod(store.size))
    step = -(-count // SAMPLE)
    parts = []
    for block in read_blocks(store, rows):
        values = block.flatten().numpy()
        parts.append(np.concatenate([values[::step], [values.min(), values.max()]] if step > 1 else [values]))
    return np.sort(np.concatenate(parts))


def percentiles_of(ascending: Float[np.ndarray, " value"]) -> dict[str, float]:
    """`TOLD_LEVELS` of values in ascending order.

    >>> percentiles_of(np.arange(201.0))
    {'0': 0.0, '0.5': 1.0, '50': 100.0, '99.5': 199.0, '100': 200.0}
    """
    found = np.percentile(ascending, TOLD_LEVELS)
    return {f"{level:g}": float(value) for level, value in zip(TOLD_LEVELS, found, strict=True)}


def found_intensity(asked: AskedIntensity, store: Store) -> ValuePair | None:
    """The usual values of a store's training images; None where the study states them.

    Of all values together (`per: cohort`), or else the medians of the two ends of each image's own window.
    """
    if asked.usual is not None or asked.rule is None:
        return None
    rows = training_images(store)
    if asked.per == "cohort":
        windows = asked.rule.window(torch.from_numpy(sampled_values(store, rows)).reshape(1, 1, -1))
    else:
        windows = torch.cat([asked.rule.window(block) for block in read_blocks(store, rows)])
    low, high = windows.median(dim=0).values.tolist()
    return low, high


def misfit(ascending: Float[np.ndarray, " value"], window: ValuePair) -> str | None:
    """What is wrong with a fixed window for values in ascending order; None where nothing is.

    >>> misfit(np.linspace(0, 4095, 1000), (0.0, 255.0))
    '94% of the values lie outside of [0, 255]'
    >>> misfit(np.linspace(0, 1, 1000), (0.0, 255.0))
    '99% of the values lie in a hundredth of [0, 255], where networks see little'
    >>> misfit(np.linspace(0, 200, 1000), (0.0, 255.0)) is None
    True
    """
    low, high = window
    outside = float(np.mean((ascending < low) | (ascending > high)))
    if outside > 0.5:
        return f"{outside:.0%} of the values lie outside of [{low:g}, {high:g}]"
    first, last = np.percentile(ascending, (0.5, 99.5))
    if last - first < NARROW * (high - low):
        return f"99% of the values lie in a hundredth of [{low:g}, {high:g}], where networks see little"
    return None
