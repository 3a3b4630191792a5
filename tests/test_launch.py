"""The command that starts processes itself, as a user would give it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_study import METHODS, trained, write_study

from segue.cli import main
from segue.errors import InputError
from segue.launch import Placement, place

# Shorter, at lower rates, without instance normalisation: Adam makes large steps of gradients that are all rounding.
GENTLE = [
    *("--segmentor.arch", "segresnet", "--segmentor.budget", "{steps: 8, batch_size: 8, lr: 0.001}"),
    *("--finetune.budget.lr", "0.0001"),
]


def segue(*arguments: object, torchrun: bool = False) -> subprocess.Popen:
    python = [sys.executable, "-m"]
    several = [*python, "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"] if torchrun else python
    return subprocess.Popen(
        [*several, "segue", *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# ---- options -----------------------------------------------------------------------------------------------------


def test_by_default_nothing_is_started():
    assert place({}) == Placement() and not place({}).spawns
    assert place({"devices": "2"}).spawns
    several = {"devices": "1", "nodes": "2", "node-rank": "1", "rendezvous": "node0:29400", "strategy": "fsdp"}
    assert place(several) == Placement(1, 2, 1, "node0:29400", "fsdp")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"devices": "0"}, "--devices 0: give a whole number from 1"),
        ({"devices": "two"}, "--devices two"),
        ({"nodes": "2"}, "--node-rank and --rendezvous"),
        ({"nodes": "2", "node-rank": "2", "rendezvous": "a:1"}, "--node-rank 2: give 0 to 1"),
        ({"nodes": "2", "node-rank": "0", "rendezvous": "node0"}, "--rendezvous node0: give HOST:PORT"),
        ({"strategy": "dp"}, "--strategy dp: choose from ddp, fsdp"),
        ({"timeout": "soon"}, "--timeout soon: give seconds"),
    ],
)
def test_wrong_options_are_refused(given, expected):
    with pytest.raises(InputError, match=expected):
        place(given)


def test_torchruns_processes_start_no_others(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(InputError, match="--devices: torchrun has started the processes already"):
        place({"devices": "2"})


def test_more_devices_than_there_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match="--devices 3: this machine has 2 CUDA devices"):
        place({"devices": "3"})


def test_a_mistake_in_the_study_starts_nothing(capsys, tmp_path):
    assert main(["run", str(tmp_path / "none.yaml"), "--devices", "2"]) == 2
    assert "no such study" in capsys.readouterr().err
    assert main(["run", "--devices", "2"]) == 2
    assert "give a study" in capsys.readouterr().err


# ---- studies -----------------------------------------------------------------------------------------------------


def numbers(content: object, path: str = "") -> dict[str, float]:
    """Every number in a JSON document, by where it is."""
    if isinstance(content, dict | list):
        entries = content.items() if isinstance(content, dict) else enumerate(content)
        return {k: v for key, one in entries for k, v in numbers(one, f"{path}/{key}").items()}
    return {path: content} if isinstance(content, int | float) else {}


@pytest.mark.xdist_group("small_study")
@pytest.mark.parametrize("torchrun", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_two_processes_do_a_study_as_one_does(tmp_path, torchrun):
    study = write_study(tmp_path)
    assert main(["run", str(study), "--runs", str(tmp_path / "one"), *GENTLE]) == 0
    devices = [] if torchrun else ["--devices", "2"]
    two = segue("run", study, "--runs", tmp_path / "two", *GENTLE, *devices, torchrun=torchrun)
    out, err = two.communicate(timeout=600)
    assert two.returncode == 0, err
    assert out.count("judged independently") == 1 and err.count("evaluate ...") == 1
    runs = tmp_path / "one" / "small", tmp_path / "two" / "small"
    assert (runs[1] / "report" / "report.html").exists()
    files = [{str(path.relative_to(run)) for path in run.rglob("*") if "logs" not in path.parts} for run in runs]
    assert files[0] == files[1]
    assert all(len(list(logs.iterdir())) == 1 for logs in runs[1].rglob("logs"))
    assert json.loads((runs[1] / "pretrain" / "map" / "done.json").read_text())["processes"] == 2
    one, other = (json.loads((run / "evaluate" / "metrics.json").read_text()) for run in runs)
    assert list(other["methods"]) == [*METHODS, "oracle"]
    for part in ("methods", "segmentors", "sd"):
        assert numbers(other[part]) == pytest.approx(numbers(one[part]), rel=2e-3, abs=1e-4)
    # where it runs is no part of a stage's fingerprint: one process finds all of it done
    before = {path: path.stat().st_mtime_ns for path in runs[1].rglob("done.json")}
    assert main(["run", str(study), "--runs", str(tmp_path / "two"), *GENTLE]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in runs[1].rglob("done.json")}


@pytest.mark.xdist_group("small_study")
def test_more_processes_than_images_in_a_batch_is_one_mistake(tmp_path):
    study, run = trained()
    shutil.copytree(run, tmp_path / "small")
    changed = ["--finetune.budget.batch_size", "2", "--finetune.guides", "[region]"]
    process = segue("finetune", study, "--runs", tmp_path, *changed, "--devices", "3")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert err.count("segue: batch_size 2 leaves some of 3 processes without an image") == 1 and "Traceback" not in err


def worker(launcher: int, rank: int) -> int:
    """The process of a rank, among the launcher's children."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return next(int(pid) for pid in children if f"RANK={rank}\0" in "\0" + Path(f"/proc/{pid}/environ").read_text())


@pytest.mark.xdist_group("small_study")
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the process to kill in /proc")
@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_killed_rank_is_named_and_the_command_goes_on(tmp_path, lost):
    study, run = trained()
    for name in ("killed", "whole"):
        shutil.copytree(run, tmp_path / name / "small")
    long = ["--judge.budget.steps", "160", "--judge.budget.lr", "0.0001"]

    def judge(name: str, devices: int) -> subprocess.Popen:
        return segue("judge", study, "--runs", tmp_path / name, *long, "--devices", devices)

    killed, folder = judge("killed", 2), tmp_path / "killed" / "small" / "judge"
    while not (folder / "checkpoint.pt").exists() and killed.poll() is None:
        time.sleep(0.01)
    os.kill(worker(killed.pid, lost), signal.SIGKILL)
    _, err = killed.communicate(timeout=300)
    assert killed.returncode == 1
    assert err.count(f"segue: rank {lost} missing (rank {lost} last seen at step 1") == 1, err
    assert err.count("segue: ") == 1 and "Traceback" not in err
    assert not (folder / "done.json").exists()

    shutil.copytree(tmp_path / "killed", tmp_path / "again")
    others = {name: judge(name, devices) for name, devices in (("killed", 1), ("again", 2), ("whole", 2))}
    weights = {}
    for name, process in others.items():
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        weights[name] = load_file(tmp_path / name / "small" / "judge" / "model.safetensors")
    for name, tensor in weights["whole"].items():
        assert torch.equal(weights["again"][name], tensor)  # on as many processes, to the bit
        assert (weights["killed"][name] - tensor).norm() <= 1e-3 * tensor.norm() + 1e-6, name
