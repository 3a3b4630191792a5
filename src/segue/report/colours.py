"""Colours of figures and pages, and what a scale of differences reaches. It draws nothing: matplotlib is not needed."""

import math

import numpy as np

from segue.report.figure_row import Image

INK, REGION, STRUCTURES = "#1a1a1a", "#ffb000", ("#56b4e9", "#e78ac3", "#66c2a5", "#d9d950", "#fc8d62")
DIFFERENCES = "RdBu_r"
"""matplotlib's name of the colours of differences,"""
RED_TO_BLUE = (
    "67001f", "b2182b", "d6604d", "f4a582", "fddbc7", "f7f7f7", "d1e5f0", "92c5de", "4393c3", "2166ac", "053061",
)  # fmt: skip
"""and ColorBrewer's numbers of them (Brewer, colorbrewer2.org): a page needs no matplotlib, which is slow to import."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#7f7f7f")


def colour_limit(differences: list[Image]) -> float:
    """A round number above 99.8% of the absolute differences.

    >>> colour_limit([np.full((8, 8), 23.0)])
    30.0
    """
    large = float(np.nanquantile(np.abs(np.concatenate([image.ravel() for image in differences])), 0.998))
    if not math.isfinite(large) or large < 1e-3:
        return 1.0
    power = 10.0 ** math.floor(math.log10(large))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= large * 0.999)
