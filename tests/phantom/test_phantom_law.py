"""The coupled law against its equations written out, and against what its graph implies of a large sample."""

from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from scipy.special import ndtri

from segue.causal.graph import causal_graph, mermaid
from segue.phantom import COVARIATES, EDGES, VARIABLES, areas, counterfactual, draw, solve
from segue.phantom.geometry import feasible
from segue.phantom.law import LAWS, as_matrix

GRAPH = nx.DiGraph(EDGES)
NAMES = (*COVARIATES, *VARIABLES)


@pytest.fixture(scope="module")
def noise():
    return draw(4000, seed=0, law="coupled")


def by_hand(scalars, i, do):
    """One image's variables, number by number."""
    v = {}

    def put(name, value):
        v[name] = do.get(name, value)

    put("age", 60 + 10 * ndtri(scalars.age[i]))
    put("burden", ndtri(scalars.burden[i]))
    for r, region in enumerate(("proximal", "mid", "distal")):
        for t, kind in enumerate(("calcified_plaque", "noncalcified_plaque")):
            above = v[f"{kind}@{('proximal', 'mid', 'distal')[r - 1]}"] if r else 0.0
            score = 0.6 + 0.4 * (v["age"] - 60) / 10 + 0.6 * v["burden"] + 0.12 * above
            score += 0.9 * ndtri(scalars.amount[i, t, r])
            put(f"{kind}@{region}", 12 * (1 - np.exp(-max(score, 0) / 3)))
        calibre = (2.6, 2.1, 1.6)[r] + (1.6, 1.3, 1.1)[r] * scalars.calibre[i, r]
        plaque = v[f"calcified_plaque@{region}"] + v[f"noncalcified_plaque@{region}"]
        put(f"lumen@{region}", 12 * calibre * np.exp(-0.016 * plaque))
    return v


@pytest.mark.parametrize("do", [{}, {"calcified_plaque@proximal": 7.0}, {"age": 75.0, "lumen@mid": 30.0}])
def test_the_equations_by_hand(noise, do):
    values = solve(noise, {name: np.full(len(noise), x) for name, x in do.items()})
    assert tuple(sorted(values)) == tuple(sorted(NAMES))
    for i in range(0, 40):
        for name, expected in by_hand(noise.scalars, i, do).items():
            assert values[name][i] == pytest.approx(expected, abs=1e-9), name


def test_the_graph_is_acyclic_and_over_the_laws_variables():
    assert nx.is_directed_acyclic_graph(GRAPH) and set(GRAPH) == set(NAMES)


def test_causes_come_before_effects_in_every_law():
    for law in LAWS.values():
        known: set[str] = set()
        for equation in law:
            assert set(equation.parents) <= known
            known.add(equation.name)


def test_the_docs_show_this_graph_and_these_equations():
    text = (Path(__file__).parents[2] / "docs" / "phantom.md").read_text()
    coupled = LAWS["coupled"]
    graph = causal_graph({one.name: one.parents for one in coupled}, [one.name for one in coupled])
    assert f"```mermaid\n{mermaid(graph)}\n```" in text
    assert all(f"| `{one.name}` | `{one.formula}` |" in text for one in coupled)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_done_reaches_its_descendants_and_them_alone(noise, name):
    before = solve(noise)
    after = solve(noise, {name: before[name] + before[name].std()})
    moved = {other for other in NAMES if not np.array_equal(before[other], after[other])}
    assert moved == {name} | nx.descendants(GRAPH, name)


def test_a_variable_takes_its_noise_and_its_parents_alone(noise):
    other = draw(4000, seed=1, law="coupled")
    swapped = replace(noise, scalars=replace(noise.scalars, calibre=other.scalars.calibre))
    before, after = solve(noise), solve(swapped)
    moved = {name for name in NAMES if not np.array_equal(before[name], after[name])}
    assert moved == {"lumen@proximal", "lumen@mid", "lumen@distal"}


def test_regression_finds_the_edges_signs(noise):
    values = solve(noise)
    for effect, sign in (("lumen", -1), ("calcified_plaque", 1), ("noncalcified_plaque", 1)):
        for region in ("proximal", "mid", "distal"):
            name = f"{effect}@{region}"
            causes = sorted(GRAPH.predecessors(name))
            design = np.column_stack([*(values[cause] for cause in causes), np.ones(len(noise))])
            slopes = np.linalg.lstsq(design, values[name], rcond=None)[0][:-1]
            assert (sign * slopes > 0).all(), name
    plaque = sum(values[f"{kind}_plaque@mid"] for kind in ("calcified", "noncalcified"))
    slope = np.polyfit(plaque, np.log(values["lumen@mid"]), 1)[0]
    assert slope == pytest.approx(-0.016, abs=0.002)


def test_plaque_is_zero_inflated_and_grows_with_age(noise):
    plaque = areas(noise)[:, 3:]
    assert ((plaque == 0).mean(0) > 0.15).all() and ((plaque == 0).mean(0) < 0.35).all()
    age = solve(noise)["age"]
    assert age.mean() == pytest.approx(60, abs=0.5) and age.std() == pytest.approx(10, abs=0.4)
    assert (plaque[age > 70].mean(0) > 1.5 * plaque[age < 50].mean(0)).all()


def test_a_counterfactual_propagates_only_where_it_is_asked_to():
    noise = draw(60, seed=3, law="coupled")
    factual, do = areas(noise), {"calcified_plaque@proximal": 6.0}
    direct = counterfactual(noise, do, (16, 48)).areas
    total = counterfactual(noise, do, (16, 48), propagate=True).areas
    changed = lambda a: {VARIABLES[v] for v in np.flatnonzero(np.abs(a - factual).max(0) > 1e-6)}  # noqa: E731
    assert changed(direct) == {"calcified_plaque@proximal"}
    calcified = {f"calcified_plaque@{region}" for region in ("proximal", "mid", "distal")}
    assert changed(total) == calcified | {f"lumen@{region}" for region in ("proximal", "mid", "distal")}
    expected = as_matrix(solve(noise, {"calcified_plaque@proximal": np.full(60, 6.0)}), VARIABLES)
    np.testing.assert_allclose(total, expected)


def test_under_the_independent_law_nothing_propagates():
    noise = draw(20, seed=3)
    held, free = (counterfactual(noise, {"lumen@mid": 30.0}, (16, 48), propagate=p).areas for p in (False, True))
    np.testing.assert_array_equal(held, free)


@pytest.mark.parametrize("law", ["independent", "coupled"])
def test_the_geometry_holds_whatever_the_law_asks_for(law):
    noise = draw(4000, seed=2, law=law)
    np.testing.assert_array_equal(feasible(areas(noise), noise), areas(noise))


def test_age_acts_through_the_areas_alone():
    noise = draw(20, seed=4, law="coupled")
    older = {"age": 5 + solve(noise)["age"]}
    np.testing.assert_array_equal(counterfactual(noise, older, (16, 48)).areas, areas(noise))
    moved = counterfactual(noise, older, (16, 48), propagate=True).areas - areas(noise)
    assert (moved[:, :3] <= 0).all() and (moved[:, 3:] >= 0).all() and moved[:, 3:].max() > 0.1
