"""The causal graph over the variables: a study names the parents of each; checked, sorted and drawn as Mermaid."""

import difflib
from collections.abc import Mapping, Sequence

import networkx as nx

from segue.errors import InputError

Edges = Mapping[str, Sequence[str]]
"""By variable, its parents: what acts on it directly."""


def causal_graph(edges: Edges, names: Sequence[str]) -> nx.DiGraph:
    """A directed acyclic graph over all of `names`; one without a line in `edges` has no parents.

    Nodes come in the order of `names`, and so do the parents of each: the same graph, however it was written.

    Raises:
        InputError: an unknown name, a parent named twice, or a cycle.
    """
    for variable, parents in edges.items():
        for name in (variable, *parents):
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
                mend = f"did you mean {near[0]}?" if near else f"choose from {', '.join(names)}"
                raise InputError(f"graph.{variable}: {name} is no variable; {mend}")
        if repeated := [name for name in parents if list(parents).count(name) > 1]:
            raise InputError(f"graph.{variable}: names {repeated[0]} twice; name each parent once")
    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((cause, effect) for cause in names for effect in names if cause in edges.get(effect, ()))
    try:
        loop = nx.find_cycle(graph)
    except nx.NetworkXNoCycle:
        return graph
    path = " -> ".join([loop[0][0], *(effect for _, effect in loop)])
    raise InputError(f"graph: has a cycle, {path}; take one of these edges out: nothing causes itself")


def sorted_names(graph: nx.DiGraph) -> list[str]:
    """Causes before effects; of those that could come next, the first in the graph's own order."""
    place = {name: i for i, name in enumerate(graph)}
    return list(nx.lexicographical_topological_sort(graph, key=place.__getitem__))


def parents_of(graph: nx.DiGraph) -> dict[str, tuple[str, ...]]:
    """By variable, its parents; a root has ()."""
    return {name: tuple(graph.predecessors(name)) for name in graph}


def mermaid(graph: nx.DiGraph) -> str:
    """The graph in Mermaid's language, one line a variable that has effects, for Markdown pages."""
    names = {name: f"v{i}" for i, name in enumerate(graph)}
    lines = [f"  {names[name]}[{name}]" for name in graph]
    for cause in graph:
        if effects := [names[effect] for effect in graph.successors(cause)]:
            lines.append(f"  {names[cause]} --> {' & '.join(effects)}")
    return "\n".join(["graph LR", *lines])
