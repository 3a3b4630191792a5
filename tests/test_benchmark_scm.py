"""What the benchmark of the causal model computes, against closed forms and the law itself."""

import numpy as np
import pytest
import torch
from scipy import stats

from benchmarks.scm import (
    GRAPH,
    KINDS,
    NAMES,
    energy_distance,
    errors_of,
    identified,
    summary,
    true_noise,
    values_of,
)
from segue.causal.graph import causal_graph
from segue.phantom import draw, solve


def test_energy_distance_is_scipys_in_one_dimension():
    random = np.random.default_rng(0)
    x, y = random.normal(size=300), 0.5 + random.normal(size=200)
    squared = stats.energy_distance(x, y) ** 2 / 2  # of distribution functions; here of distances, twice that
    found = energy_distance(torch.tensor(x)[:, None], torch.tensor(y)[:, None])
    within = [np.abs(np.subtract.outer(a, a)).sum() * (1 / (len(a) * (len(a) - 1)) - 1 / len(a) ** 2) for a in (x, y)]
    assert found == pytest.approx(2 * squared - sum(within), abs=1e-6)


def test_the_truth_has_no_error_and_doing_nothing_the_effects_own():
    noise = draw(40, seed=5, law="coupled")
    factual = values_of(noise)
    sd = factual.std(0)
    truth = {"truth": lambda _, cause, value: values_of(noise, {cause: value}), "nothing": lambda known, *_: known}
    cells = list(errors_of(truth, noise, factual, sd))
    assert all(cell.errors["truth"].max() == 0 for cell in cells)
    assert sum(cell.errors["nothing"].sum() for cell in cells) > 0
    assert {cell.effect for cell in cells} == set(GRAPH)


def test_the_facts_fix_the_noise_where_there_is_plaque_all_the_way():
    noise = draw(60, seed=6, law="coupled")
    factual, values = values_of(noise), solve(noise)
    found = identified(causal_graph(GRAPH, NAMES), factual, "calcified_plaque@proximal", "lumen@distal")
    expected = (values["calcified_plaque@mid"] > 0) & (values["calcified_plaque@distal"] > 0)
    assert found.tolist() == expected.tolist()


def test_noise_and_values_are_in_the_order_of_names():
    noise = draw(20, seed=7, law="coupled")
    truth, factual = true_noise(noise), values_of(noise)
    assert set(truth) == set(NAMES) == set(KINDS)
    np.testing.assert_allclose(60 + 10 * truth["age"], factual[:, NAMES.index("age")], rtol=1e-5)


def test_a_ratio_of_means_lies_in_its_interval():
    random = np.random.default_rng(1)
    one, other = (np.stack([random.gamma(2, scale, 200), np.ones(200)], axis=1) for scale in (1.0, 3.0))
    found = summary("ratio", other, one)
    assert found.value == pytest.approx(other[:, 0].mean() / one[:, 0].mean())
    assert found.ci95 is not None and found.ci95[0] < found.value < found.ci95[1] and found.ci95[0] > 2
