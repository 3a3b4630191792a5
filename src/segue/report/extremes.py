"""The figure of extremes: what methods do when they are asked for far more, or far less, than there is.

Plain images on one grey scale and no outlines, so that readers see the artefacts that numbers do not show.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as Picture

from segue.errors import InputError
from segue.files import whole_file
from segue.quoting import plain_text
from segue.report.columns import method_title, variable_title

DOTS = 100  # per inch
PANELS, ZOOM = 1_500_000, 3  # dots of all images together, so that the file is below 2 MB; dots of a pixel at most
LABELS, EDGE, HEADS, BETWEEN, SPACE = 1.9, 0.1, 0.36, 0.17, 0.05  # inches


@dataclass(frozen=True)
class ExtremeRow:
    """One method asked for one variable of one image, at each level.

    Attributes:
        variable: its name. method: its key in metrics.json.
        images: the factual image, then one answer a level, in raw units; of three axes, one slice.
        moved: the change of the variable at each level, as the judge measures it, in sd.
    """

    variable: str
    method: str
    images: Float[np.ndarray, "panel height width"]
    moved: tuple[float, ...]


@plain_text
def extremes_figure(
    path: Path, *, rows: Sequence[ExtremeRow], levels: Sequence[float], intensity: tuple[float, float]
) -> None:
    """Write the figure as a PNG in shades of grey.

    Args:
        path: the file; it appears only when it is complete.
        rows: top to bottom, all on images of one shape.
        levels: requested change of each column after the first, in sd. intensity: the grey scale's (black, white).

    Raises:
        InputError: there is nothing to draw.
    """
    if not rows:
        raise InputError("figure of extremes: nothing to draw; give at least one row")
    count, columns = len(rows), 1 + len(levels)
    height, width = panel_size(rows[0].images.shape[1:], count * columns)
    across = LABELS + columns * width + (columns - 1) * SPACE + EDGE
    down = HEADS + count * height + (count - 1) * BETWEEN + EDGE
    figure = Figure(figsize=(across, down), dpi=DOTS, facecolor="white")
    panels = figure.subplots(count, columns, squeeze=False, gridspec_kw={
        "left": LABELS / across, "right": 1 - EDGE / across, "top": 1 - HEADS / down, "bottom": EDGE / down,
        "wspace": SPACE / width, "hspace": BETWEEN / height,
    })  # fmt: skip
    for row, axes in zip(rows, panels.tolist(), strict=True):
        draw_row(axes, row, {"cmap": "gray", "vmin": intensity[0], "vmax": intensity[1], "aspect": "auto"})
    for axis, head in zip(panels[0], ("factual", *map(in_sd, levels)), strict=True):
        axis.annotate(head, (0.5, 1), (0, 12), "axes fraction", textcoords="offset points", size=8, ha="center")
    save_grey(figure, path)


def draw_row(axes: Sequence[Axes], row: ExtremeRow, grey: dict[str, Any]) -> None:
    """The images of a row, what the judge says over each answer, and on the left whose they are."""
    for axis, image, over in zip(axes, row.images, ("", *map(in_sd, row.moved)), strict=True):
        axis.imshow(image, **grey)
        axis.set_title(over, size=6.5, pad=1.5)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    label = f"{variable_title(row.variable)}\n{method_title(row.method)}"
    axes[0].set_ylabel(label, size=7.5, rotation=0, ha="right", va="center", labelpad=4)


def panel_size(shape: tuple[int, ...], count: int) -> tuple[float, float]:
    """Height and width of an image in inches.

    >>> panel_size((50, 100), count=10), panel_size((500, 1000), count=300)
    ((1.5, 3.0), (0.5, 1.0))
    """
    zoom = min(ZOOM, math.sqrt(PANELS / (count * shape[0] * shape[1])))
    return zoom * shape[0] / DOTS, zoom * shape[1] / DOTS


def in_sd(change: float) -> str:
    """A change for readers.

    >>> in_sd(-1.5), in_sd(3.0)
    ('−1.5 sd', '+3.0 sd')
    """
    return f"{change:+.1f} sd".replace("-", "−")


def save_grey(figure: Figure, path: Path) -> None:
    """Write a figure without its colours: a third of the size."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    with whole_file(path) as partial:
        Picture.fromarray(np.asarray(canvas.buffer_rgba())).convert("L").save(partial, format="PNG", optimize=True)
