"""Tests of a graph: levels against a second derivation, a missing edge caught, a correct graph not accused."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from segue.causal.graph import causal_graph
from segue.causal.independence import (
    check_graph,
    covariance_measure,
    holm,
    implied,
    partial_correlation,
    verdict,
)
from segue.phantom import COVARIATES, EDGES, VARIABLES, draw, solve

NAMES = (*VARIABLES, *COVARIATES)


def coupled(edges=EDGES):
    parents: dict[str, list[str]] = {}
    for cause, effect in edges:
        parents.setdefault(effect, []).append(cause)
    return causal_graph(parents, NAMES)


@pytest.fixture(scope="module")
def data():
    values = solve(draw(800, seed=11, law="coupled"))
    return {name: values[name][:, None] for name in NAMES}


def test_the_pairs_without_an_edge_are_d_separated():
    graph = coupled()
    pairs = implied(graph)
    assert len(pairs) + graph.number_of_edges() == len(NAMES) * (len(NAMES) - 1) // 2
    assert all(nx.is_d_separator(graph, {one}, {other}, set(given)) for one, other, given in pairs)


def test_a_correct_graph_is_not_accused(data):
    tested = check_graph(coupled(), data)
    assert not any(row.refuted for row in tested)
    assert verdict(tested).startswith(f"None of the {len(tested)} independencies")


@pytest.mark.parametrize(
    "edge",
    [("age", "calcified_plaque@mid"), ("burden", "noncalcified_plaque@proximal"),
     ("calcified_plaque@proximal", "calcified_plaque@mid")],
)  # fmt: skip
def test_a_missing_edge_is_caught(data, edge):
    tested = check_graph(coupled([one for one in EDGES if one != edge]), data)
    assert {tested[0].one, tested[0].other} == set(edge) and tested[0].refuted
    assert f"The strongest evidence is against that of {tested[0].one} and {tested[0].other}" in verdict(tested)


def test_a_hidden_common_cause_is_caught(data):
    """Burden is not in the graph: plaques are tied by it, and no edge says so."""
    names = [name for name in NAMES if name != "burden"]
    parents = {name: [c for c, e in EDGES if e == name and c != "burden"] for name in names}
    tested = check_graph(causal_graph(parents, names), {name: data[name] for name in names})
    refuted = {frozenset((row.one, row.other)) for row in tested if row.refuted}
    assert frozenset(("calcified_plaque@proximal", "noncalcified_plaque@proximal")) in refuted


def test_a_bent_common_cause_deceives_the_linear_test_alone():
    random = np.random.default_rng(0)
    z = random.normal(size=600)
    x, y = z**2 + 0.3 * random.normal(size=600), np.cos(2 * z) + 0.3 * random.normal(size=600)
    data = {name: column[:, None] for name, column in (("z", z), ("x", x), ("y", y))}
    (row,) = check_graph(causal_graph({"x": ["z"], "y": ["z"]}, ("z", "x", "y")), data)
    assert row.linear_p < 1e-6 and row.p > 0.01


def test_p_values_of_what_is_independent_are_uniform():
    """Under a bent common cause, over 60 data sets."""
    found = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        z = random.normal(size=200)
        x, y = np.sin(z) + random.normal(size=200), z**2 + random.normal(size=200)
        data = {name: column[:, None] for name, column in (("z", z), ("x", x), ("y", y))}
        found += [row.p for row in check_graph(causal_graph({"x": ["z"], "y": ["z"]}, ("z", "x", "y")), data)]
    assert stats.kstest(found, "uniform").pvalue > 1e-3


def test_categories_are_tested_by_level():
    random = np.random.default_rng(1)
    group = random.integers(0, 3, size=500)
    levels = np.eye(3)[group][:, 1:]
    tied = (group == 2) + random.normal(size=500)
    graph = causal_graph({}, ("group", "tied", "free"))
    tested = check_graph(graph, {"group": levels, "tied": tied[:, None], "free": random.normal(size=(500, 1))})
    assert [{row.one, row.other} for row in tested if row.refuted] == [{"group", "tied"}]


def test_partial_correlation_without_conditions_is_pearsons():
    random = np.random.default_rng(2)
    x, y = random.normal(size=(2, 50))
    r, p = partial_correlation(x - x.mean(), y - y.mean(), 0)
    expected = stats.pearsonr(x, y)
    assert r == pytest.approx(expected.statistic) and p == pytest.approx(expected.pvalue, abs=0.01)


def test_the_covariance_measure_is_a_t_statistic_of_products():
    random = np.random.default_rng(3)
    x, y = random.normal(size=(2, 40))
    t = stats.ttest_1samp(x * y, 0).statistic
    assert covariance_measure(x, y) == pytest.approx(t * np.sqrt(40 / 39))


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=30))
def test_holm_by_its_definition(ps):
    p = np.array(ps)
    corrected = holm(p)
    for level in (0.01, 0.05, 0.2):
        alive = sorted(range(len(p)), key=lambda i: p[i])
        rejected = set()
        for rank, i in enumerate(alive):
            if p[i] * (len(p) - rank) >= level:
                break
            rejected.add(i)
        assert {i for i in range(len(p)) if corrected[i] < level} == rejected


def test_a_full_graph_implies_nothing():
    graph = causal_graph({"b": ["a"], "c": ["a", "b"]}, ("a", "b", "c"))
    data = {name: np.random.default_rng(4).normal(size=(30, 1)) for name in "abc"}
    assert check_graph(graph, data) == [] and "no data can refute it" in verdict([])
