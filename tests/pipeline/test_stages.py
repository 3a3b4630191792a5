"""A study from end to end: what it leaves, what it does again, and what a kill costs."""

import dataclasses
import html
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from small_study import METHODS, VARIABLES, trained, trained_chest, write_chest

import segue
from segue import phantom
from segue.cli import main
from segue.cohort import Store
from segue.cohort.grid import scaled
from segue.errors import InputError
from segue.nets.segmentor import Segmentor
from segue.nets.weights import load_pretrained
from segue.pipeline.truth import known_oracle
from segue.study.read import load_study

pytestmark = pytest.mark.xdist_group("small_study")


@pytest.fixture
def copied(tmp_path) -> tuple[Path, Path]:
    """The study's file and a copy of its run, to change."""
    study, run = trained()
    shutil.copytree(run, tmp_path / "runs" / "small")
    return study, tmp_path / "runs" / "small"


def metrics_of(run: Path) -> dict:
    return json.loads((run / "evaluate" / "metrics.json").read_text())


def numbers(content: object) -> list[float]:
    """Every number in a JSON document."""
    if isinstance(content, dict | list):
        return [n for one in (content.values() if isinstance(content, dict) else content) for n in numbers(one)]
    return [content] if isinstance(content, int | float) else []


# ---- what a study leaves -----------------------------------------------------------------------------------------


def test_every_stage_leaves_its_output():
    _, run = trained()
    for file in (
        "study.yaml", "prepare/cohort.zarr/table.parquet", "measure/measured.safetensors",
        "evaluate/metrics.json", "evaluate/table1.md", "evaluate/figure1.png", "evaluate/extremes.png",
        "report/report.html",
        "report/curves.png",
    ):  # fmt: skip
        assert (run / file).stat().st_size > 0, file
    networks = ["segmentor", "judge", "panel/second", "regressor", "pretrain/map", "pretrain/broadcast"]
    networks += [f"finetune/{name}" for name in METHODS if not name.startswith("no_cft")]
    for stage in networks:
        assert (run / stage / "model.safetensors").exists() and (run / stage / "config.json").exists(), stage
        assert list((run / stage / "logs").iterdir()), stage
    stages = {str(path.parent.relative_to(run)) for path in run.rglob("done.json")}
    assert stages == {"prepare", "measure", "inputs", "evaluate", "report", *networks}
    assert not list(run.rglob("*.tmp")) and not list(run.rglob("checkpoint.pt"))


DISTANCES = {"ci95", "n_requests"} | {
    f"{key}{part}" for key in ("mae", "psnr", "ssim") for part in ("", "_inside", "_outside")
}
TESTS = {"frechet", "kernel"}


def test_metrics_follow_the_contract():
    metrics = metrics_of(trained()[1])
    assert set(metrics) == {
        "study", "split", "n_images", "n_subjects", "unit", "variables", "sd", "methods", "segmentors", "well_posed",
        "truth_of_doing_nothing", "realism_of_facts", "seconds", "commit", "command",
        "fallbacks", "sd_of_masks", "doing_nothing",
    }  # fmt: skip
    assert [metrics[key] for key in ("study", "split", "n_images", "n_subjects")] == ["small", "test", 8, 8]
    assert metrics["unit"] == "mm2" and metrics["variables"] == VARIABLES and list(metrics["sd"]) == VARIABLES
    assert list(metrics["methods"]) == [*METHODS, "oracle"]
    keys = {
        "error", "error_sd", "ci95", "off_target_sd", "leakage", "reach", "change_outside", "change_inside",
        "guide_error_sd", "error_sd_well_posed",
    }  # fmt: skip
    assert metrics["fallbacks"] == {}  # an `axis` reads nothing of an image
    splits = {"guide", "validation", "test"}
    best = min(METHODS, key=lambda name: metrics["methods"][name]["mean"]["error_sd"])
    for name, method in metrics["methods"].items():
        cost = {"training_seconds", "seconds_per_image", "flops_per_image"}
        axioms = {"composition", "reversibility", "spread"}
        learned = set() if name == "oracle" else {"truth", "nelbo", *axioms, *cost}
        behind = set() if name == best else {"over_best"}
        assert set(method) == {"variables", "mean", "realism", "local_realism", "cld", *learned, *behind}
        assert list(method["variables"]) == VARIABLES
        assert set(method["mean"]) == keys | {"off_target_ci95", "leakage_ci95", "reach_ci95"}
        assert set(method["local_realism"]) == {"auc", "ci95", "by_variable"}
        assert list(method["local_realism"]["by_variable"]) == VARIABLES
        assert all(set(one) == keys | {"moved"} for one in method["variables"].values())
        assert all(list(one["moved"]) == VARIABLES for one in method["variables"].values())
        likelihoods = {"nelbo", "nelbo_factual", "nelbo_counterfactual"} if learned else set()
        tuned = {f"{kind}_over_no_cft" for kind in TESTS} if learned and not name.startswith("no_cft") else set()
        assert set(method["realism"]) == likelihoods | TESTS | tuned
        for kind in TESTS:
            assert set(method["realism"][kind]) == {"value", "ci95", "over_facts"}
        for one in [method["realism"][kind]["over_facts"] for kind in TESTS] + [method["realism"][k] for k in tuned]:
            assert set(one) == {"value", "ci95"}
        assert set(method.get("truth", DISTANCES)) == DISTANCES
        assert set(method.get("nelbo", splits)) == splits
    assert set(metrics["truth_of_doing_nothing"]) == DISTANCES and 0 < metrics["well_posed"] <= 1
    assert set(metrics["realism_of_facts"]) == TESTS
    assert all(set(one) == {"value", "band"} for one in metrics["realism_of_facts"].values())
    for segmentor in ("guide", "judge", "panel_second"):
        floor = metrics["segmentors"][segmentor]
        assert list(floor["dice"]) == ["lumen", "calcified_plaque", "noncalcified_plaque"]
        assert set(floor) == {"dice", "error", "error_sd"}
        assert list(floor["error"]) == list(floor["error_sd"]) == VARIABLES
    assert list(metrics["sd_of_masks"]) == list(metrics["doing_nothing"]["variables"]) == VARIABLES
    assert all(math.isfinite(number) for number in numbers(metrics))


def test_the_report_of_an_undertrained_study_opens_with_how_far_its_guide_is_off():
    _, run = trained()
    metrics, html = metrics_of(run), (run / "report" / "report.html").read_text()
    errors = metrics["segmentors"]["guide"]["error_sd"].values()
    box = html[html.index('id="verdict"') : html.index("<nav")]
    assert f"by {sum(errors) / len(errors):.2f} sd on average" in box and "Do not rely on the numbers" in box
    assert "Moves" not in html and "answers are corrected once by what guide and ensemble measure" in html


def test_the_masks_sd_is_that_of_their_areas():
    _, run = trained()
    store = Store(run / "prepare" / "cohort.zarr")
    places = pl.read_parquet(run / "evaluate" / "effects-segue.parquet")["image"].unique().to_numpy()
    lumen = store.read(places)["fractions"][:, 0].numpy()
    areas = lumen[:, :, 16:32].sum((1, 2)) * (12 / 16) * (36 / 48)
    assert metrics_of(run)["sd_of_masks"]["lumen@mid"] == pytest.approx(areas.std(), rel=1e-4)


def test_metrics_agree_with_one_another():
    metrics = metrics_of(trained()[1])
    for name, method in metrics["methods"].items():
        for variable, one in method["variables"].items():
            assert one["error_sd"] == pytest.approx(one["error"] / metrics["sd"][variable])
            assert 0 <= one["leakage"] <= 1 and 0 <= one["reach"] <= 1
            assert one["ci95"][0] <= one["error_sd"] <= one["ci95"][1]
        mean = sum(one["error_sd"] for one in method["variables"].values()) / len(VARIABLES)
        assert method["mean"]["error_sd"] == pytest.approx(mean)
        # Doing nothing changes nothing, whatever was learned: the pixel noise is abducted exactly.
        assert name == "oracle" or method["composition"] < 1e-6
        realism = method["realism"]
        for kind, facts in metrics["realism_of_facts"].items():
            over = realism[kind]["over_facts"]["value"]
            assert over == pytest.approx(realism[kind]["value"] - facts["value"])
    # The pre-trained model's own likelihood of the facts is its negative ELBO.
    for name in ("no_cft", "no_cft_broadcast"):
        realism = metrics["methods"][name]["realism"]
        assert realism["nelbo"] == pytest.approx(realism["nelbo_factual"], rel=1e-5)
        tuned = metrics["methods"][name.replace("no", "pos_seg")]["realism"]
        over = tuned["frechet_over_no_cft"]["value"]
        assert over == pytest.approx(tuned["frechet"]["value"] - realism["frechet"]["value"])


def test_images_that_the_phantom_would_draw_otherwise_have_no_oracle():
    file, run = trained()
    study = load_study(file, ["--runs", str(run.parent)])
    assert known_oracle(study) is not None
    drawn = dataclasses.replace(study.cohort.phantom, seed=1)
    other = dataclasses.replace(study, cohort=dataclasses.replace(study.cohort, phantom=drawn))
    with pytest.raises(InputError, match="another version of the phantom drew these images; remove it"):
        known_oracle(other)


def test_the_oracle_is_the_phantom_with_one_area_changed():
    """The rows that were kept, against the phantom itself: what the judge sees in it, and what is well-posed."""
    _, run = trained()
    metrics, store = metrics_of(run), Store(run / "prepare" / "cohort.zarr")
    rows = pl.read_parquet(run / "evaluate" / "effects-oracle.parquet").filter(pl.col("variable") == "lumen@mid")
    noise = phantom.noise_of([store.table["id"][i] for i in rows["image"]], seed=0)
    truth = phantom.counterfactual(noise, {"lumen@mid": rows["requested"].to_numpy()}, (16, 48))
    assert rows["well_posed"].to_list() == truth.well_posed.tolist()
    assert rows["truth_mae"].max() == 0
    judge = load_pretrained(Segmentor, run / "judge").eval()
    with torch.inference_mode():
        mask = judge.soft(scaled(torch.from_numpy(truth.image), (-200.0, 1200.0)))[:, 0]
    areas = mask[:, :, 16:32].sum((1, 2)) * (12 / 16) * (36 / 48)
    torch.testing.assert_close(areas.double(), torch.tensor(rows["judge"].to_list()).double(), rtol=1e-4, atol=1e-4)
    assert metrics["methods"]["oracle"]["mean"]["off_target_sd"] > 0  # by a judge that hardly learned


def test_a_method_is_as_far_from_the_truth_as_its_images_are():
    """By the images themselves, made anew through `segue.load`."""
    _, run = trained()
    metrics, store = metrics_of(run), Store(run / "prepare" / "cohort.zarr")
    kept = pl.read_parquet(run / "evaluate" / "effects-pos_seg_cft.parquet")
    expected = kept.filter(pl.col("well_posed"))["truth_mae"].mean() * 1400
    assert metrics["methods"]["pos_seg_cft"]["truth"]["mae"] == pytest.approx(expected)
    row = kept.filter((pl.col("variable") == "lumen@distal") & pl.col("well_posed")).row(0, named=True)
    x = store.read(np.array([row["image"]]), fractions=False)["image"]
    answer = segue.load(run, method="pos_seg_cft").counterfactual(x, {"lumen@distal": row["requested"]}).image
    noise = phantom.noise_of([store.table["id"][row["image"]]], seed=0)
    truth = phantom.counterfactual(noise, {"lumen@distal": row["requested"]}, (16, 48)).image
    assert np.abs(answer.numpy() - truth).mean() / 1400 == pytest.approx(row["truth_mae"], rel=1e-3)
    factual, _ = phantom.render(noise, (16, 48))
    np.testing.assert_array_equal(factual, x.numpy())  # the truth starts from the very image


def test_errors_are_those_of_the_effects():
    """metrics.json against the rows that were kept, computed anew."""
    _, run = trained()
    metrics = metrics_of(run)
    for name in ("pos_seg_cft", "no_cft_broadcast"):
        rows = pl.read_parquet(run / "evaluate" / f"effects-{name}.parquet")
        assert len(rows) == 8 * len(VARIABLES)
        of = rows.filter(pl.col("variable") == "lumen@mid")
        expected = (of["judge"] - of["requested"]).abs().mean()
        assert metrics["methods"][name]["variables"]["lumen@mid"]["error"] == pytest.approx(expected)
    asked = [pl.read_parquet(run / "evaluate" / f"effects-{n}.parquet")["requested"].to_list() for n in METHODS]
    assert all(requests == asked[0] for requests in asked)  # every method is asked the same


def test_parents_are_standardised_by_the_guide_split():
    _, run = trained()
    store, measured = Store(run / "prepare" / "cohort.zarr"), load_file(run / "measure" / "measured.safetensors")
    training = measured["parents"][torch.from_numpy(store.indices("guide"))].double()
    torch.testing.assert_close(measured["mean"].double(), training.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(measured["sd"].double(), training.std(0).clamp_min(1e-6), rtol=1e-3, atol=1e-6)


def test_no_subject_is_in_two_splits():
    _, run, _ = trained_chest()
    table = Store(run / "prepare" / "cohort.zarr").table
    by_subject = table.group_by("subject").agg(pl.col("split").n_unique(), pl.col("id").len())
    assert by_subject["split"].max() == 1 and by_subject["id"].min() == by_subject["id"].max() == 2
    assert {"guide", "judge", "test"} == set(table["split"])


def test_images_without_a_structure_are_counted():
    _, run, _ = trained_chest()
    done = json.loads((run / "measure" / "done.json").read_text())
    assert set(done["fallbacks"]) == set(metrics_of(run)["fallbacks"]) == {"left_lung", "right_lung"}
    # The extent of a lung that is not there is the whole image, [0, 1] along both axes.
    store, frames = (
        Store(run / "prepare" / "cohort.zarr"), load_file(run / "measure" / "measured.safetensors")["frames"],
    )  # fmt: skip
    whole = torch.tensor([0.0, 1.0, 0.0, 1.0])
    lost = [int((part == whole).all(1).sum()) for part in frames.split(4, dim=1)]
    assert list(done["fallbacks"].values()) == lost and done["images"] == len(store)


def test_a_graph_is_fitted_tested_and_shown():
    _, run, _ = trained_chest()
    found = json.loads((run / "scm" / "metrics.json").read_text())
    names = ["left_lung@upper", "left_lung@lower", "right_lung@upper", "right_lung@lower", "heart@whole"]
    assert list(found["log_likelihood"]) == names and all(math.isfinite(n) for n in found["log_likelihood"].values())
    assert len(found["tests"]) == 10 - 3  # pairs, less edges
    assert found["images"] == len(Store(run / "prepare" / "cohort.zarr")) - 12  # all but the guide's
    assert found["mermaid"] in (run / "scm" / "graph.md").read_text()
    page = html.unescape((run / "report" / "report.html").read_text())
    assert found["verdict"] in page and "The causal graph" in page and "left_lung@upper ⫫ " in page
    assert "The causal graph" not in (trained()[1] / "report" / "report.html").read_text()


def test_another_graph_is_fitted_anew_and_nothing_else_is(tmp_path):
    study, run, _ = trained_chest()
    shutil.copytree(run, tmp_path / "runs" / "chest")
    copy = tmp_path / "runs" / "chest"
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("done.json")}
    graph = '{"left_lung@lower": ["heart@whole"]}'
    assert main(["run", str(study), "--runs", str(tmp_path / "runs"), "--graph", graph]) == 0
    changed = {str(path.parent.relative_to(copy)) for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == {"scm", "report"}
    answer = segue.load(copy).counterfactual(segue.load(copy).examples(), {"heart@whole": "+1sd"})
    moved = {name for name, value in answer.requested.items() if not torch.equal(value, answer.factual[name])}
    assert moved == {"heart@whole", "left_lung@lower"}


def test_a_graph_that_is_not_fitted_is_not_ignored(tmp_path):
    run = trained_chest()[1]
    shutil.copytree(run, tmp_path / "chest")
    shutil.rmtree(tmp_path / "chest" / "scm")
    with pytest.raises(InputError, match="run `segue scm STUDY`"):
        segue.load(tmp_path / "chest")


def test_a_folder_without_spacing_measures_pixels():
    _, run, _ = trained_chest()
    metrics = metrics_of(run)
    assert metrics["unit"] == "px" and list(metrics["methods"]) == ["no_cft", "pos_seg_cft", "segue", "moving"]
    assert metrics["variables"] == [
        "left_lung@upper", "left_lung@lower", "right_lung@upper", "right_lung@lower", "heart@whole",
    ]  # fmt: skip
    assert all(math.isfinite(number) for number in numbers(metrics))
    assert metrics["well_posed"] is metrics["truth_of_doing_nothing"] is None  # nobody knows
    assert metrics["realism_of_facts"] is None  # too few subjects to tell
    assert not (run / "regressor").exists()  # no guide asks for it


# ---- what is done again ------------------------------------------------------------------------------------------


def times(run: Path) -> dict[str, int]:
    """When each stage was finished."""
    return {str(p.parent.relative_to(run)): p.stat().st_mtime_ns for p in run.rglob("done.json")}


def redone(study: Path, run: Path, *changes: str) -> set[str]:
    """The stages that another run does again."""
    before = times(run)
    assert main(["run", str(study), "--runs", str(run.parent), *changes]) == 0
    after = times(run)
    return {name for name in after if after[name] != before.get(name)}


def test_running_again_does_nothing(copied, capsys):
    study, run = copied
    files = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert redone(study, run) == set()
    del files[run / "study.yaml"]
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert capsys.readouterr().err.count("done before") == len(times(run))


def test_a_stage_that_another_run_has_done_alike_is_taken_from_it(copied, capsys):
    study, run = copied
    weights = (run / "judge" / "model.safetensors").read_bytes()
    changes = ["--name", "other", "--hvae.budget.steps", "5", "--finetune", "{guides: [none], budget: {steps: 1}}"]
    assert main(["run", str(study), "--runs", str(run.parent), *changes]) == 0
    err, other = capsys.readouterr().err, run.parent / "other"
    taken = re.findall(r"(\S+): the same as small has done", err)
    assert taken == ["prepare", "segmentor", "judge", "panel/second", "measure"]
    for name in taken:
        assert (other / name / "done.json").read_bytes() == (run / name / "done.json").read_bytes()
    assert "oracle" in json.loads((other / "evaluate" / "metrics.json").read_text())["methods"]
    assert main(["judge", str(study), "--runs", str(run.parent), "--name", "other", "--judge.budget.steps", "2"]) == 0
    assert (other / "judge" / "model.safetensors").read_bytes() != weights
    assert (run / "judge" / "model.safetensors").read_bytes() == weights


def test_two_commands_do_not_work_in_one_folder(copied, capsys):
    study, run = copied
    holder = "import sys, filelock; a = filelock.FileLock(sys.argv[1]); a.acquire(); print(flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", holder, str(run / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    other.stdout.readline()
    assert main(["run", str(study), "--runs", str(run.parent)]) == 2
    assert "another command is at work" in capsys.readouterr().err
    other.kill()  # and a command that died holds nothing
    other.wait()
    assert redone(study, run) == set()


def test_what_another_version_did_stands_and_says_so(copied, capsys):
    study, run = copied
    done = run / "judge" / "done.json"
    content = json.loads(done.read_text()) | {"version": "0.0.1"}
    del content["checksum"]  # earlier versions wrote none
    done.write_text(json.dumps(content))
    assert redone(study, run) == set()
    err = capsys.readouterr().err
    assert "judge: done before, by another version" in err and err.count("another version") == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["--evaluate.bootstrap", "60"], {"evaluate", "report"}),
        (
            ["--finetune.guides", "[none,region]", "--finetune.rate", "0.5"],
            {f"finetune/{m}{p}" for m in ("pos_seg_cft", "segue") for p in ("", "_broadcast")}
            | {"inputs", "evaluate", "report"},
        ),
        (["--judge.budget.steps", "4", "--finetune.guides", "[none]"], {"judge", "inputs", "evaluate", "report"}),
    ],
)
def test_a_changed_setting_redoes_what_depends_on_it(copied, change, expected):
    assert redone(*copied, *change) == expected


def test_methods_that_differ_in_how_they_are_corrected_are_trained_once(copied):
    study, run = copied
    variants = "{segue: {at_once: 3, outside: 1.0, shrinkage: 0.01}, corrected: {corrections: 2}, "
    variants += "looked_at: {corrections: 2, panel: true}}"
    assert redone(study, run, "--finetune.variants", variants) == {"inputs", "evaluate", "report"}
    found = json.loads((run / "evaluate" / "metrics.json").read_text())["methods"]
    assert found["corrected"]["nelbo"] == found["pos_seg_cft"]["nelbo"]
    assert found["looked_at"]["nelbo"] == found["pos_seg_cft"]["nelbo"]
    assert len({found[name]["mean"]["guide_error_sd"] for name in ("pos_seg_cft", "corrected", "looked_at")}) == 3


# ---- a kill ------------------------------------------------------------------------------------------------------

LONG = {
    "segmentor": ["--segmentor.budget.steps", "130"],
    "finetune": ["--finetune.budget.steps", "120", "--finetune.guides", "[region]", "--hvae.conditioning", "[map]"],
}


@pytest.mark.parametrize(("stage", "folder"), [("segmentor", "segmentor"), ("finetune", "finetune/pos_seg_cft")])
def test_a_killed_training_ends_where_it_would_have(tmp_path, stage, folder):
    study, run = trained()
    for name in ("killed", "whole"):
        shutil.copytree(run, tmp_path / name / "small")
        shutil.rmtree(tmp_path / name / "small" / folder)

    def command(name: str) -> list[str]:
        return [sys.executable, "-m", "segue", stage, str(study), "--runs", str(tmp_path / name), *LONG[stage]]

    log = tmp_path / "log.txt"
    quiet = {"env": os.environ | {"OMP_NUM_THREADS": "1"}, "stderr": log.open("a")}
    directory = tmp_path / "killed" / "small" / folder
    process = subprocess.Popen(command("killed"), **quiet)
    deadline = time.monotonic() + 600  # a busy machine is slow, not wrong
    while not (directory / "checkpoint.pt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, log.read_text()
    assert not (directory / "done.json").exists()
    assert torch.load(directory / "checkpoint.pt", weights_only=True)["step"] == 100

    resumed = subprocess.Popen(command("killed"), **quiet)
    subprocess.run(command("whole"), check=True, **quiet)
    assert resumed.wait() == 0, log.read_text()
    weights = (directory / "model.safetensors").read_bytes()
    assert weights == (tmp_path / "whole" / "small" / folder / "model.safetensors").read_bytes()


# ---- another cohort ----------------------------------------------------------------------------------------------


def test_a_trained_study_is_judged_on_another_folder(copied, tmp_path, capsys):
    study, run = copied
    assert main(["phantom", str(tmp_path / "other"), "--images", "6", "--seed", "9", "--size", "[16,48]"]) == 0
    arguments = ["evaluate", str(study), "--runs", str(run.parent), "--cohort", str(tmp_path / "other")]
    assert main([*arguments, "--evaluate.rows", "1"]) == 0
    assert "6 test images" in capsys.readouterr().out
    (there,) = (run / "elsewhere").iterdir()
    assert there.name.startswith("other-")
    metrics = json.loads((there / "metrics.json").read_text())
    assert metrics["n_images"] == 6 and metrics["unit"] == "mm2" and list(metrics["methods"]) == METHODS  # no oracle
    assert {"table1.md", "figure1.png", "extremes.png", "report.html"} <= {path.name for path in there.iterdir()}
    assert redone(study, run) == set()  # the study itself is as it was


def test_another_cohort_must_measure_in_the_same_unit(copied, tmp_path, capsys):
    study, run = copied
    images = write_chest(tmp_path / "chest", subjects=3)
    capsys.readouterr()
    assert main(["evaluate", str(study), "--runs", str(run.parent), "--cohort", str(images)]) == 2
    assert "px" in capsys.readouterr().err
    assert not list((run / "elsewhere").iterdir())
