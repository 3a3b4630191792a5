"""The figure of the causal graph: causes left of their effects; in red, pairs that the data show to be dependent."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import networkx as nx
from matplotlib.figure import Figure

from segue.causal.graph import sorted_names
from segue.quoting import plain_text
from segue.report.colours import INK
from segue.report.figure import save

RED, PAPER = "#c0392b", "#eef2f7"


def layers(graph: nx.DiGraph) -> dict[str, tuple[float, float]]:
    """Positions: one column for each generation, variables in the order of the graph, centred.

    >>> layers(nx.DiGraph([("age", "heart")]))
    {'age': (0.08, 0.0), 'heart': (1.08, 0.0)}
    """
    spots = {}
    for column, generation in enumerate(nx.topological_generations(graph)):
        members = [name for name in sorted_names(graph) if name in set(generation)]
        for row, name in enumerate(members):
            # Columns zigzag, so that edges that skip a column do not cross its labels.
            spots[name] = (column + 0.08 * (-1) ** row, (len(members) - 1) / 2 - row)
    return spots


@plain_text
def draw_graph(path: Path, graph: nx.DiGraph, *, missing: Sequence[tuple[str, str]] = ()) -> None:
    """Write the figure; it appears only when it is complete.

    Args:
        missing: pairs that are independent by the graph but not in the data; dashed.
    """
    spots = layers(graph)
    columns = 1 + max(round(x) for x, _ in spots.values())
    rows = max(sum(round(x) == column for x, _ in spots.values()) for column in range(columns))
    figure = Figure(figsize=(2.4 * columns, 0.6 * rows + 0.6), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(-rows / 2 - 0.1, rows / 2 + 0.1))
    box = {"boxstyle": "round,pad=0.3", "facecolor": PAPER, "edgecolor": INK, "linewidth": 0.8}
    labels = {
        name: axes.text(x, y, name, size=8, color=INK, ha="center", va="center", bbox=box, zorder=2)
        for name, (x, y) in spots.items()
    }
    lines: list[tuple[str, str, dict[str, Any]]] = [
        *((*edge, {"arrowstyle": "-|>", "color": INK, "linewidth": 0.8}) for edge in graph.edges),
        *((*pair, {"arrowstyle": "-", "color": RED, "linewidth": 1.2, "linestyle": "--"}) for pair in missing),
    ]
    for one, other, style in lines:
        ends = {"patchA": labels[one].get_bbox_patch(), "patchB": labels[other].get_bbox_patch()}
        bend = {"connectionstyle": "arc3,rad=0.08", "shrinkA": 0, "shrinkB": 1}
        axes.annotate("", spots[other], spots[one], arrowprops={**style, **ends, **bend}, zorder=1)
    axes.set_axis_off()
    save(figure, path, dpi=150)
