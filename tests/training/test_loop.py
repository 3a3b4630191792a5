import math
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity
from segue.errors import InputError, TrainingDiverged
from segue.training.batches import Batches
from segue.training.loop import fit
from segue.training.state import TrainingSettings, schedule


class Toy(nn.Module):
    """Fit brightness by a noisy two-layer network; `faults` maps the count of calls to what goes wrong there.

    It keeps what a real objective keeps: a frozen part, a buffer that it moves itself, and random numbers.
    """

    def __init__(self, seed: int = 0, faults: dict[int, object] | None = None, always: object = None) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.net = nn.Sequential(nn.Linear(16, 4), nn.Tanh(), nn.Linear(4, 1))
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.register_buffer("seen", torch.tensor(0.0))
        self.faults, self.always, self.calls = faults or {}, always, 0
        self.inputs: list[torch.Tensor] = []
        self.history: list[list[torch.Tensor]] = []

    def forward(self, batch, progress):
        fault = self.faults.get(self.calls, self.always)
        self.calls += 1
        self.history.append([p.detach().clone() for p in self.net.parameters()])
        if isinstance(fault, BaseException):
            raise fault
        self.inputs.append(batch["image"])
        self.seen += 1
        columns = batch["image"][:, 0, :16, :16].mean(2)
        error = (self.net(columns + 0.1 * torch.randn_like(columns))[:, 0] - columns.sum(1)).square().mean()
        penalty = sum(p.square().sum() for p in self.net.parameters())
        if isinstance(fault, float):
            error = error * fault
        return error + 0.001 * penalty, {"error": error, "penalty": penalty, "progress": torch.tensor(progress)}


@pytest.fixture
def run(phantom_store, tmp_path):
    def run(objective, name="run", validation_loss=None, **changes):
        grid = Grid(phantom_store.size, intensity=Intensity((-200.0, 800.0)))
        batches = Batches(store=phantom_store, split="guide", batch_size=4, seed=1, grid=grid)
        settings = {"steps": 30, "lr": 0.01, "precision": "no", "checkpoint_every": 8, "seed": 5} | changes
        directory = tmp_path / name
        return fit(
            objective, batches, TrainingSettings(**settings), directory=directory, title="toy",
            validation_loss=validation_loss,
        )  # fmt: skip

    (tmp_path / "run").mkdir()
    (tmp_path / "other").mkdir()
    return run


class Killed(BaseException):
    pass


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


# ---- resumption --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("killed_at", [3, 8, 21])
def test_a_run_killed_and_started_again_ends_where_it_would_have(run, killed_at):
    whole, first, second = Toy(), Toy(faults={killed_at: Killed()}), Toy(seed=9 if killed_at > 8 else 0)
    expected = run(whole, "other")
    with pytest.raises(Killed):
        run(first)
    found = run(second)
    assert second.calls == 30 - killed_at // 8 * 8
    assert same(second, whole)
    assert float(second.seen) == 30
    assert found.terms == expected.terms and found.skipped == expected.skipped == 0


def test_skipped_steps_before_the_kill_are_still_counted(run):
    faults = {2: math.nan, 25: math.inf}
    whole, first = Toy(faults=faults), Toy(faults=faults | {20: Killed()})
    expected = run(whole, "other")
    with pytest.raises(Killed):
        run(first)
    second = Toy(seed=9, faults={25 - 16: math.inf})
    assert run(second).skipped == expected.skipped == 2
    assert same(second, whole)


def test_the_same_seed_gives_the_same_run_and_another_does_not(run):
    a, b, c = Toy(), Toy(), Toy()
    run(a)
    run(b, "other")
    assert same(a, b)
    run(c, "other", seed=6, checkpoint_every=100)
    assert not same(a, c)


def test_a_checkpoint_holds_no_pickled_code_and_leaves_no_temporary_file(run, tmp_path):
    toy = Toy()
    run(toy)
    content = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert content["step"] == 24
    assert content["objective"].keys() == toy.state_dict().keys()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"checkpoint.pt", "checkpoint-before.pt", "logs"}


def test_a_checkpoint_of_another_version_is_refused_in_one_line(run, tmp_path):
    run(Toy())
    path = tmp_path / "run" / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    del content["in_a_row"]
    torch.save(content, path)
    with pytest.raises(InputError, match=r"checkpoint\.pt: another version of segue left it .*remove it to start anew"):
        run(Toy())


# ---- steps that must not be taken --------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [math.nan, math.inf, 1e9])
def test_a_step_with_a_bad_gradient_changes_nothing_and_is_counted(run, fault):
    toy = Toy(faults={4: fault, 11: fault})
    found = run(toy, skip=1e4)
    assert found.skipped == 2
    for step in (4, 11):
        assert all(torch.equal(a, b) for a, b in zip(toy.history[step], toy.history[step + 1], strict=True))
    assert not torch.equal(toy.history[5][0], toy.history[6][0])
    assert all(p.isfinite().all() for p in toy.parameters())


def test_patience_ends_the_run_and_names_the_term(run):
    toy = Toy(always=math.nan)
    with pytest.raises(TrainingDiverged, match=r"7 steps in a row.*error = nan"):
        run(toy, patience=7)
    assert toy.calls == 7
    with pytest.raises(TrainingDiverged, match=r"error = "):
        run(Toy(always=1e9), "other", patience=2, skip=1e4)


def test_patience_survives_a_kill(run):
    faults = dict.fromkeys(range(5, 14), math.nan) | {12: Killed()}
    with pytest.raises(Killed):
        run(Toy(faults=faults), patience=9)
    second = Toy(always=math.nan)
    with pytest.raises(TrainingDiverged, match="9 steps in a row"):
        run(second, patience=9)
    assert second.calls == 6  # steps 5, 6 and 7 were skipped before the checkpoint at 8


def test_only_steps_in_a_row_end_the_run(run):
    faults = dict.fromkeys([1, 2, 4, 5, 7, 8], math.nan)
    assert run(Toy(faults=faults), patience=3).skipped == 6


def test_a_run_that_skipped_too_many_steps_has_failed_and_names_the_image_of_the_largest_value(run, phantom_store):
    with pytest.raises(TrainingDiverged, match=r"10 of 30 steps skipped") as raised:
        run(toy := Toy(faults=dict.fromkeys(range(0, 30, 3), math.nan)))
    name, peak = re.search(r"that of (\S+) with (\S+):", str(raised.value)).groups()
    assert float(peak) == pytest.approx(float(toy.inputs[27].abs().max()), rel=0.01)  # the last skipped step
    row = phantom_store.table["id"].to_list().index(name)
    image = phantom_store.read(np.array([row]))["image"]
    grid = Grid(phantom_store.size, intensity=Intensity((-200.0, 800.0)))
    assert float(grid.scale(image).abs().max()) == pytest.approx(float(peak), rel=0.01)


def test_a_run_whose_loss_ends_as_no_number_has_failed(run):
    class Endless(Toy):
        def forward(self, batch, progress):
            loss, terms = super().forward(batch, progress)
            return loss + math.inf, terms  # its gradient is finite

    with pytest.raises(TrainingDiverged, match=r"the loss is not finite in the last tenth of 30 steps; lower lr"):
        run(Endless())


# ---- the optimiser -----------------------------------------------------------------------------------------------


def reference(toy: Toy, *, lr: float, clip: float, steps: int, warmup: int, decay: float, seed: int):
    """The same training, written out: AdamW, a clipped gradient, a schedule, and the average."""
    parameters = list(toy.net.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=lr, betas=(0.9, 0.95), weight_decay=0.01)
    mean = [p.detach().double() for p in parameters]
    for step, image in enumerate(toy.inputs[:steps]):
        torch.manual_seed(hash((seed, step)) % 2**63)
        cosine = 0.5 + 0.5 * math.cos(math.pi * (step - warmup) / (steps - warmup))
        optimiser.param_groups[0]["lr"] = lr * ((step + 1) / warmup if step < warmup else cosine)
        loss, _ = toy({"image": image}, step / steps)
        optimiser.zero_grad()
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in parameters]).norm()
        for p in parameters:
            p.grad *= min(1.0, clip / (float(norm) + 1e-6))
        optimiser.step()
        keep = min(decay, (1 + step) / (10 + step))
        mean = [keep * m + (1 - keep) * p.detach().double() for m, p in zip(mean, parameters, strict=True)]
    return mean


def test_training_and_its_average_are_what_the_formulas_say(run):
    toy = Toy()
    run(toy, warmup=3, clip=0.5, ema=0.8)
    by_hand = Toy()
    by_hand.inputs = list(toy.inputs)
    expected = reference(by_hand, lr=0.01, clip=0.5, steps=30, warmup=3, decay=0.8, seed=5)
    for found, mean in zip(toy.net.parameters(), expected, strict=True):
        torch.testing.assert_close(found.double(), mean, atol=1e-5, rtol=1e-4)
    last = list(by_hand.net.parameters())
    assert any((a - b).abs().max() > 1e-4 for a, b in zip(toy.net.parameters(), last, strict=True))


def test_without_memory_the_average_is_the_last_step(run):
    toy = Toy()
    run(toy, ema=0.0, warmup=3)
    by_hand = Toy()
    by_hand.inputs = list(toy.inputs)
    reference(by_hand, lr=0.01, clip=1.0, steps=30, warmup=3, decay=0.0, seed=5)
    for found, expected in zip(toy.net.parameters(), by_hand.net.parameters(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_training_learns_and_reports_the_tails_mean(run):
    toy = Toy()
    found = run(toy, steps=200, lr=0.03)
    early = run(Toy(), "other", steps=20, lr=1e-6)
    assert found.terms["error"] < 0.3 * early.terms["error"]
    assert found.terms["progress"] == pytest.approx(sum(t / 200 for t in range(180, 200)) / 20)
    assert {"loss", "grad_norm", "error", "penalty", "progress"} == found.terms.keys()
    assert found.seconds > 0


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_short_runs_report_too(run, steps):
    assert math.isfinite(run(Toy(), steps=steps).terms["loss"])


def test_frozen_parameters_do_not_move(run):
    toy, before = Toy(), Toy()
    run(toy, weight_decay=0.5)
    assert torch.equal(toy.frozen.weight, before.frozen.weight) and torch.equal(toy.frozen.bias, before.frozen.bias)
    assert not torch.equal(toy.net[0].weight, before.net[0].weight)


def test_schedule():
    rates = [schedule(step, steps=1000, warmup=50) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 50) and rates[49] == rates[50] == 1
    assert rates[525] == pytest.approx(0.5)
    assert 0 < rates[-1] < 1e-4
    assert all(a < b for a, b in pairwise(rates[:50]))
    assert all(a > b for a, b in pairwise(rates[50:]))


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 40])
def test_a_short_run_warms_up_for_a_third_of_it_at_most(steps):
    rates = [schedule(step, steps=steps, warmup=50) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[max(1, steps // 3) - 1] == 1


# ---- early stopping ----------------------------------------------------------------------------------------------


class Validation:
    """A validation loss with given values, which remembers the weights that it saw."""

    def __init__(self, toy: Toy, scores: list[float]) -> None:
        self.toy, self.scores, self.seen = toy, scores, []

    def __call__(self) -> float:
        self.seen.append([p.detach().clone() for p in self.toy.net.parameters()])
        return self.scores[len(self.seen) - 1]


def test_the_average_with_the_best_validation_loss_is_left(run):
    toy, plain = Toy(), Toy()
    loss = Validation(toy, [3.0, 2.0, 1.0, 2.0, 2.5])
    found = run(toy, validation_loss=loss, validate_every=7)  # evaluated at 7, 14, 21, 28, and at the end
    assert found.kept == 21 and len(loss.seen) == 5
    assert all(torch.equal(a, b) for a, b in zip(toy.net.parameters(), loss.seen[2], strict=True))
    run(plain, "other")
    assert all(torch.equal(a, b) for a, b in zip(plain.history[-1], toy.history[-1], strict=True))  # trained alike
    assert all(torch.equal(a, b) for a, b in zip(plain.net.parameters(), loss.seen[-1], strict=True))


def test_a_killed_run_remembers_its_best(run):
    scores = [3.0, 1.0, 2.0, 2.5]
    whole = Toy()
    run(whole, "other", validation_loss=Validation(whole, scores), validate_every=8)  # 8, 16, 24, 30
    first = Toy(faults={20: Killed()})
    with pytest.raises(Killed):
        run(first, validation_loss=Validation(first, scores), validate_every=8)
    second = Toy()
    found = run(second, validation_loss=Validation(second, scores[2:]), validate_every=8)
    assert found.kept == 16 and same(second, whole)


def test_without_validation_the_last_average_is_left(run):
    toy = Toy()
    assert run(toy, validation_loss=lambda: pytest.fail("evaluated")).kept is None
