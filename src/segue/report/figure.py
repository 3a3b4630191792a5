"""The figure: factual images, each method's counterfactual, and what it changed, on one colour scale.

One row an intervention. Where that would make the images too small to read (wide images, many methods), it
takes two lines: counterfactuals above, differences below.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from segue.errors import InputError
from segue.report.columns import method_title, typeset_unit

Image = Float[np.ndarray, "*space"]

DPI = 180
WIDTH = 10.0  # inches; all lengths below are in inches too
LOWEST, HIGHEST = 0.8, 1.9  # an image's height: below the first, a row takes two lines
NARROWEST, GAP, GROUP_GAP = 0.7, 0.05, 0.14
LEFT, RIGHT, TITLE, BELOW_ROW, BOTTOM = 0.12, 0.12, 0.27, 0.12, 0.75
INK, REGION, STRUCTURES = "#1a1a1a", "#ffb000", ("#56b4e9", "#e78ac3", "#66c2a5", "#d9d950", "#fc8d62")
DIFFERENCES = "RdBu_r"


@dataclass(frozen=True)
class FigureRow:
    """One intervention on one image.

    Args:
        title: the intervention, as a reader would say it: "do(calcified_plaque@mid = 6.1 mm2 (+80%))".
        factual: the image x, (*space) with two or three axes; of three, the slice that changed most is shown.
        counterfactuals: x* by method.
        region: weights of the intervened region; its border is drawn where they pass one half.
        outlines: soft masks of structures, drawn on the factual.
    """

    title: str
    factual: Image
    counterfactuals: Mapping[str, Image]
    region: Image
    outlines: Mapping[str, Image] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """Where images stand, in inches from the top left corner."""

    methods: int
    two_lines: bool
    image: tuple[float, float]  # height, width
    heads: float

    @classmethod
    def fit(cls, methods: int, shape: tuple[int, ...]) -> "Layout":
        """One line a row where images are then tall enough, else two."""
        aspect = shape[1] / shape[0]

        def image_width(two_lines: bool) -> float:
            images, gaps = (1 + methods, methods) if two_lines else (1 + 2 * methods, methods)
            inner = 0 if two_lines else methods * GAP
            return (WIDTH - LEFT - RIGHT - gaps * GROUP_GAP - inner) / images

        two_lines = image_width(False) / aspect < LOWEST
        width = max(NARROWEST, min(image_width(two_lines), HIGHEST * aspect))
        return cls(methods, two_lines, (width / aspect, width), 0.42 if two_lines else 0.6)

    def corner(self, row: int, method: int | None, difference: bool) -> tuple[float, float]:
        """(x, y) of an image's top left corner; `method` is None for the factual."""
        height, width = self.image
        y = self.heads + row * self.row_height + TITLE
        if method is None:
            return LEFT, y
        if self.two_lines:
            return LEFT + (1 + method) * (width + GROUP_GAP), y + difference * (height + GAP)
        return LEFT + width + GROUP_GAP + method * (2 * width + GAP + GROUP_GAP) + difference * (
            width + GAP
        ), y

    @property
    def row_height(self) -> float:
        """Title, images and the space below."""
        lines = 2 * self.image[0] + GAP if self.two_lines else self.image[0]
        return TITLE + lines + BELOW_ROW

    def figure_size(self, rows: int) -> tuple[float, float]:
        """(width, height)."""
        right = self.corner(0, self.methods - 1, not self.two_lines)[0] + self.image[1] + RIGHT
        return max(right, 5.5), self.heads + rows * self.row_height + BOTTOM


def figure1(path: Path, *, rows: list[FigureRow], methods: list[str], intensity: tuple[float, float]) -> None:
    """Write the figure, by its path as PNG or PDF.

    Args:
        path: the file; it appears only when it is complete.
        rows: the interventions, top to bottom, all on images of one shape.
        methods: keys of `counterfactuals`, left to right.
        intensity: the grey scale's (black, white); differences are in percent of its length.

    Raises:
        InputError: where there is nothing to draw, or a row lacks a method or has another shape.
    """
    check(rows, methods)
    panels = [plane(row) for row in rows]
    layout = Layout.fit(len(methods), panels[0].factual.shape)
    size = layout.figure_size(len(rows))
    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    span = 100 / (intensity[1] - intensity[0])
    differences = [{m: span * (p.counterfactuals[m] - p.factual) for m in methods} for p in panels]
    limit = colour_limit([image for row in differences for image in row.values()])

    draw_heads(figure, layout, methods)
    for i, (panel, changes) in enumerate(zip(panels, differences, strict=True)):
        draw_row(figure, layout, i, panel, methods, changes, intensity, limit)
    draw_scale(figure, limit)
    draw_legend(figure, {name: None for panel in panels for name in panel.outlines})
    save(figure, path, dpi=DPI)


def save(figure: Figure, path: Path, *, dpi: int) -> None:
    """Write a figure in the format that its name says; it appears only when it is complete."""
    partial = path.with_name(f".{path.name}.partial")
    figure.savefig(partial, format=path.suffix[1:], dpi=dpi)
    os.replace(partial, path)


def draw_row(
    figure: Figure,
    layout: Layout,
    row: int,
    panel: FigureRow,
    methods: list[str],
    changes: Mapping[str, Image],
    intensity: tuple[float, float],
    limit: float,
) -> None:
    """One intervention: its title, the factual, and a counterfactual and a difference a method."""
    grey = {"cmap": "gray", "vmin": intensity[0], "vmax": intensity[1]}
    signed = {"cmap": DIFFERENCES, "vmin": -limit, "vmax": limit}
    x, y = layout.corner(row, None, False)
    write(figure, x, y - 0.07, typeset(panel.title), size=9.5, ha="left", va="bottom")
    factual = place(figure, layout, (x, y), panel.factual, grey)
    for (_, mask), colour in zip(panel.outlines.items(), STRUCTURES * len(panel.outlines), strict=False):
        border(factual, mask, colour, crisp=False)
    border(factual, panel.region, REGION)
    for j, method in enumerate(methods):
        image = panel.counterfactuals[method]
        border(place(figure, layout, layout.corner(row, j, False), image, grey), panel.region, REGION)
        border(place(figure, layout, layout.corner(row, j, True), changes[method], signed), panel.region, INK)
    if layout.two_lines:
        x, y = layout.corner(row, 0, True)
        write(figure, x - GROUP_GAP, y + layout.image[0] / 2, "$x^* - x$", size=9.0, ha="right", va="center")


def draw_heads(figure: Figure, layout: Layout, methods: list[str]) -> None:
    """Names over the columns."""
    width = layout.image[1]
    y = layout.heads - (0.16 if layout.two_lines else 0.34)
    wide = width if layout.two_lines else 2 * width + GAP
    heads = [("Factual", LEFT + width / 2)]
    for j, method in enumerate(methods):
        x = layout.corner(0, j, False)[0]
        heads.append((method_title(method), x + wide / 2))
        if not layout.two_lines:
            write(figure, x + width / 2, y + 0.32, "$x^*$", size=9.0, ha="center", va="bottom")
            write(figure, x + 1.5 * width + GAP, y + 0.32, "$x^* - x$", size=9.0, ha="center", va="bottom")
    longest = max(len(title.partition(" (")[0]) for title, _ in heads)
    size = min(10.5, 110 * wide / longest)  # points; a bold letter is about two thirds as wide as high
    for title, x in heads:
        name, _, remark = title.partition(" (")
        write(figure, x, y, name, size=size, weight="bold", ha="center", va="bottom")
        if remark:
            small = min(8.5, 130 * wide / len(remark))
            write(figure, x, y + 0.13, remark.rstrip(")"), size=small, ha="center", va="bottom")


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


def draw_legend(figure: Figure, structures: Mapping[str, None]) -> None:
    """What the lines mean."""
    width, height = figure.get_size_inches()
    lines = [Line2D([], [], color=REGION, lw=1.4, label="intervened region")]
    for name, colour in zip(structures, STRUCTURES * len(structures), strict=False):
        lines.append(Line2D([], [], color=colour, lw=1.2, label=name.replace("_", " ")))
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


def place(
    figure: Figure, layout: Layout, corner: tuple[float, float], image: Image, colours: Mapping[str, Any]
) -> Axes:
    """An image at a corner."""
    width, height = figure.get_size_inches()
    tall, wide = layout.image
    box = (corner[0] / width, 1 - (corner[1] + tall) / height, wide / width, tall / height)
    axes = figure.add_axes(box)
    axes.imshow(image, interpolation="nearest", aspect="auto", **colours)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(linewidth=0.4, color="#9a9a9a")
    return axes


def border(axes: Axes, mask: Image, colour: str, *, crisp: bool = True) -> None:
    """The line where a mask passes one half, closed at the image's edge; `crisp` along the pixels' sides."""
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


def write(figure: Figure, x: float, y: float, text: str, *, size: float, **style: Any) -> None:
    """Text at (x, y) inches from the top left; dollars are mathematics only where this module wrote them."""
    width, height = figure.get_size_inches()
    mathematics = text.startswith("$x^*")
    figure.text(x / width, 1 - y / height, text, size=size, color=INK, parse_math=mathematics, **style)


def typeset(title: str) -> str:
    """Raised exponents, and minus signs rather than hyphens before numbers."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", typeset_unit(title))


def colour_limit(differences: list[Image]) -> float:
    """A round number that all but two thousandths of the differences stay below."""
    large = float(np.quantile(np.abs(np.concatenate([image.ravel() for image in differences])), 0.998))
    if not math.isfinite(large) or large < 1e-3:
        return 1.0
    power = 10.0 ** math.floor(math.log10(large))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= large * 0.999)


def plane(row: FigureRow) -> FigureRow:
    """A row of two axes as it is; of three, the slice of the last axis that changed most in the region."""
    if row.factual.ndim == 2:
        return row
    change = sum(np.abs(image - row.factual) for image in row.counterfactuals.values())
    index = int(((change + 1e-6) * row.region).sum((0, 1)).argmax())
    return FigureRow(
        title=row.title,
        factual=row.factual[..., index],
        counterfactuals={name: image[..., index] for name, image in row.counterfactuals.items()},
        region=row.region[..., index],
        outlines={name: mask[..., index] for name, mask in row.outlines.items()},
    )


def check(rows: list[FigureRow], methods: list[str]) -> None:
    """Raise InputError where the rows cannot be drawn side by side."""
    if not rows or not methods:
        raise InputError("figure: nothing to draw; give at least one row and one method")
    shape = rows[0].factual.shape
    for row in rows:
        if missing := [method for method in methods if method not in row.counterfactuals]:
            raise InputError(f"figure: {row.title!r} has no counterfactual of {missing[0]!r}; add it")
        images = [row.factual, row.region, *row.counterfactuals.values(), *row.outlines.values()]
        if any(image.shape != shape for image in images):
            raise InputError(f"figure: {row.title!r} has images of other shapes than {shape}; give one shape")
