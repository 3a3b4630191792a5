"""The figure: factual images, each method's counterfactual, and the difference, all on one colour scale.

One row for each intervention. If the images would be too small in one line (wide images, many methods), a row has two
lines: counterfactuals above, differences below.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from segue.files import whole_file
from segue.report.colours import DIFFERENCES, INK, REGION, STRUCTURES, colour_limit
from segue.report.columns import method_title
from segue.report.figure_row import FigureRow, Image, check_rows, in_planes
from segue.report.layout import GAP, GROUP_GAP, LEFT, Layout
from segue.text import in_words, typeset

DPI = 180
SMALLEST, LARGEST = 7.5, 10.5  # points, of names over columns
LETTER = 110  # letters in an inch, times their size in points


@dataclass(frozen=True)
class Canvas:
    """A figure in which things are placed in inches from its top left corner."""

    figure: Figure
    layout: Layout

    def image(self, corner: tuple[float, float], image: Image, colours: Mapping[str, Any]) -> Axes:
        """An image with its top left at a corner."""
        width, height = self.figure.get_size_inches()
        tall, wide = self.layout.image
        box = (corner[0] / width, 1 - (corner[1] + tall) / height, wide / width, tall / height)
        axes = self.figure.add_axes(box)
        axes.imshow(image, interpolation="nearest", aspect="auto", **colours)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(linewidth=0.4, color="#9a9a9a")
        return axes

    def text(self, x: float, y: float, text: str, *, size: float, **style: Any) -> None:
        """Text; dollar signs are mathematics only where this module wrote them."""
        width, height = self.figure.get_size_inches()
        mathematics = text.startswith("$x^*")
        self.figure.text(x / width, 1 - y / height, text, size=size, color=INK, parse_math=mathematics, **style)


def figure1(path: Path, *, rows: list[FigureRow], methods: list[str], intensity: tuple[float, float]) -> None:
    """Write the figure, by its path as PNG or PDF.

    Args:
        path: the file; it appears only when it is complete.
        rows: the interventions, top to bottom, all on images of one shape; volumes are shown in three planes.
        methods: keys of `counterfactuals`, left to right.
        intensity: the grey scale's (black, white); differences are in percent of its length.

    Raises:
        InputError: there is nothing to draw, or a row lacks a method or has another shape.
    """
    check_rows(rows, methods)
    flat = [in_planes(row) for row in rows]
    layout = Layout.fit(len(methods), flat[0].factual.shape)
    heads = Heads.fit(["Factual", *map(method_title, methods)], head_width(layout))
    layout = replace(layout, heads=layout.heads + heads.more)
    figure = Figure(figsize=layout.figure_size(len(rows)), dpi=DPI, facecolor="white")
    span = 100 / (intensity[1] - intensity[0])
    differences = [{m: span * (row.counterfactuals[m] - row.factual) for m in methods} for row in flat]
    limit = colour_limit([image for row in differences for image in row.values()])
    grey = {"cmap": "gray", "vmin": intensity[0], "vmax": intensity[1]}
    signed = {"cmap": DIFFERENCES, "vmin": -limit, "vmax": limit}

    canvas = Canvas(figure, layout)
    draw_heads(canvas, heads)
    for i, (row, changes) in enumerate(zip(flat, differences, strict=True)):
        draw_factual(canvas, i, row, grey)
        for j, method in enumerate(methods):
            image = canvas.image(layout.corner(i, j, False), row.counterfactuals[method], grey)
            draw_border(image, row.region, REGION)
            draw_border(canvas.image(layout.corner(i, j, True), changes[method], signed), row.region, INK)
    draw_scale(figure, limit)
    draw_legend(figure, dict.fromkeys(name for row in flat for name in row.outlines))
    save(figure, path, dpi=DPI)


def save(figure: Figure, path: Path, *, dpi: int) -> None:
    """Write a figure atomically, in the format that its name says."""
    with whole_file(path) as partial:
        figure.savefig(partial, format=path.suffix[1:], dpi=dpi)


def draw_factual(canvas: Canvas, row: int, content: FigureRow, grey: Mapping[str, Any]) -> None:
    """The title of a row, and the factual image with its outlines."""
    layout = canvas.layout
    x, y = layout.corner(row, None, False)
    canvas.text(x, y - 0.07, typeset(content.title), size=9.5, ha="left", va="bottom")
    factual = canvas.image((x, y), content.factual, grey)
    for mask, colour in zip(content.outlines.values(), STRUCTURES * len(content.outlines), strict=False):
        draw_border(factual, mask, colour, crisp=False)
    draw_border(factual, content.region, REGION)
    if layout.two_lines:
        x, y = layout.corner(row, 0, True)
        canvas.text(x - GROUP_GAP, y + layout.image[0] / 2, "$x^* - x$", size=9.0, ha="right", va="center")


@dataclass(frozen=True)
class Heads:
    """The names over the columns, each on as many lines as it needs at a size that can be read.

    >>> heads = Heads.fit(["segue without corrections", "segue"], wide=0.76)
    >>> heads.texts[0].splitlines(), heads.size
    (['segue', 'without', 'corrections'], 7.6)
    """

    texts: tuple[str, ...]
    size: float

    @classmethod
    def fit(cls, titles: Sequence[str], wide: float) -> "Heads":
        """Names in a width in inches; a bold letter is about two thirds as wide as high."""
        longest = max(len(word) for title in titles for word in title.split())
        size = min(max(LETTER * wide / longest, SMALLEST), LARGEST)
        letters = max(1, int(LETTER * wide / size + 0.01))
        return cls(tuple("\n".join(textwrap.wrap(title, letters)) for title in titles), round(size, 1))

    @property
    def more(self) -> float:
        """The height in inches of all lines but one."""
        return max(text.count("\n") for text in self.texts) * self.size * 1.2 / 72


def head_width(layout: Layout) -> float:
    """How wide the name of a method may be, in inches."""
    width = layout.image[1]
    return width + GROUP_GAP / 2 if layout.two_lines else 2 * width + GAP


def draw_heads(canvas: Canvas, heads: Heads) -> None:
    """Names over the columns: of the factual, then of each method."""
    layout = canvas.layout
    width = layout.image[1]
    y = layout.heads - (0.1 if layout.two_lines else 0.34)
    spots = [LEFT + width / 2]
    for j in range(layout.methods):
        x = layout.corner(0, j, False)[0]
        spots.append(x + (width if layout.two_lines else 2 * width + GAP) / 2)
        if not layout.two_lines:
            canvas.text(x + width / 2, y + 0.32, "$x^*$", size=9.0, ha="center", va="bottom")
            canvas.text(x + 1.5 * width + GAP, y + 0.32, "$x^* - x$", size=9.0, ha="center", va="bottom")
    for text, x in zip(heads.texts, spots, strict=True):
        canvas.text(x, y, text, size=heads.size, weight="bold", ha="center", va="bottom")


def draw_scale(figure: Figure, limit: float) -> None:
    """The one colour bar of all differences."""
    width, height = figure.get_size_inches()
    bar = figure.add_axes((1 - 3.4 / width, 0.46 / height, 3.2 / width, 0.11 / height))
    colours = ScalarMappable(Normalize(-limit, limit), DIFFERENCES)
    scale = figure.colorbar(colours, cax=bar, orientation="horizontal", extend="both")
    scale.set_ticks([-limit, -limit / 2, 0, limit / 2, limit])
    scale.ax.set_xticklabels([f"{tick:+g}".replace("-", "−") if tick else "0" for tick in scale.get_ticks()])
    scale.ax.tick_params(labelsize=8, length=2, color=INK, labelcolor=INK)
    scale.outline.set_linewidth(0.5)
    scale.set_label("$x^* - x$ (% of the intensity range)", size=8.5, color=INK, labelpad=2)


def draw_legend(figure: Figure, structures: Mapping[str, Any]) -> None:
    """What the lines mean."""
    width, height = figure.get_size_inches()
    lines = [Line2D([], [], color=REGION, lw=1.4, label="intervened region")]
    for name, colour in zip(structures, STRUCTURES * len(structures), strict=False):
        lines.append(Line2D([], [], color=colour, lw=1.2, label=in_words(name)))
    figure.legend(
        handles=lines,
        loc="upper left",
        bbox_to_anchor=(LEFT / width, 0.64 / height),
        bbox_transform=figure.transFigure,
        ncols=2 if len(lines) > 2 and width > 7 else 1,
        fontsize=8.5,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.4,
        labelcolor=INK,
    )


def draw_border(axes: Axes, mask: Image, colour: str, *, crisp: bool = True) -> None:
    """The line where a mask is one half, closed at the image's edge; if `crisp`, along the sides of pixels."""
    fine = 8 if crisp else 1
    padded = np.pad(mask, 1)
    height, width = padded.shape
    x = (np.arange(width * fine) + 0.5) / fine - 1.5
    y = (np.arange(height * fine) + 0.5) / fine - 1.5
    raised = np.kron(padded, np.ones((fine, fine)))
    if raised.max() <= 0.5:
        return
    lines = axes.contour(x, y, raised, levels=[0.5], colors=[colour], linewidths=1.1 if crisp else 0.9)
    lines.set_clip_on(False)
    axes.set(xlim=(-0.5, width - 2.5), ylim=(height - 2.5, -0.5))
