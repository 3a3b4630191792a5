"""A study with other measurements than areas, from training to report, and everything that answers with its model."""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from small_study import STUDY, scratch, write_study

import segue
import segue.hub.export
from segue.cli import main
from segue.cohort import Store
from segue.explorer.asking import ask, sweep
from segue.explorer.cohort_table import CohortRequest, answer_cohort, cohort_html, columns_of
from segue.explorer.models import explored
from segue.explorer.panel import sliders
from segue.explorer.strip import strip
from segue.explorer.view import asked_in_words, table_rows, verdicts_shown
from segue.phantom import noise_of, write_folder
from segue.phantom.stenosis import stenoses
from segue.pipeline.truth import known_oracle
from segue.study.read import load_study

pytestmark = pytest.mark.xdist_group("small_study")

STENOSIS = "lumen@mid:stenosis"
LENGTHS = [f"calcified_plaque@{region}:length" for region in ("proximal", "mid", "distal")]
MEASURES = """measures:
  lumen: {area: {regions: [proximal, distal]}, stenosis: {regions: [mid]}}
  calcified_plaque: [area, length]
"""


@functools.cache
def clinical() -> tuple[Path, Path]:
    """The study's file and its run, trained once a process."""
    folder = scratch()
    text = STUDY.replace("segmentor:", f"{MEASURES}segmentor:", 1).replace("name: small", "name: clinical")
    text = text.replace("conditioning: [map, broadcast]", "conditioning: [map]").replace("panel: true", "panel: false")
    text = text.replace("  variants:", "  guides: [none, structure]\n  variants:")
    text = text.replace("images: 8, rows: 2", "images: 4, rows: 1")
    text = text.replace("phantom: {images: 60, seed: 0}", "phantom: {images: 60, seed: 0, law: stenosed}")
    study = write_study(folder, text)
    assert main(["run", str(study), "--runs", str(folder / "runs")]) == 0
    return study, folder / "runs" / "clinical"


def test_variables_are_judged_and_reported_by_their_names():
    _, run = clinical()
    metrics = json.loads((run / "evaluate" / "metrics.json").read_text())
    names = ["lumen@proximal", "lumen@distal", STENOSIS]
    assert metrics["variables"][:3] == names and metrics["variables"][6:9] == LENGTHS
    assert set(metrics["methods"]) >= {"no_cft", "seg_cft", "segue"}
    for entry in metrics["methods"].values():
        assert np.isfinite(entry["variables"][STENOSIS]["error_sd"])
    report = (run / "report" / "report.html").read_text()
    assert "lumen mid stenosis" in report and "mixed units" in report and "calcified plaque mid length" in report
    assert (run / "evaluate" / "figure1.png").is_file() and (run / "evaluate" / "extremes.png").is_file()


def test_the_oracle_sets_a_stenosis_and_lets_the_area_follow():
    """The truth has the stenosis that was asked for in its masks, but for the smoothness of the minimum."""
    study, run = clinical()
    found = load_study(study, ["--runs", str(run.parent)])
    assert known_oracle(found) is None  # nobody knows the answer to a length
    oracle = known_oracle(dataclasses.replace(found, measures={"lumen": found.measures["lumen"]}))
    store = Store(run / "prepare" / "cohort.zarr")
    ids = store.table["id"].to_list()[:4]
    noise = noise_of(ids, seed=0, law="stenosed")
    assert oracle is not None and (np.diff(stenoses(segue.phantom.areas(noise), noise)[:, 1]) != 0).all()
    values = torch.full((4, 9), 0.7)
    truth = oracle(ids, values)
    assert truth.image.shape == (4, 9, 1, 16, 48) and truth.well_posed[:, 2].any()
    assert not truth.well_posed[:, 0].any()  # nor can an area be 0.7 mm2


def test_the_command_line_takes_a_stenosis_in_percent(tmp_path, capsys):
    _, run = clinical()
    write_folder(tmp_path / "cohort", 1, size=(16, 48), law="stenosed")
    image = next((tmp_path / "cohort" / "images").iterdir())
    arguments = ["counterfactual", str(run), str(image), "--method", "segue", "--out", str(tmp_path / "out"), "--do"]
    assert main([*arguments, f"{STENOSIS}=40%"]) == 0
    told = capsys.readouterr().err
    assert f"{STENOSIS}: factual" in told and "requested 0.400 (CAD-RADS 2), achieved 0." in told
    said = json.loads(next((tmp_path / "out").glob("*.json")).read_text())
    assert said["variables"][STENOSIS]["requested"] == pytest.approx(0.4)
    assert main([*arguments, f"{STENOSIS}=140%", "--force"]) == 2
    assert "to 1.00" in capsys.readouterr().err
    assert main(["variables", str(run), "--json"]) == 0
    units = {name: one["unit"] for name, one in json.loads(capsys.readouterr().out).items()}
    assert units[STENOSIS] == "" and units[LENGTHS[1]] == "mm" and units["lumen@distal"] == "mm2"


def test_an_exported_model_measures_as_its_run_does(tmp_path):
    _, run = clinical()
    out = segue.hub.export.export(run, tmp_path / "model", method="segue", examples=2)
    model, trained = segue.load(out), segue.load(run, method="segue")
    images = model.examples()
    found, expected = model.measure(images), trained.measure(images)
    assert list(found) == list(expected) and STENOSIS in found
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=2e-3, atol=2e-3)
    assert model.grid.spacing == (0.75, 0.75)
    assert STENOSIS in (out / "README.md").read_text()


def test_explorer_and_generation_take_them(tmp_path):
    _, run = clinical()
    opened = explored(str(run), methods=["segue"])
    case = opened.choose(0).case
    answer = ask(opened, case, {STENOSIS: "50%", LENGTHS[1]: "+10%"}, ["segue"])
    assert answer.requested[STENOSIS] == pytest.approx(0.5) and STENOSIS in answer.judge
    assert "= 0.500 (CAD-RADS 3), measured 0." in asked_in_words(answer)
    assert "requested 0.500 (CAD-RADS 3)" in verdicts_shown(answer)
    row = next(one for one in table_rows(answer, opened.first.space.areas) if one.name == "lumen, mid, stenosis")
    (by_guide, by_judge, *_), = row.reached
    achieved = answer.readings[0].judge[STENOSIS]
    assert row.requested == "0.500 (CAD-RADS 3)" and "CAD-RADS" in row.factual and "CAD-RADS" in by_guide
    assert by_judge.endswith(f"(CAD-RADS {sum(round(100 * achieved) >= start for start in (1, 25, 50, 70, 100))})")
    rows = table_rows(answer, opened.first.space.areas)
    assert [one.name for one in rows if "CAD-RADS" in one.factual] == ["lumen, mid, stenosis"]
    slider = next(one for one in sliders(opened.first, answer.factual, 0.5625) if one.name == STENOSIS)
    assert (slider.part, slider.unit, slider.label) == ("mid, stenosis", "", "lumen, mid, stenosis")
    assert slider.high <= 1 and slider.low <= answer.factual[STENOSIS]
    assert sweep(opened, case, {}, "segue", LENGTHS[1], low=1, high=4, frames=2).unit == "mm"
    swept = strip([sweep(opened, case, {}, "segue", STENOSIS, low=0.2, high=0.8, frames=2)], 3.0)
    assert "<figcaption>0.200 (CAD-RADS 1)<" in swept and "stenosis = 0.800 (CAD-RADS 4), segue" in swept
    asked = CohortRequest.read(f"{STENOSIS}=50%", "segue", True, 1)
    (cells,) = answer_cohort(opened, asked)
    page = cohort_html(columns_of(opened), [cells])
    assert cells[3] == (0.5, "0.500 (CAD-RADS 3)") and '<td data-value="0.5">0.500 (CAD-RADS 3)</td>' in page
    plan = tmp_path / "plan.yaml"
    plan.write_text("interventions: [{lumen@mid:stenosis: 60%}]")
    cohort = str(run / "prepare" / "cohort.zarr")
    arguments = ["generate", str(run), "--method", "segue", "--cohort", cohort, "--do", str(plan), "--split", "test"]
    assert main([*arguments, "--out", str(tmp_path / "made")]) == 0
    table = pl.read_parquet(tmp_path / "made" / "table.parquet")
    asked = [name for name in table.columns if "requested" in name and STENOSIS in name]
    assert asked and table[asked[0]].to_numpy() == pytest.approx(np.full(len(table), 0.6))
