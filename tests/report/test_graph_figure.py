"""The graph's figure: causes left of their effects, and a file that is an image."""

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segue.causal.graph import causal_graph
from segue.report.graph_figure import draw_graph, layers

PAIRS = [(a, b) for a in range(6) for b in range(a + 1, 6)]


@given(st.sets(st.sampled_from(PAIRS)))
def test_causes_are_left_of_their_effects_and_nothing_lies_on_another(pairs):
    names = [f"v{i}" for i in range(6)]
    graph = causal_graph({f"v{b}": [f"v{a}" for a, other in pairs if other == b] for b in range(6)}, names)
    spots = layers(graph)
    assert set(spots) == set(names) and len({(round(x), y) for x, y in spots.values()}) == 6
    assert all(spots[cause][0] < spots[effect][0] for cause, effect in graph.edges)


def test_it_is_written_whole(tmp_path):
    draw_graph(tmp_path / "graph.png", nx.DiGraph([("a", "b"), ("b", "c")]), missing=[("a", "c")])
    with Image.open(tmp_path / "graph.png") as image:
        assert image.format == "PNG" and min(image.size) > 50
    assert [path.name for path in tmp_path.iterdir()] == ["graph.png"]
