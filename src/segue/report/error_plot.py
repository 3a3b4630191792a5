"""The plot of errors: every method's error (sd) with its interval, in the mean and by variable, on one scale.

Narrow panels, so that they stand side by side on a wide page and one below the other on a telephone.
"""

import io
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segue.evaluation.comparison import IDEAL
from segue.evaluation.metric import HEADLINE, Interval, finite, look_up
from segue.quoting import plain_text
from segue.report.colours import COLOURS, INK
from segue.report.columns import (
    TableColumn,
    judge_errors,
    mean_of_finite,
    method_title,
    methods_of,
    variable_columns,
    variables_of,
)

WIDTH, DOTS = 4.0, 200  # inches, and dots of an inch
LINE, SPACE, EDGES = 0.17, 0.16, 0.75  # inches: of a method, between variables, of the title and the scale
MARKERS = "osD^v<>PX*"
FLOOR, STILL = "#dfe3e8", "#8a8a8a"


class ErrorPanel(NamedTuple):
    """One panel: a structure, or the mean over variables.

    Attributes:
        rows: names from top to bottom. columns: the errors of all methods, for each row.
        floors: the judge's measurement error of each row. still: the error of doing nothing of each row.
        named: whether the methods are named.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[TableColumn]
    floors: Sequence[float | None]
    still: Sequence[float | None]
    named: bool = False


def error_panels(metrics: Mapping[str, Any]) -> list[ErrorPanel]:
    """The mean over variables, which names the methods, then a panel for each structure; [] without errors."""
    floors, nothing = judge_errors(metrics), metrics.get("doing_nothing") or {}
    names = dict(zip(variables_of(metrics), variable_columns(metrics), strict=True))
    known = {name: column for name, column in names.items() if column.known}
    methods = list(methods_of(metrics).values())
    mean = TableColumn("", "mean", tuple(map(HEADLINE.value, methods)), tuple(map(HEADLINE.ci95, methods)))
    panels = []
    if mean.known:
        still = [HEADLINE.value(nothing)]
        panels.append(ErrorPanel("mean over all variables", [""], [mean], [mean_of_finite(floors)], still, named=True))
    for structure, group in groupby(known, key=lambda name: known[name].group):
        members = list(group)
        columns = [known[name] for name in members]
        still = [finite(look_up((nothing.get("variables") or {}).get(name), HEADLINE.key)) for name in members]
        titles = [column.title for column in columns]
        panels.append(ErrorPanel(structure, titles, columns, [floors.get(name) for name in members], still))
    return panels


def error_plots(metrics: Mapping[str, Any]) -> dict[str, bytes]:
    """The panels by title as PNG files, all on one scale."""
    panels, keys = error_panels(metrics), list(methods_of(metrics))
    ends = [end for panel in panels for column in panel.columns for end in largest(column)]
    ends += [value for panel in panels for value in panel.still if value is not None]
    return {panel.title: drawn(panel, keys, 1.05 * max(ends, default=1.0) or 1.0) for panel in panels}


def largest(column: TableColumn) -> list[float]:
    """Values and upper ends of intervals."""
    return [v for v in column.values if v is not None] + [ends[1] for ends in column.intervals if ends is not None]


@plain_text
def drawn(panel: ErrorPanel, methods: Sequence[str], limit: float) -> bytes:
    """One panel as a PNG file."""
    step = len(methods) * LINE + SPACE
    height = EDGES + step * len(panel.rows)
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS, facecolor="white")
    left = (0.3 + 0.066 * max(map(len, map(method_title, methods))) if panel.named else 0.95) / WIDTH
    axes = figure.add_axes((left, 0.5 / height, 0.97 - left, 1 - EDGES / height))
    for row, column in enumerate(panel.columns):
        draw_block(axes, panel, row, step)
        for i, (value, ends) in enumerate(zip(column.values, column.intervals, strict=True)):
            draw_error(axes, i, methods[i], value, ends, row * step + SPACE / 2 + (i + 0.5) * LINE)
    places = {row * step + step / 2: in_lines(name) for row, name in enumerate(panel.rows)}
    if panel.named:
        places = {SPACE / 2 + (i + 0.5) * LINE: method_title(key) for i, key in enumerate(methods)}
    axes.set(xlim=(0, limit), ylim=(step * len(panel.rows), 0), yticks=list(places))
    axes.set_yticklabels(list(places.values()), size=8.5)
    axes.set_title(panel.title, size=10, weight="bold", color=INK, loc="left")
    axes.set_xlabel("error (sd)", size=9, color=INK)
    axes.tick_params(labelsize=8.5, color=INK, labelcolor=INK, length=2)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS)
    return file.getvalue()


def draw_block(axes: Axes, panel: ErrorPanel, row: int, step: float) -> None:
    """What lies behind the methods of a variable: the judge's measurement error, and doing nothing."""
    top, bottom = row * step, (row + 1) * step
    floor, still = panel.floors[row], panel.still[row]
    if floor is not None:
        axes.fill_betweenx([top, bottom], 0, floor, color=FLOOR, linewidth=0)
    if still is not None:
        axes.plot([still, still], [top, bottom], color=STILL, linewidth=1, linestyle="--")
    if row:
        axes.axhline(top, color="#c8ccd2", linewidth=0.6)


def draw_error(
    axes: Axes, place: int, method: str, value: float | None, ends: Interval | None, y: float
) -> None:
    """A method's error, with its interval."""
    if value is None:
        return
    colour = INK if method == IDEAL else COLOURS[place % len(COLOURS)]
    if ends is not None:
        axes.plot(ends, [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
    axes.plot([value], [y], MARKERS[place % len(MARKERS)], color=colour, markersize=4.5)


def in_lines(name: str) -> str:
    """A long name on several lines."""
    return "\n".join(textwrap.wrap(name, 13)) if name else ""
