"""Several processes train as one that holds the whole batch."""

import shutil
from pathlib import Path

import pytest
import several
import torch

pytestmark = pytest.mark.xdist_group("several")  # they share what the first of them trains

RUNS = {
    "elbo": {"kind": "elbo", "batch_size": 6},
    "cft": {"kind": "cft", "batch_size": 6},
    "unequal": {"kind": "cft", "batch_size": 5},
}


@pytest.fixture(scope="module")
def folders(phantom_path, tmp_path_factory) -> dict[str, Path]:
    """Every run by one process (this one), by two, and by two with the network sharded."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("one", "ddp", "fsdp")}
    for name, settings in RUNS.items():
        several.train(folders["one"], store=str(phantom_path), name=name, **settings)
    for strategy in ("ddp", "fsdp"):
        tasks = [{"task": "train", "store": phantom_path, "name": name, **settings} for name, settings in RUNS.items()]
        several.run(2, folders[strategy], *tasks, strategy=strategy)
    return folders


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Each tensor to 1e-4 of its own norm."""
    assert one.keys() == other.keys()
    for name in one:
        distance, norm = float((one[name] - other[name]).norm()), float(one[name].norm())
        assert distance <= 1e-4 * norm + 1e-6, name


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_train_as_one_does(folders, strategy, name):
    """Augmentation, posterior samples, interventions, free bits and the multiplier: all see the whole batch."""
    one, weights = several.outcome(folders["one"], name)
    two, others = several.outcome(folders[strategy], name)
    assert len(one["losses"]) == 20
    assert list(two["losses"].values()) == pytest.approx(list(one["losses"].values()), rel=1e-4)
    assert two["terms"] == pytest.approx(one["terms"], rel=1e-3)
    assert_close(weights, others)


def test_one_process_writes_the_logs(folders):
    for strategy in ("ddp", "fsdp"):
        assert len(list((folders[strategy] / "cft" / "logs").iterdir())) == 1


@pytest.mark.parametrize(
    ("strategy", "other"), [("ddp", "fsdp"), pytest.param("fsdp", "ddp", marks=pytest.mark.slow)]
)
def test_what_is_left_of_a_killed_training_is_finished_by_any_number_of_processes(
    folders, phantom_path, tmp_path, strategy, other
):
    task = {"store": str(phantom_path), "name": "cft", **RUNS["cft"]}
    line = several.last_word(2, tmp_path, {"task": "train", "kill": "1:13", **task}, strategy=strategy)
    assert "rank 1 missing (rank 1 last seen at step 13 of cft; rank 0 is at step 13 of cft)" in line
    left = torch.load(tmp_path / "cft" / "checkpoint.pt", weights_only=True)
    assert left["step"] == 10
    shutil.copytree(tmp_path / "cft", tmp_path / "two" / "cft")
    several.train(tmp_path, **task)
    several.run(2, tmp_path / "two", {"task": "train", **task}, strategy=other)
    whole, weights = several.outcome(folders["one"], "cft")
    for folder in (tmp_path, tmp_path / "two"):
        rest, others = several.outcome(folder, "cft")
        assert list(rest["losses"].values()) == pytest.approx(list(whole["losses"].values())[10:], rel=1e-4)
        assert_close(weights, others)
