"""The graph that a study names: what is refused, in which order it comes, and how it is drawn."""

import itertools

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.causal.graph import causal_graph, mermaid, parents_of, sorted_names
from segue.errors import InputError

NAMES = ("lumen@mid", "plaque@mid", "age", "sex")


def test_a_graph_has_all_variables_and_the_edges_that_are_named():
    graph = causal_graph({"lumen@mid": ["plaque@mid"], "plaque@mid": ["sex", "age"]}, NAMES)
    assert tuple(graph) == NAMES
    assert set(graph.edges) == {("plaque@mid", "lumen@mid"), ("age", "plaque@mid"), ("sex", "plaque@mid")}
    assert parents_of(graph) == {
        "lumen@mid": ("plaque@mid",), "plaque@mid": ("age", "sex"), "age": (), "sex": ()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ({"lumen@mid": ["plaqe@mid"]}, r"graph.lumen@mid: plaqe@mid is no variable; did you mean plaque@mid\?"),
        ({"lumn@mid": []}, r"graph.lumn@mid: lumn@mid is no variable; did you mean lumen@mid\?"),
        ({"age": ["age"]}, "cycle, age -> age;"),
        ({"age": ["sex", "sex"]}, "names sex twice"),
        ({"age": ["sex"], "sex": ["lumen@mid"], "lumen@mid": ["age"]}, "has a cycle, .* -> .* -> .* -> .*; take one"),
    ],
)
def test_what_is_no_graph_is_refused_by_name(edges, said):
    with pytest.raises(InputError, match=said):
        causal_graph(edges, NAMES)


@given(st.permutations(range(5)), st.sets(st.sampled_from(list(itertools.combinations(range(5), 2)))))
def test_causes_come_before_effects_whatever_the_order_of_names(order, pairs):
    names = [f"v{i}" for i in order]
    edges = {f"v{b}": [f"v{a}" for a, other in pairs if other == b] for b in range(5)}
    found = sorted_names(causal_graph(edges, names))
    assert sorted(found) == sorted(names)
    assert all(found.index(f"v{a}") < found.index(f"v{b}") for a, b in pairs)


def test_mermaid_says_the_same_graph():
    graph = causal_graph({"lumen@mid": ["plaque@mid", "age"], "plaque@mid": ["age"]}, NAMES)
    head, *lines = mermaid(graph).splitlines()
    assert head == "graph LR"
    names = dict(line.strip().rstrip("]").split("[") for line in lines if "[" in line)
    edges = [line.strip().split(" --> ") for line in lines if "-->" in line]
    read = nx.DiGraph((names[cause], names[effect]) for cause, effects in edges for effect in effects.split(" & "))
    assert set(names.values()) == set(NAMES) and set(read.edges) == set(graph.edges)
