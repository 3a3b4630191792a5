"""The causal graph over the variables: built from the parents of each, checked, sorted, and drawn as Mermaid."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from segue.errors import InputError, nearest
from segue.quoting import in_mermaid

if TYPE_CHECKING:  # slow to import, and many models have no graph
    import networkx as nx

Edges = Mapping[str, Sequence[str]]
"""By variable, its parents: its direct causes."""


def causal_graph(edges: Edges, names: Sequence[str]) -> "nx.DiGraph":
    """A directed acyclic graph over all of `names`; a name that is missing in `edges` has no parents.

    Nodes, and the parents of each node, are in the order of `names`, so the order of `edges` has no effect.

    Raises:
        InputError: an unknown name, a parent named twice, or a cycle.

    >>> causal_graph({"heart": ["age", "sex"]}, ["age", "sex", "heart"]).edges
    OutEdgeView([('age', 'heart'), ('sex', 'heart')])
    """
    import networkx as nx

    for variable, parents in edges.items():
        for name in (variable, *parents):
            if name not in names:
                raise InputError(f"graph.{variable}: {name} is no variable{nearest(name, names)}")
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
    raise InputError(f"graph: has a cycle, {path}; take one of these edges out")


def sorted_names(graph: "nx.DiGraph") -> list[str]:
    """All names, causes before effects; otherwise in the graph's own order.

    >>> sorted_names(causal_graph({"heart": ["age"]}, ["heart", "age"]))
    ['age', 'heart']
    """
    import networkx as nx

    place = {name: i for i, name in enumerate(graph)}
    return list(nx.lexicographical_topological_sort(graph, key=place.__getitem__))


def parents_of(graph: "nx.DiGraph") -> dict[str, tuple[str, ...]]:
    """By variable, its parents; a root has ().

    >>> parents_of(causal_graph({"heart": ["age"]}, ["age", "heart"]))
    {'age': (), 'heart': ('age',)}
    """
    return {name: tuple(graph.predecessors(name)) for name in graph}


def mermaid(graph: "nx.DiGraph") -> str:
    """The graph in Mermaid's language, for Markdown pages; one line per variable that has effects.

    >>> print(mermaid(causal_graph({"heart": ["age"]}, ["age", "heart"])))
    graph LR
      v0[age]
      v1[heart]
      v0 --> v1
    """
    names = {name: f"v{i}" for i, name in enumerate(graph)}
    lines = [f"  {names[name]}[{in_mermaid(name)}]" for name in graph]
    for cause in graph:
        if effects := [names[effect] for effect in graph.successors(cause)]:
            lines.append(f"  {names[cause]} --> {' & '.join(effects)}")
    return "\n".join(["graph LR", *lines])
