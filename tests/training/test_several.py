"""Several processes train as one process with the whole batch would."""

import json
from pathlib import Path

import pytest
import several
import torch
from children import together
from small_study import write_study

from segue.cli import main

pytestmark = pytest.mark.xdist_group("several")  # the tests share what the first of them trains

RUNS = {
    "elbo": {"kind": "elbo", "batch_size": 6},
    "cft": {"kind": "cft", "batch_size": 6},
    "unequal": {"kind": "cft", "batch_size": 5},
}


@pytest.fixture(scope="module")
def folders(phantom_path, tmp_path_factory) -> dict[str, Path]:
    """Every run by one process (this one), and by two."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("one", "two")}
    for name, settings in RUNS.items():
        several.train(folders["one"], store=str(phantom_path), name=name, **settings)
    tasks = [{"task": "train", "store": phantom_path, "name": name, **settings} for name, settings in RUNS.items()]
    several.succeed(2, folders["two"], *tasks)
    return folders


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Each tensor to 1e-4 of its own norm."""
    assert one.keys() == other.keys()
    for name in one:
        distance, norm = float((one[name] - other[name]).norm()), float(one[name].norm())
        assert distance <= 1e-4 * norm + 1e-6, name


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_train_as_one_does(folders, name):
    """Augmentation, posterior samples, interventions, free bits and the multiplier: all see the whole batch."""
    one, weights = several.outcome(folders["one"], name)
    two, others = several.outcome(folders["two"], name)
    assert len(one["losses"]) == 20
    assert list(two["losses"].values()) == pytest.approx(list(one["losses"].values()), rel=1e-4)
    assert two["terms"] == pytest.approx(one["terms"], rel=1e-3)
    assert_close(weights, others)


def test_one_process_writes_the_logs(folders):
    assert len(list((folders["two"] / "cft" / "logs").iterdir())) == 1


def test_after_each_kill_the_same_command_goes_on_and_ends_with_the_same_weights(folders, phantom_path, tmp_path):
    """kill -9 of one rank: torchrun ends the other. On two processes the weights are equal, on one up to rounding."""
    task = {"store": str(phantom_path), "name": "cft", **RUNS["cft"]}
    checkpoint, kept = tmp_path / "cft" / "checkpoint.pt", {}
    for killed, calls, step in ((0, 8, 5), (1, 8, 10)):  # rank, its steps before the kill, and the checkpoint's
        ended = several.run(2, tmp_path, {"task": "train", "kill": f"{killed}:{calls}", **task})
        assert ended.returncode != 0 and "SIGKILL" in ended.stderr, ended.stderr
        assert torch.load(checkpoint, weights_only=True)["step"] == step
        assert not (tmp_path / "cft" / "fitted.json").exists()
        kept[step] = checkpoint.read_bytes()
    several.succeed(2, tmp_path, {"task": "train", **task})
    whole, weights = several.outcome(folders["two"], "cft")
    rest, others = several.outcome(tmp_path, "cft")
    assert list(rest["losses"].values()) == list(whole["losses"].values())[10:]
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    for step, left in kept.items():
        checkpoint.write_bytes(left)
        several.train(tmp_path, **task)
        rest, others = several.outcome(tmp_path, "cft")
        assert list(rest["losses"].values()) == pytest.approx(list(whole["losses"].values())[step:], rel=1e-4)
        assert_close(weights, others)


# ---- a whole study -----------------------------------------------------------------------------------------------

# Shorter, at lower rates, without instance normalisation: Adam makes large steps of gradients that are all rounding.
GENTLE = [
    *("--segmentor.arch", "segresnet", "--segmentor.budget", "{steps: 8, batch_size: 8, lr: 0.001}"),
    *("--finetune.budget.lr", "0.0001"),
    *("--finetune.guides", "[none, regressor, region]", "--hvae.conditioning", "[map]"),
]


def numbers(content: object, path: str = "") -> dict[str, float]:
    """Every number in a JSON document, by where it is."""
    if isinstance(content, dict | list):
        entries = content.items() if isinstance(content, dict) else enumerate(content)
        return {k: v for key, one in entries for k, v in numbers(one, f"{path}/{key}").items()}
    return {path: content} if isinstance(content, int | float) else {}


def steady(found: dict[str, float]) -> dict[str, float]:
    """All numbers but those of a classifier that is trained on the answers: it makes much of rounding."""
    return {path: number for path, number in found.items() if "local_realism" not in path}


def test_two_processes_do_a_study_as_one_does(tmp_path):
    study = write_study(tmp_path)
    assert main(["run", str(study), "--runs", str(tmp_path / "one"), *GENTLE]) == 0
    two = together(2, ["run", str(study), "--runs", str(tmp_path / "two"), *GENTLE], tmp_path)
    said = "".join(one.err for one in two)
    assert [one.code for one in two] == [0, 0], said
    assert said.count("judged independently") == 1 and said.count("evaluate ...") == 1
    runs = tmp_path / "one" / "small", tmp_path / "two" / "small"
    assert (runs[1] / "report" / "report.html").exists()
    files = [{str(path.relative_to(run)) for path in run.rglob("*") if "logs" not in path.parts} for run in runs]
    assert files[0] == files[1]
    assert all(len(list(logs.iterdir())) == 1 for logs in runs[1].rglob("logs"))
    assert json.loads((runs[1] / "pretrain" / "map" / "done.json").read_text())["processes"] == 2
    one, other = (json.loads((run / "evaluate" / "metrics.json").read_text()) for run in runs)
    assert list(other["methods"]) == ["no_cft", "reg_cft", "pos_seg_cft", "segue", "oracle"]
    for part in ("methods", "segmentors", "sd"):
        found, expected = (
            {key: value for key, value in steady(numbers(content[part])).items() if "seconds" not in key}
            for content in (other, one)
        )
        assert found == pytest.approx(expected, rel=2e-3, abs=1e-4)
    # the number of processes is no part of a stage's fingerprint: one process finds all stages done
    before = {path: path.stat().st_mtime_ns for path in runs[1].rglob("done.json")}
    assert main(["run", str(study), "--runs", str(tmp_path / "two"), *GENTLE]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in runs[1].rglob("done.json")}


def test_a_mistake_in_the_study_is_one_line(tmp_path):
    ended = together(2, ["run", str(tmp_path / "none.yaml")], tmp_path)
    lines = [line for one in ended for line in one.lines]
    assert all(one.code for one in ended) and len(lines) == 1 and "no such study" in lines[0]
