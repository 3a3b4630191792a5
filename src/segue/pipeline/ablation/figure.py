"""The figure of an ablation: one panel for each metric, the factor's values across, methods as lines with intervals."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segue.evaluation.comparison import IDEAL
from segue.quoting import plain_text
from segue.report.colours import COLOURS
from segue.report.columns import NOTHING, TableColumn, method_title
from segue.report.curves import dress
from segue.report.figure import INK, save

ABLATION_DPI = 160
ABLATION_PANEL_SIZE = 3.4, 3.0  # inches
REFERENCES = {method_title(IDEAL), NOTHING}  # for comparison; these are not methods
WRAP = 36  # characters in a line of a title
APART = 0.06  # of the distance between values: intervals of several methods stand side by side

AblationPanel = tuple[str, list[TableColumn]]
"""A metric's title, and a column for each method, with one row for each value."""


@plain_text
def draw_ablation(path: Path, *, factor: str, values: Sequence[str], panels: Sequence[AblationPanel]) -> None:
    """Write the figure as PNG; it appears only when it is complete.

    Args:
        values: of the factor, evenly spaced in this order.
    """
    width, height = ABLATION_PANEL_SIZE
    size = (width * len(panels), height + 0.5)
    figure = Figure(figsize=size, dpi=ABLATION_DPI, facecolor="white", layout="constrained")
    names = list(dict.fromkeys(column.title for _, columns in panels for column in columns))
    for axes, (title, columns) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for column in columns:
            draw_line(axes, column, names)
        dress(axes, fill(title, WRAP))
        axes.set_xticks(range(len(values)), values)
        axes.set_xlim(-0.4, len(values) - 0.6)
        if all(value >= 0 for column in columns for value in column.values if value is not None):
            axes.set_ylim(bottom=0)
    figure.supxlabel(factor, size=10, color=INK)
    lines = {line.get_label(): line for axes in figure.axes for line in axes.get_lines() if line.get_label() in names}
    handles = [lines[name] for name in names]
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), fontsize=8.5, frameon=False)
    save(figure, path, dpi=ABLATION_DPI)


def draw_line(axes: Axes, column: TableColumn, names: Sequence[str]) -> None:
    """One method: a point for each known value, with its interval if there is one."""
    rank = names.index(column.title)
    aside = APART * (rank - (len(names) - 1) / 2)
    at = [i for i, value in enumerate(column.values) if value is not None]
    known = [value for value in column.values if value is not None]
    colour, line = COLOURS[rank % len(COLOURS)], "-"
    if column.title in REFERENCES:
        colour, line = "#8a8a8a", ":" if column.title == NOTHING else "--"
    style = {"color": colour, "linewidth": 1.3, "marker": "o", "markersize": 3.5}
    axes.plot([i + aside for i in at], known, label=column.title, linestyle=line, **style)  # type: ignore[arg-type]
    for i in at:
        if (ends := column.intervals[i]) is not None:
            axes.plot([i + aside] * 2, ends, color=colour, linewidth=1.3, solid_capstyle="butt")
