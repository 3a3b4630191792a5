"""Training curves of a run: the objective of every network by step, from the logs of training."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segue.errors import check_installed
from segue.quoting import plain_text
from segue.report.colours import COLOURS, INK
from segue.report.figure import save

CURVES_DPI = 130
PANEL_SIZE = 3.6, 2.8  # inches
ACROSS = 3
SMOOTH = 9  # logged steps in the moving average that a line shows

Curve = tuple[np.ndarray, np.ndarray]
"""Steps and values."""


class Panel(NamedTuple):
    """A quantity of some trainings: its tag in their logs, its title, the folders of the trainings by name, and perhaps
    a reference level."""

    tag: str
    title: str
    folders: Mapping[str, Path]
    level: float | None = None


@plain_text
def draw_curves(path: Path, panels: Sequence[Panel]) -> None:
    """Write the figure as PNG, without panels that are in no log; if there is no panel, no file is written."""
    curves = [(panel, found) for panel in panels if (found := curves_of(panel))]
    if not curves:
        return
    down = -(-len(curves) // ACROSS)
    width, height = PANEL_SIZE
    size = (width * min(ACROSS, len(curves)), height * down)
    figure = Figure(figsize=size, dpi=CURVES_DPI, facecolor="white", layout="constrained")
    spots = figure.subplots(down, min(ACROSS, len(curves)), squeeze=False).ravel()
    for axes, (panel, found) in zip(spots, curves, strict=False):
        draw_panel(axes, panel, found)
    for axes in spots[len(curves) :]:
        axes.set_axis_off()
    save(figure, path, dpi=CURVES_DPI)


def curves_of(panel: Panel) -> dict[str, Curve]:
    """The panel's quantity, for each training that logged it."""
    found = {name: logged(folder / "logs", panel.tag) for name, folder in panel.folders.items()}
    return {name: curve for name, curve in found.items() if len(curve[0])}


def logged(folder: Path, tag: str) -> Curve:
    """Steps and values of a quantity; both are empty if it was not logged.

    If a step was done twice, the later value counts, by its time: names of files tell their order to the second only.
    """
    check_installed(("tensorboard",), extra="train", what="the figure of training curves")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(folder), size_guidance={"scalars": 0}, purge_orphaned_data=False)
    if folder.is_dir():
        log.Reload()
    events = log.Scalars(tag) if tag in log.Tags().get("scalars", []) else []
    values = {event.step: event.value for event in sorted(events, key=lambda event: event.wall_time)}
    steps = sorted(values)
    return np.array(steps), np.array([values[step] for step in steps])


def draw_panel(axes: Axes, panel: Panel, curves: Mapping[str, Curve]) -> None:
    """One quantity: a smooth line for each training, its logged values faint behind it; outliers are cut off."""
    for (name, (steps, values)), colour in zip(curves.items(), cycle(COLOURS), strict=False):
        axes.plot(steps, values, color=colour, linewidth=0.6, alpha=0.25)
        axes.plot(steps, smooth(values), color=colour, linewidth=1.3, label=name)
    if panel.level is not None:
        axes.axhline(panel.level, color="#8a8a8a", linewidth=1, linestyle="--")
    late = np.concatenate([values[len(values) // 10 :] for _, values in curves.values()])
    low, high = np.quantile(late[np.isfinite(late)], [0.0, 0.99])
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set_ylim(low - margin, high + margin)
    dress(axes, panel.title)
    axes.set_xlabel("step", size=8, color=INK)
    if len(curves) > 1:
        axes.legend(fontsize=7, frameon=False)


def dress(axes: Axes, title: str) -> None:
    """Title and style of one panel."""
    axes.set_title(title, size=10, color=INK)
    axes.tick_params(labelsize=8, color=INK, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)


def smooth(values: np.ndarray) -> np.ndarray:
    """A moving average; of fewer values at the ends.

    >>> smooth(np.array([1.0, 2.0, 6.0])).round(2)
    array([1.5, 3. , 4. ])
    """
    window = np.ones(min(SMOOTH, len(values)))
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")
