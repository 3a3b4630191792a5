"""A study with a diffusion model beside its own mechanism: what it trains, what it depends on, and what it refuses."""

import dataclasses
import functools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from small_study import STUDY, scratch, write_study

import segue
from segue.cli import main
from segue.errors import InputError
from segue.mechanisms.base import Likelihood, offered
from segue.mechanisms.diffusion import Diffusion
from segue.pipeline import fingerprint, stages
from segue.pipeline.asking import Examination
from segue.pipeline.common import intensity_of, open_store
from segue.pipeline.judging import judging_parents
from segue.pipeline.recipes import Workshop, recipes
from segue.study.read import load_study
from segue.study.schema import Study

SECTION = "diffusion: {widths: [8, 8], steps: 3, budget: {steps: 4, batch_size: 4}}\n"
VARIANTS = """  guides: [none]
  variants:
    scm: {mechanism: diffusion, guide: none, corrections: 1}
    scm_cft: {mechanism: diffusion, guide: region, at_once: 2}
"""
BESIDE = (
    STUDY[: STUDY.index("  variants:")].replace("  conditioning: [map, broadcast]\n", "")
    + VARIANTS
    + "  budget: {steps: 3, batch_size: 4}\nevaluate: {images: 4, rows: 1, bootstrap: 50}\n"
    + SECTION
)


@functools.cache
def run() -> Path:
    """The study's run, trained once a process."""
    folder = scratch()
    assert main(["run", str(write_study(folder, BESIDE)), "--runs", str(folder / "runs")]) == 0
    return folder / "runs" / "small"


def study_of(folder: Path, text: str = BESIDE, *overrides: str) -> Study:
    return load_study(write_study(folder, text), overrides)


def marks(study: Study) -> dict[str, str]:
    """The fingerprint of every stage."""
    found: dict[str, str] = {}
    for name, stage in stages(study).items():
        found[name] = fingerprint([name, stage.settings, [found[need] for need in stage.needs]])
    return found


def test_it_is_trained_fine_tuned_and_judged_beside_the_others():
    metrics = json.loads((run() / "evaluate" / "metrics.json").read_text())
    assert {"no_cft", "scm", "scm_cft"} <= metrics["methods"].keys()
    assert "nelbo" in metrics["methods"]["no_cft"] and "nelbo" not in metrics["methods"]["scm"]
    assert metrics["methods"]["scm"]["composition"] == pytest.approx(0, abs=1e-4)
    done = json.loads((run() / "pretrain" / "diffusion" / "done.json").read_text())
    assert math.isfinite(done["constraint"]) and "infidelity" in done and "nelbo" not in done
    assert not (run() / "finetune" / "scm").exists()  # it is the pre-trained one, its answers corrected


def test_it_is_loaded_and_exported_as_any_method(tmp_path):
    model = segue.load(run(), method="scm_cft")
    assert isinstance(model.mechanism.inner, Diffusion) and offered(model.mechanism, Likelihood) is None
    answer = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"})
    assert answer.difference.any()
    assert main(["export", str(run()), "--method", "scm_cft", "--out", str(tmp_path / "exported")]) == 0
    again = segue.load(tmp_path / "exported").counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"})
    unlike = (again.difference - answer.difference).abs().mean()
    assert unlike < 0.05 * answer.difference.abs().mean()  # weights travel in half precision


def test_how_it_answers_is_no_part_of_its_training(tmp_path):
    before, after = (marks(study_of(tmp_path, BESIDE, *how)) for how in ((), ("--diffusion.guidance", "2")))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"finetune/scm_cft", "inputs", "evaluate", "report"}


def test_a_study_without_it_is_as_it_was(tmp_path):
    plain = study_of(tmp_path, STUDY)
    with_section = dataclasses.replace(plain, diffusion=study_of(tmp_path).diffusion)
    before, after = marks(plain), marks(with_section)
    assert after.keys() - before.keys() == {"pretrain/diffusion"}
    assert {name for name in before if before[name] != after[name]} == {"inputs", "evaluate", "report"}


def test_a_study_answers_by_another_number_of_steps_than_it_trained_with():
    study = load_study(run() / "study.yaml", ["--runs", str(run().parent), "--diffusion.steps", "5"])
    made = Workshop(study).mechanism(recipes(study)["scm"])
    assert offered(made, Diffusion).model.steps == 5


def test_it_can_be_the_study_s_own_mechanism(tmp_path):
    study = study_of(tmp_path, STUDY + SECTION + "mechanism: diffusion\n")
    names = stages(study).keys()
    assert {"pretrain/map", "pretrain/broadcast"} <= names and "pretrain/diffusion" not in names
    with_hvae = marks(study_of(tmp_path, STUDY))
    assert marks(study)["pretrain/map"] != with_hvae["pretrain/map"]
    assert marks(study)["measure"] == with_hvae["measure"]


def test_baselines_are_given_it_and_told_where_there_is_none():
    study = load_study(run() / "study.yaml", ["--runs", str(run().parent)])
    assert isinstance(Workshop(study).pretrained("diffusion"), Diffusion)
    assert not isinstance(Workshop(study).pretrained(), Diffusion)
    with pytest.raises(InputError, match=r"small: trains no diffusion model.* section diffusion"):
        Workshop(dataclasses.replace(study, diffusion=None)).pretrained("diffusion")


def test_figures_show_what_the_scanner_has_drawn_though_no_method_sees_it(tmp_path):
    drawn = np.zeros((16, 48), np.uint8)
    drawn[:, 20:24] = 1
    np.save(tmp_path / "marks.npy", drawn)
    plain = load_study(run() / "study.yaml", ["--runs", str(run().parent)])
    marked = dataclasses.replace(plain, cohort=dataclasses.replace(plain.cohort, marks=tmp_path / "marks.npy"))
    store = open_store(marked)
    places = store.indices("test")[:2]
    asked = Examination(marked, store, judging_parents(marked), places)
    shown = torch.from_numpy(asked.shown(torch.zeros(2, 1, 16, 48), places.tolist()))
    raw, (low, high) = store.read(places)["image"][:, 0], intensity_of(marked).usual
    torch.testing.assert_close(shown[..., 20:24], raw[..., 20:24])
    others = torch.cat([shown[..., :20], shown[..., 24:]], dim=-1)
    torch.testing.assert_close(others, torch.full_like(others, (low + high) / 2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BESIDE.replace(SECTION, ""), "finetune.variants.scm.mechanism is diffusion"),
        (STUDY + "mechanism: diffusion\n", "give the study a section diffusion"),
        (BESIDE.replace("8], steps: 3,", "8], steps: 3, depth: 1.5,"), "diffusion.depth is 1.5; give 0 to 1"),
        (BESIDE.replace("8], steps: 3,", "8], steps: 3, last: 4,"), "diffusion.last is 4"),
        (BESIDE.replace("widths: [8, 8], steps", "widths: [8, 12], steps"), "diffusion: widths are"),
        (BESIDE.replace("guide: none, corrections: 1", "guide: none, moves: true"), "leave moves out"),
        (STUDY.replace("at_once: 3", "moves: true") + SECTION + "mechanism: diffusion\n", "leave moves out"),
        (BESIDE.replace("guide: region, at_once", "guide: region, start: scm, at_once"), "one mechanism"),
        (BESIDE.replace("guide: region, at_once", "guide: nobody, at_once"), "nobody is no guide"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        study_of(tmp_path, text)


def test_the_fine_tuned_weights_differ_from_those_they_began_with():
    tuned, before = (segue.load(run(), method=name).mechanism.inner.model for name in ("scm_cft", "scm"))
    assert any(not torch.equal(a, b) for a, b in zip(tuned.parameters(), before.parameters(), strict=True))
