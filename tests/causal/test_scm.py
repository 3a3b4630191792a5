"""The causal model against structural equations that are known, written out here."""

from pathlib import Path

import numpy as np
import pytest
import torch

from segue.causal.scm import SCM
from segue.errors import InputError
from segue.nets.weights import load_pretrained
from segue.training.fit_scm import fit_scm

NAMES = ("outcome", "dose", "mediator", "sex")
GRAPH = {"dose": ["sex"], "mediator": ["dose"], "outcome": ["dose", "mediator"]}
KINDS = {
    "outcome": {"kind": "continuous"},
    "dose": {"kind": "censored", "limit": 0.0},
    "mediator": {"kind": "continuous"},
    "sex": {"kind": "categorical", "levels": [1.0, 2.0]},
}


def equations(u, do=None):
    """sex a coin, dose censored, mediator linear, outcome with noise that grows with the mediator."""
    do = do or {}
    v = {"sex": do.get("sex", np.where(u["sex"] < 0.4, 1.0, 2.0))}
    v["dose"] = do.get("dose", np.maximum(0.5 + (v["sex"] - 1) + u["dose"], 0))
    v["mediator"] = do.get("mediator", 1 - 0.8 * v["dose"] + 0.5 * u["mediator"])
    v["outcome"] = do.get("outcome", v["dose"] + v["mediator"] + np.exp(0.3 * v["mediator"]) * u["outcome"])
    return np.stack([np.broadcast_to(v[name], len(u["sex"])) for name in NAMES], axis=1)


def noise(n, seed):
    random = np.random.default_rng(seed)
    return {"sex": random.random(n), **{name: random.normal(size=n) for name in ("dose", "mediator", "outcome")}}


def tensor(values):
    return torch.from_numpy(values.astype(np.float32))


@pytest.fixture(scope="module")
def scm():
    torch.manual_seed(0)
    made = SCM(names=NAMES, graph=GRAPH, kinds=KINDS, hidden=(16,), bins=4)
    values = tensor(equations(noise(2500, 0)))
    fit_scm(made, values[:2000], values[2000:], epochs=25, batch_size=400, patience=4)
    return made.requires_grad_(False)


@pytest.fixture(scope="module")
def factual():
    u = noise(600, 1)
    return u, tensor(equations(u))


def column(name):
    return NAMES.index(name)


def test_counterfactuals_meet_the_structural_equations(scm, factual):
    u, values = factual
    for do in ({"dose": 2.0}, {"sex": 2.0}, {"mediator": 0.0}):
        truth, found = tensor(equations(u, do)), scm.counterfactual(values, do)
        some = values[:, column("dose")] > 0  # the noise of no dose is a set
        error = (found - truth)[some].abs().mean(0) / values.std(0)
        change = (truth - values)[some].abs().mean(0) / values.std(0)
        assert (error[change > 0] < 0.15).all() and error.sum() < change.sum() / 3, do
        assert (error[change == 0] == 0).all(), do


def test_doing_what_is_so_changes_nothing_to_the_last_bit(scm, factual):
    _, values = factual
    for name in NAMES:
        assert torch.equal(scm.counterfactual(values, {name: values[:, column(name)]}), values)
    assert torch.equal(scm.counterfactual(values, {}), values)


def test_what_does_not_descend_from_the_cause_stays(scm, factual):
    _, values = factual
    found = scm.counterfactual(values, {"mediator": 3.0})
    for name in ("dose", "sex"):
        assert torch.equal(found[:, column(name)], values[:, column(name)])
    assert (found[:, column("mediator")] == 3).all() and (found[:, column("outcome")] != values[:, 0]).all()


def test_nothing_passes_through_what_is_held(scm, factual):
    _, values = factual
    found = scm.counterfactual(values, {"sex": 2.0}, hold=["dose"])
    rest = [column(name) for name in ("outcome", "dose", "mediator")]
    assert torch.equal(found[:, rest], values[:, rest])
    assert torch.equal(scm.counterfactual(values, {"dose": 1.0}, hold=["outcome", "mediator"])[:, 0], values[:, 0])


def test_effects_are_those_of_the_equations(scm, factual):
    """do(dose + 1): of the outcome, directly +1; through the mediator -0.8 and what its noise loses with it."""
    u, values = factual
    up = values[:, column("dose")] + 1
    total, direct, indirect = scm.effects(values, {"dose": up})
    truth = tensor(equations(u, {"dose": up.numpy().astype(float)})) - values
    sd = values.std(0)
    assert ((total - truth).abs().mean(0) / sd)[column("outcome")] < 0.1
    assert float(direct[:, column("outcome")].mean()) == pytest.approx(1, abs=0.1)
    assert float((direct[:, column("outcome")] - 1).abs().mean()) < 0.2
    assert float(indirect[:, column("mediator")].abs().max()) < 1e-5  # its only path from the dose is the edge
    assert torch.equal(direct + indirect, total) or torch.allclose(direct + indirect, total, atol=1e-5)
    assert not total[:, column("sex")].any()


def test_populations_follow_the_law_also_under_interventions(scm):
    for do in ({}, {"sex": 1.0}, {"dose": 1.5}):
        truth, found = equations(noise(20_000, 2), do), scm.sample(20_000, do=do, seed=3).numpy()
        scale = equations(noise(20_000, 2)).std(0)
        np.testing.assert_allclose(found.mean(0) / scale, truth.mean(0) / scale, atol=0.12)
        np.testing.assert_allclose(found.std(0) / scale, truth.std(0) / scale, atol=0.12)
        none = (truth[:, 1] == 0).mean(), (found[:, 1] <= 0).mean()
        assert none[0] == pytest.approx(none[1], abs=0.05)
    assert torch.equal(scm.sample(5, seed=1), scm.sample(5, seed=1))


def test_drawn_counterfactuals_spread_where_the_facts_leave_it_open_and_only_there(scm, factual):
    _, values = factual
    drawn = [
        scm.counterfactual(values, {"sex": 2.0}, generator=torch.Generator().manual_seed(seed)) for seed in range(8)
    ]
    spread = torch.stack(drawn).std(0)[:, column("dose")]
    women, some = values[:, column("sex")] == 1, values[:, column("dose")] > 0
    assert (spread[women & ~some] > 0).any() and spread[some].max() < 1e-4


def test_a_level_that_is_none_is_refused(scm):
    scm.check("sex", torch.tensor([1.0, 2.0]))
    scm.check("dose", torch.tensor([0.37]))
    with pytest.raises(InputError, match=r"sex = 1\.5: it is categorical; choose from 1, 2"):
        scm.check("sex", torch.tensor([1.0, 1.5]))


def test_it_is_saved_and_loaded_whole(scm, factual, tmp_path: Path):
    _, values = factual
    scm.save_pretrained(tmp_path)
    again = load_pretrained(SCM, tmp_path).requires_grad_(False)
    assert again.names == scm.names and set(again.graph.edges) == set(scm.graph.edges)
    assert torch.equal(again.counterfactual(values, {"sex": 2.0}), scm.counterfactual(values, {"sex": 2.0}))
    assert torch.equal(again.sample(9), scm.sample(9))


def test_a_fit_is_reproducible_and_stops(factual):
    _, values = factual
    weights = []
    for _ in range(2):
        torch.manual_seed(5)
        made = SCM(names=NAMES, graph=GRAPH, kinds=KINDS, hidden=(4,), bins=0)
        found = fit_scm(made, values[:400], values[400:], epochs=100, batch_size=200, lr=0.05, patience=2)
        assert all(one.epochs < 100 for one in found.values())
        weights.append(torch.cat([p.flatten() for p in made.parameters()]))
    assert torch.equal(*weights)
