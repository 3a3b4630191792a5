"""The causal graph drawn: causes left, effects right, pairs that the data refuse as independent in red."""

import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx

from segue.causal.graph import sorted_names

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
    figure, axes = plt.subplots(figsize=(2.6 * columns + 1, 0.6 * rows + 0.8), layout="constrained")
    boxes = {"boxstyle": "round,pad=0.3", "facecolor": PAPER, "edgecolor": INK, "linewidth": 0.8}
    nx.draw_networkx_labels(graph, spots, ax=axes, font_size=8, font_color=INK, bbox=boxes)
    nx.draw_networkx_edges(graph, spots, ax=axes, edge_color=INK, node_size=2600, width=0.9, arrowsize=10)
    if missing:
        pairs = nx.Graph(list(missing))
        nx.draw_networkx_edges(pairs, spots, ax=axes, edge_color=RED, style="dashed", node_size=2600, width=1.2)
    axes.margins(0.18)
    axes.set_axis_off()
    partial = path.with_name(f".{path.name}")
    figure.savefig(partial, dpi=150, format="png")
    plt.close(figure)
    os.replace(partial, path)
