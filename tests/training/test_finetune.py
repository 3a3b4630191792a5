import math

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from segue.causal.parents import Parents
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity
from segue.mechanisms.hvae import HVAEMechanism
from segue.training.batches import Batches
from segue.training.finetune import Constraint, CounterfactualFineTuning, intervene
from segue.training.guides import RegionGuide
from segue.training.loop import fit
from segue.training.objectives import Augmentation, augmented
from segue.training.prices import Prices
from segue.training.state import TrainingSettings

# ---- which counterfactuals are asked for -------------------------------------------------------------------------


@given(st.integers(2, 12), st.integers(1, 4), st.integers(0, 2), st.integers(1, 4), st.integers(0, 1000))
def test_each_row_takes_values_of_one_other_row(batch, measured, covariates, at_once, seed):
    torch.manual_seed(seed)
    parents = torch.arange(batch * (measured + covariates), dtype=torch.float32).reshape(batch, -1)  # all different
    requested = intervene(parents, measured, at_once)
    changed = requested != parents
    assert changed.sum(1).tolist() == [min(at_once, measured)] * batch
    assert not changed[:, measured:].any()
    donors: dict[int, set[int]] = {}
    for row, column in changed.nonzero().tolist():
        (donor,) = (parents[:, column] == requested[row, column]).nonzero()[:, 0].tolist()
        assert donor != row
        donors.setdefault(row, set()).add(donor)
    assert sorted(donor for (donor,) in donors.values()) == list(range(batch))


def test_an_image_alone_has_nobody_to_take_a_value_from():
    parents = torch.randn(1, 3)
    assert torch.equal(intervene(parents, 3), parents)


def test_every_variable_and_every_donor_has_its_turn():
    torch.manual_seed(0)
    parents = torch.arange(12.0).reshape(4, 3)
    seen = {tuple(intervene(parents, 3)[0].tolist()) for _ in range(300)}
    assert len(seen) == 9  # one of 3 variables, from one of 3 other rows


# ---- the Lagrangian ----------------------------------------------------------------------------------------------


def make(mechanism, **changes) -> CounterfactualFineTuning:
    how = {key: changes.pop(key) for key in ("at_once", "prices") if key in changes}
    bound = changes.pop("constraint", 0.0)
    constraint = Constraint(bound, **({"damping": 10.0, "rate": 0.5, "start": 2.0} | changes))
    guide = RegionGuide(mechanism.parents)
    return CounterfactualFineTuning(mechanism, guide, augment=Augmentation(), constraint=constraint, **how)


def batch_of(parents, count=6, seed=1):
    x = tiny.bars(count, seed=seed)
    areas, frames = parents.factual(x, torch.ones(count))
    return {"image": x, "parents": areas, "frames": frames, "pixel_area": torch.ones(count)}


def negative_elbo(mechanism, batch):
    facts = augmented(batch, Augmentation(), mechanism.parents)
    return -mechanism.fidelity(facts, mechanism.abduct(facts, sample=True)).mean()


def test_the_loss_by_hand(mechanism):
    batch, objective = batch_of(mechanism.parents), make(mechanism, constraint=-1.0)
    torch.manual_seed(0)
    loss, terms = objective(batch, 0.0)
    torch.manual_seed(0)
    nelbo = negative_elbo(mechanism, batch)
    violation = nelbo + 1.0
    assert violation > 0
    torch.testing.assert_close(terms["nelbo"], nelbo)
    torch.testing.assert_close(loss, terms["agreement"] + (2 + 10 * violation) * violation)
    torch.testing.assert_close(objective.multiplier, 2 + 0.5 * violation.detach())
    assert terms["change"] > 0


def test_change_elsewhere_costs_what_it_is_said_to_cost(mechanism):
    batch = batch_of(mechanism.parents)

    def terms(outside):
        torch.manual_seed(0)
        loss, said = make(mechanism, prices=Prices(outside=outside))(batch, 0.0)
        return float(loss.detach()), {name: float(value.detach()) for name, value in said.items()}

    (plain, _), (costly, said) = terms(0.0), terms(1000.0)
    assert 0 < said["elsewhere"] < said["change"]
    assert costly - plain == pytest.approx(1000 * said["elsewhere"], rel=0.01)


def test_the_gradient_is_the_augmented_lagrangians(mechanism):
    batch, objective = batch_of(mechanism.parents), make(mechanism, constraint=-1.0)
    parameters = [p for p in mechanism.model.parameters() if p.requires_grad]
    torch.manual_seed(0)
    loss, terms = objective(batch, 0.0)
    found = torch.autograd.grad(loss, parameters, retain_graph=True)
    violation = terms["nelbo"] + 1.0
    augmented_lagrangian = terms["agreement"] + 2 * violation + 0.5 * 10 * violation**2  # Platt & Barr, eq. 6
    expected = torch.autograd.grad(augmented_lagrangian, parameters)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_the_multiplier_grows_while_the_constraint_is_violated(mechanism):
    batch, objective = batch_of(mechanism.parents), make(mechanism, constraint=-100.0, start=0.0)
    values = []
    for _ in range(4):
        objective(batch, 0.0)
        values.append(float(objective.multiplier))
    assert 0 < values[0] < values[1] < values[2] < values[3]


def test_the_multiplier_falls_to_zero_and_no_further_while_there_is_room(mechanism):
    batch = batch_of(mechanism.parents)
    room = float(negative_elbo(mechanism, batch).detach()) + 1
    objective = make(mechanism, constraint=room, start=3.0, rate=1.0)
    values = []
    for _ in range(6):
        loss, terms = objective(batch, 0.0)
        values.append(float(objective.multiplier))
    assert values[0] < 3 and values[-1] == 0 and min(values) == 0
    torch.testing.assert_close(loss, terms["agreement"])  # the ELBO no longer pulls, nor pushes


def test_the_multiplier_is_saved_and_loaded(mechanism):
    objective = make(mechanism, constraint=-100.0)
    objective(batch_of(mechanism.parents), 0.0)
    other = make(mechanism, start=0.0)
    other.load_state_dict(objective.state_dict())
    assert torch.equal(other.multiplier, objective.multiplier) and float(other.multiplier) > 2


def test_the_multiplier_moves_in_training_alone_and_not_by_what_is_no_number(mechanism):
    batch, objective = batch_of(mechanism.parents), make(mechanism, constraint=-1.0)
    objective.eval()(batch, 0.0)
    assert float(objective.multiplier) == 2
    objective.train()(batch | {"image": batch["image"] * math.nan}, 0.0)
    assert float(objective.multiplier) == 2


def test_what_predicts_gets_gradients_and_what_abducts_or_measures_does_not(mechanism):
    objective = make(mechanism)
    objective(batch_of(mechanism.parents), 0.0)[0].backward()
    tuned = {name for name, p in objective.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert tuned == {name for name, p in objective.named_parameters() if p.requires_grad}
    parts = {name.removeprefix("mechanism.model.").split(".")[0] for name in tuned}
    assert parts == {"read", "inject", "image", "head"}  # "rise" lies between two levels; here the parents reach one


def test_fine_tuning_moves_the_counterfactual_and_leaves_the_abduction_alone(mechanism):
    objective, batch = make(mechanism), batch_of(mechanism.parents)
    facts = augmented(batch, Augmentation(), mechanism.parents)

    def answers():
        with torch.no_grad():
            posterior = mechanism.abduct(facts)
            return posterior.latents, mechanism.predict(facts, posterior, [facts.pa + 1])[0]

    (before, first) = answers()
    optimiser = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], lr=1e-2)
    objective(batch, 0.0)[0].backward()
    optimiser.step()
    (after, second) = answers()
    assert (first - second).abs().max() > 1e-4
    for a, b in zip([*before.states, before.kl], [*after.states, after.kl], strict=True):
        assert torch.equal(a, b)


def test_agreement_falls_and_the_constraint_holds(parents):
    net = tiny.hvae(context=parents.context_channels("map"))
    mechanism = HVAEMechanism(model=net, parents=parents, conditioning="map")
    batch = batch_of(parents, 16)
    torch.manual_seed(0)
    with torch.no_grad():
        constraint = float(negative_elbo(mechanism, batch))
    objective = make(mechanism, constraint=constraint, damping=10.0, rate=0.1, start=1.0)
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-2)
    agreement = []
    for _ in range(60):
        loss, terms = objective(batch, 0.0)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 50)
        optimiser.step()
        agreement.append(float(terms["agreement"].detach()))
    assert sum(agreement[-10:]) < 0.6 * sum(agreement[:10])
    with torch.no_grad():
        assert float(negative_elbo(mechanism, batch)) < constraint + 0.05


class Killed(BaseException):
    pass


def test_a_resumed_fine_tuning_ends_where_it_would_have_multiplier_and_all(phantom_store, tmp_path):
    parents = Parents(
        segmentor=tiny.Tones(-0.2, 0.4), variables=tiny.variables("dim", "bright"), covariates=()
    )
    count, size = len(phantom_store), phantom_store.size
    images = phantom_store.read(torch.arange(count).numpy())["image"] / 500 - 0.6
    areas, frames = parents.factual(images, torch.ones(count))
    parents.fit(areas)
    extras = {"parents": areas, "frames": frames, "pixel_area": torch.ones(count)}

    def run(name, seed, kill_at=None):
        net = tiny.hvae(size=size, context=parents.context_channels("map"), seed=seed)
        mechanism = HVAEMechanism(model=net, parents=parents, conditioning="map")
        objective = make(mechanism, constraint=0.5)
        if kill_at is not None:
            steps = iter(range(100))

            def stop(module, arguments):
                if next(steps) == kill_at:
                    raise Killed

            objective.register_forward_pre_hook(stop)
        batches = Batches(
            store=phantom_store, split="guide", batch_size=4, seed=0, extras=extras,
            grid=Grid(phantom_store.size, intensity=Intensity((-200.0, 800.0))),
        )  # fmt: skip
        (tmp_path / name).mkdir(exist_ok=True)
        settings = TrainingSettings(steps=12, lr=1e-3, precision="no", checkpoint_every=5, clip=50.0)
        fit(objective, batches, settings, directory=tmp_path / name, title="cft")
        return objective

    whole = run("whole", seed=0)
    with pytest.raises(Killed):
        run("killed", seed=0, kill_at=7)
    resumed = run("killed", seed=1)
    assert float(whole.multiplier) != 2
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
