"""A figure of one answer: factual, counterfactual, difference, with outlines and regions; of volumes three planes."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from segue.cohort.planes import Planes, central_voxel, repeats_of
from segue.errors import InputError
from segue.quoting import plain_text
from segue.text import in_words, typeset

if TYPE_CHECKING:
    from segue.engine.counterfactual import Counterfactual

MASK_COLOURS = ("#56b4e9", "#e78ac3", "#66c2a5", "#d9d950", "#fc8d62")
REGION_COLOUR = "#ffb000"
WIDTH = 4.0  # inches of a panel
Flatten = Callable[[Float[np.ndarray, "*space"], float], Float[np.ndarray, "height width"]]


@plain_text
def plot_answer(answer: "Counterfactual", row: int) -> Figure:
    """See `Counterfactual.plot`.

    Raises:
        InputError: there is no such image.
    """
    if not 0 <= row < len(answer):
        raise InputError(f"plot({row}): the answer has images 0 to {len(answer) - 1}")
    change = answer.difference[row, 0].cpu().numpy()
    flat = as_picture(change, answer.spacing[row])
    x_star = answer.image[row, 0].cpu().numpy()
    black, white = answer.grid.limits((answer.image[row] - answer.difference[row]).cpu().numpy())
    limit = float(np.abs(change).max()) or 1.0
    height, width = flat(change, np.nan).shape
    tall = WIDTH * height / width
    figure = Figure(figsize=(3 * WIDTH, tall + 1.2), layout="constrained")
    factual, counterfactual, difference = figure.subplots(1, 3)
    grey: dict[str, Any] = {"cmap": "gray", "vmin": black, "vmax": white}
    show(factual, "factual", flat(x_star - change, np.nan), grey)
    show(counterfactual, "counterfactual", flat(x_star, np.nan), grey)
    drawn = show(difference, "difference", flat(change, np.nan), {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit})
    figure.colorbar(drawn, ax=difference, shrink=0.8)
    for axes, masks in ((factual, answer.factual_soft), (counterfactual, answer.soft)):
        for k in range(len(answer.structures)):
            draw_outline(axes, flat(masks[row, k].cpu().numpy(), 0.0), MASK_COLOURS[k % len(MASK_COLOURS)])
    for region in regions_asked(answer, row):
        for axes in (factual, counterfactual, difference):
            draw_outline(axes, flat(region, 0.0), REGION_COLOUR, linestyles="dashed")
    legend(figure, answer)
    said = [line for line in answer.verdict[row].lines() if not line.startswith("note:")]
    figure.suptitle(typeset("\n".join(said)), fontsize=8, wrap=True)
    return figure


def as_picture(change: Float[np.ndarray, "*space"], spacing: Sequence[float] | None) -> Flatten:
    """From an image and the value between planes to a picture: three planes of a volume, where it changed most."""
    if change.ndim == 2:
        return lambda image, fill: image
    return Planes(change.shape, central_voxel(np.abs(change)), repeats_of(spacing)).picture


def regions_asked(answer: "Counterfactual", row: int) -> list[Float[np.ndarray, "*space"]]:
    """The regions of the variables that were asked to change."""
    names = list(answer.achieved)
    return [answer.weights[row, names.index(one.variable)].cpu().numpy() for one in answer.verdict[row].reached]


def show(axes: Axes, title: str, image: Float[np.ndarray, "height width"], colours: dict[str, Any]) -> Any:
    """An image without ticks."""
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(image, interpolation="nearest", **colours)


def draw_outline(axes: Axes, soft: Float[np.ndarray, "height width"], colour: str, **style: Any) -> None:
    """The border of a soft mask, where it passes one half; nothing where it does not."""
    if soft.min() < 0.5 < soft.max():
        axes.contour(soft, levels=[0.5], colors=[colour], linewidths=1.0, **style)


def legend(figure: Figure, answer: "Counterfactual") -> None:
    """Which colour is which structure."""
    lines = [Line2D([], [], color=MASK_COLOURS[k % len(MASK_COLOURS)]) for k in range(len(answer.structures))]
    lines.append(Line2D([], [], color=REGION_COLOUR, linestyle="dashed"))
    names = [*map(in_words, answer.structures), "region asked"]
    figure.legend(lines, names, loc="outside lower center", ncols=len(names), fontsize=8, frameon=False)
