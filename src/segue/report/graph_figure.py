"""The causal graph drawn: causes left, effects right, pairs that the data refuse as independent in red."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import networkx as nx

from segue.causal.graph import sorted_names
from segue.report.figure import save

INK, RED, PAPER = "#333333", "#c0392b", "#eef2f7"


def layers(graph: nx.DiGraph) -> dict[str, tuple[float, float]]:
    """Positions: one column a generation, each variable in the order of the graph, centred."""
    spots = {}
    for column, generation in enumerate(nx.topological_generations(graph)):
        members = [name for name in sorted_names(graph) if name in set(generation)]
        for row, name in enumerate(members):
            # A wave across each column keeps edges that skip it off the labels.
            spots[name] = (column + 0.08 * (-1) ** row, (len(members) - 1) / 2 - row)
    return spots


def draw_graph(path: Path, graph: nx.DiGraph, *, missing: Sequence[tuple[str, str]] = ()) -> None:
    """Write the figure; it appears only when it is complete.

    Args:
        missing: pairs whose independence the data refute, dashed.
    """
    spots = layers(graph)
    columns = 1 + max(round(x) for x, _ in spots.values())
    rows = max(sum(round(x) == column for x, _ in spots.values()) for column in range(columns))
    figure, axes = plt.subplots(figsize=(2.4 * columns, 0.6 * rows + 0.6), layout="constrained")
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
    plt.close(figure)
