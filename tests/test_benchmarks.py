"""Every benchmark at a tiny scale, its arithmetic on known numbers, and the reference HVAE that it races."""

import importlib
import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import small_study
import tiny
import torch
from accelerate.state import AcceleratorState
from torch import nn

from benchmarks import (
    cohort,
    coverage,
    finetuning,
    gpu,
    growth,
    precision,
    reference,
    requests,
    step,
    workload,
)
from benchmarks.as_published import AsPublished
from benchmarks.machine import ROOT, Alone, Cost, gflop, matmuls
from benchmarks.record import Findings, Statement, run, table, write
from benchmarks.settings import SETTINGS
from benchmarks.timing import interleave, ratio
from segue.mechanisms.hvae import HVAEMechanism
from segue.study.read import load_study
from segue.training.finetune import Constraint, CounterfactualFineTuning
from segue.training.guides import RegionGuide
from segue.training.objectives import Augmentation, Pretraining

TINY = {"rounds": 3, "warmup": 0, "size": (32, 32)}
SCALES = {
    "step": (step, TINY | {"rounds": 2, "batch": 2, "works": ("fine-tuning step with motion", "prediction")}),
    "finetuning": (finetuning, TINY | {"batch": 2}),
    "requests": (requests, TINY | {"images": 2}),
    "reference": (reference, TINY | {"batch": 2}),
    "cohort": (cohort, TINY | {"images": 40, "cohorts": (10, 70)}),
    "growth": (growth, {"rounds": 1, "sides": (32, 64), "volumes": (32,), "pixels": 2048, "regions": (1, 2)}),
    "gpu": (gpu, gpu.QUICK | {"warmup": 0, "pixels": 2048, "answers": 2}),
}


@contextmanager
def here(maker, **arguments):
    """In place of `Alone`, which pays for its imports each time. A process has one precision; here are several."""
    AcceleratorState._reset_state()
    module, _, name = maker.partition(":")
    work = getattr(importlib.import_module(module), name)(**arguments)
    yield lambda: work() or Cost(seconds=1.0, cpu_seconds=1.0, peak_mb=2.0)


def numbers(content):
    """All numbers of a JSON tree, by path."""
    if isinstance(content, dict | list):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        return {(key, *rest): n for key, value in items for rest, n in numbers(value).items()}
    return {(): content} if isinstance(content, int | float) and not isinstance(content, bool) else {}


def checked(directory, name):
    """The JSON that a benchmark wrote, well formed, and all of its statements in the table beside it."""
    content = json.loads((directory / f"{name}.json").read_text())
    assert content["machine"].keys() >= {"cpu", "threads", "torch", "commit"} and content["rows"] and content["ratios"]
    assert all(map(math.isfinite, numbers(content).values()))
    for one in content["ratios"]:
        assert one["value"] > 0
        assert one["ci95"] is None or 0 < one["ci95"][0] <= one["ci95"][1]
    page = (directory / "README.md").read_text()
    assert all(one["what"] in page for one in content["ratios"] + content["differences"])
    assert [path.name for path in directory.iterdir() if path.suffix not in (".json", ".md")] == []
    return content


@pytest.fixture
def thin_study(monkeypatch):
    """The phantom's study with thin networks, as many levels deep."""
    thin = ("--hvae.widths", "[8,8,16,16]", "--hvae.depths", "[1,1,1,1]", "--hvae.head", "8", "--segmentor.width", "8")
    study = load_study(ROOT / "studies" / "coronary-phantom.yaml", thin)
    for module in (workload, reference):
        monkeypatch.setattr(module, "the_study", lambda *_: study)


@pytest.mark.slow  # torch.compile takes a minute
def test_every_backend_computes_and_is_compared(tmp_path):
    scale = ["--rounds", "3", "--warmup", "0", "--batch", "2", "--size", "32", "32"]
    alone = [sys.executable, "-m", "benchmarks.backends"]  # the compiler cannot see through the tests' type checks
    subprocess.run([*alone, *scale, "--out", str(tmp_path)], cwd=ROOT, check=True)
    found = {row["work"] for row in checked(tmp_path, "backends")["rows"]}
    assert found == {"decoding", "measuring", "fine-tuning step"}


@pytest.mark.parametrize("name", SCALES)
def test_a_benchmark_writes_finite_positive_numbers(name, thin_study, tmp_path, monkeypatch, capsys):
    module, scale = SCALES[name]
    if hasattr(module, "Alone"):
        monkeypatch.setattr(module, "Alone", here)
    if hasattr(module, "apart"):
        monkeypatch.setattr(module, "apart", lambda: ThreadPoolExecutor(1))
    run(name, module.measure, full=scale, quick=scale, arguments=["--out", str(tmp_path)])
    content = checked(tmp_path, name)
    assert content["scale"] == json.loads(json.dumps(scale))
    times = [row.get("seconds", row.get("cpu_seconds")) for row in content["rows"]]
    assert min(times) > 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said] == [
        one["what"].partition(":")[0] for one in content["ratios"] + content["differences"]
    ]


def test_precision_compares_the_same_images_and_resumes(tmp_path, monkeypatch):
    study = small_study.write_study(tmp_path)
    out = ["--out", str(tmp_path / "out")]
    scale = {
        "study": str(study), "runs": str(tmp_path / "runs"), "images": 60,
        "segmentor_steps": 3, "hvae_steps": 3, "finetune_steps": 2, "tested": 6,
    }  # fmt: skip
    run("precision", precision.measure, full=scale, quick=scale, arguments=out)
    first = checked(tmp_path / "out", "precision")
    quantities = {(row["compared"], row["quantity"]) for row in first["rows"]}
    assert len(quantities) == len(first["rows"]) == len(first["differences"]) == 3 * 2 * 3

    monkeypatch.setattr(precision, "perform", lambda *_: pytest.fail("a finished training was done again"))
    run("precision", precision.measure, full=scale, quick=scale, arguments=out)
    again = checked(tmp_path / "out", "precision")
    assert again["rows"] == first["rows"] and again["differences"] == first["differences"]


def test_bootstrap_of_precision_is_paired():
    random = np.random.default_rng(0)
    error, total = random.uniform(0, 9, 50), random.uniform(1, 2, 50)
    before = precision.Scores(error_sd=error, elbo=-error, outside=total / 2, total=total)
    after = before._replace(error_sd=error + 0.25, outside=total / 4)
    found = precision.compare("x", before, after)
    differences = {one.what.split(",")[0]: one for one in found.differences}
    assert differences["x: error (sd)"].value == pytest.approx(0.25)
    assert differences["x: error (sd)"].ci95 == pytest.approx((0.25, 0.25))  # unpaired, it would span 2
    assert differences["x: leakage"].ci95 == pytest.approx((-0.25, -0.25))
    assert found.rows[0]["float32"] == pytest.approx(error.mean())
    assert found.rows[0]["inside"] == "yes" and found.rows[2]["inside"] == "no"


# ---- what measures -----------------------------------------------------------------------------------------------


def test_settings_take_turns_and_warm_up_is_not_kept():
    order = []
    works = {name: partial(order.append, name) for name in "ab"}
    seconds = interleave(works, rounds=3, warmup=2, title="turns")
    assert order == ["a", "b"] * 5
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}


def test_ratio_is_the_median_of_pairs_however_the_machine_drifts():
    drift = np.array([1.0, 5.0, 2.0, 9.0, 3.0])
    found = ratio("x", 3 * drift, drift, factor=0.5)
    assert (found.value, found.ci95) == (1.5, (1.5, 1.5))
    noisy = ratio("x", np.array([1.0, 2.0, 10.0]), np.ones(3))
    assert noisy.value == 2 and noisy.ci95 == (1, 10)
    assert ratio("x", drift[:2], drift[:2]).ci95 is None  # two rounds say nothing of an interval


def test_flops_are_those_of_the_textbook():
    layer, x = nn.Conv2d(3, 5, 3, padding=1, bias=False), torch.randn(2, 3, 8, 8)
    forward = 2 * 2 * 8 * 8 * 3 * 5 * 9 / 1e9
    assert gflop(lambda: layer(x)) == pytest.approx(forward)
    assert gflop(lambda: layer(x).sum().backward()) == pytest.approx(2 * forward)  # x takes no gradient
    for call, flop in matmuls(torch.float32).values():
        assert gflop(call) == pytest.approx(flop)


def test_peak_memory_is_what_the_work_holds(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(small_study.__file__).rpartition("/")[0])
    ballast = np.ones(300 << 17)  # what the parent holds is not the child's
    with Alone("some_work:hold", mb=200) as work:
        assert 190 < work().peak_mb < 250
        assert 190 < work().peak_mb < 250
        assert len(ballast) and 0 < work().seconds < 60
    with Alone("some_work:fail") as work, pytest.raises(RuntimeError, match="some_work:fail: its process"):
        work()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_takes_the_step_that_adam_takes(name, monkeypatch):
    monkeypatch.setattr("segue.training.loop.resolve_precision", lambda precision: "no")
    parents = tiny.bar_parents()
    x = tiny.bars(6, seed=1)
    areas, frames = parents.factual(x, torch.ones(6))
    batch = {"image": x, "parents": areas, "frames": frames, "pixel_area": torch.ones(6)}

    def objective():
        net = tiny.hvae(context=parents.context_channels("map"))
        settings = {"conditioning": "map", "free_bits": 0.05, "beta_warmup": 0.2}
        mechanism = HVAEMechanism(model=net, parents=parents, **settings)
        return Pretraining(mechanism, augment=Augmentation())

    expected, trained = objective(), objective()
    torch.manual_seed(3)
    expected(batch, 0.5)[0].backward()
    norm = torch.stack([p.grad.square().sum() for p in expected.parameters() if p.grad is not None]).sum().sqrt()
    torch.manual_seed(3)
    SETTINGS[name].step(trained, 1e-2, 1.0)(batch)
    for before, after in zip(expected.parameters(), trained.parameters(), strict=True):
        if before.grad is not None:  # the first step of AdamW by hand: m / sqrt(v) = g / |g|
            g = before.grad / max(1.0, float(norm))
            by_hand = before * (1 - 1e-2 * 0.01) - 1e-2 * g / (g.abs() + 1e-8)
            clear = g.abs() > 1e-5  # below, rounding may turn the sign
            assert torch.allclose(after[clear], by_hand[clear], atol=1e-3)


def test_fine_tuning_as_published_minimises_the_same_lagrangian(monkeypatch):
    monkeypatch.setattr("segue.nets.gaussian.draw_normal", lambda mean, log_sd: mean)  # it draws z twice, segue once
    parents = tiny.bar_parents()
    x = tiny.bars(6, seed=1)
    areas, frames = parents.factual(x, torch.ones(6))
    batch = {"image": x, "parents": areas, "frames": frames, "pixel_area": torch.ones(6)}
    losses = []
    for objective in (CounterfactualFineTuning, AsPublished):
        net = tiny.hvae(context=parents.context_channels("map"))
        mechanism = HVAEMechanism(model=net, parents=parents, conditioning="map")
        constraint = Constraint(bound=-1.0, damping=10.0, rate=0.5, start=2.0)
        made = objective(mechanism, RegionGuide(parents), augment=Augmentation(), constraint=constraint)
        torch.manual_seed(0)
        losses.append(made(batch, 0.0)[0].detach())
        tuned = [p.requires_grad for p in net.parameters()]
        assert any(tuned) and all(tuned) == (objective is AsPublished)
    torch.testing.assert_close(*losses)


def test_what_cannot_be_measured_is_refused_in_one_line(tmp_path, capsys):
    def refused(*arguments):
        with pytest.raises(SystemExit) as stop:
            given = ["--out", str(tmp_path), *arguments]
            run("growth", growth.measure, full=growth.FULL, quick=growth.QUICK, arguments=given)
        assert stop.value.code == 2
        return capsys.readouterr().err.strip()

    assert refused("--rounds", "0") == "--rounds 0: give 1 or more"
    assert refused("--sides", "32", "-64").startswith("--sides [32, -64]")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "notes.json").write_text('{"a": 1}')
    assert "notes.json: not what a benchmark writes" in refused()


def test_a_cohort_that_does_not_fit_on_the_disk_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--cohorts 1000000000000: needs .* GB"):
        cohort.check_disk(tmp_path, 10**12, (32, 96))


def test_the_table_shows_all_results_of_a_folder(tmp_path):
    for name, value in (("first", 1.5), ("second", 0.12342)):
        found = Findings([{"work": name, "seconds": 1234.5}], [Statement(f"{name} over x", value, (1.0, 2.0))])
        write(name, found, scale={"rounds": 3}, seconds=1.0, directory=tmp_path)
    page = table(tmp_path)
    assert "| first over x | 1.5 | 1 to 2 |" in page and "| second over x | 0.1234 | 1 to 2 |" in page
    assert "| first | 1,234 |" in page and page == (tmp_path / "README.md").read_text()


def test_the_interval_contains_the_truth_of_fresh_phantoms_about_as_often_as_it_says(tmp_path):
    scale = {"images": 27, "seed": 5, "calibration": 6}
    run("coverage", coverage.measure, full=scale, quick=scale, arguments=["--out", str(tmp_path)])
    rows = {(row["image"], row["interval"]): row for row in checked(tmp_path, "coverage")["rows"]}
    for image in ("true counterfactual", "answer"):
        alone, wide = rows[image, "spread alone"], rows[image, "with the measurement error"]
        assert alone["requests"] > 15 and alone["coverage"] > 0.7 and wide["coverage"] > 0.85
        assert 0.02 < alone["median_width_sd"] < wide["median_width_sd"] < 1.5


def test_the_share_of_the_error_that_is_needed_is_a_quantile_of_what_each_request_needs():
    """Guide and one member that agree, a unit error, and truths that are missed by 1, 2, ..., 39."""
    missed = torch.arange(1.0, 40)
    changes = coverage.Changes(torch.zeros(2, 39), missed, torch.ones(39), torch.ones(39))
    assert coverage.needed(changes) == pytest.approx(38 / 1.959964, rel=1e-4)
