"""The benchmark of effects from image to image: a tiny run of the coupled phantom, its cells made a second time."""

import dataclasses
import json

import numpy as np
import pytest
import small_study
import torch
import yaml

import segue
from benchmarks import coupled
from benchmarks.scm import GRAPH
from segue.anatomy import measure
from segue.cli import main
from segue.cohort import Store
from segue.errors import InputError
from segue.nets.segmentor import Segmentor
from segue.phantom import VARIABLES, counterfactual, noise_of

CAUSE, EFFECT = "calcified_plaque@mid", "lumen@mid"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coupled")
    settings = yaml.safe_load(small_study.STUDY)
    settings["cohort"] |= {"covariates": ["age", "burden"]}
    settings["cohort"]["phantom"]["law"] = "coupled"
    settings |= {"graph": GRAPH, "scm": {"epochs": 3, "absent": {"calcified_plaque": 0.5, "noncalcified_plaque": 0.5}}}
    settings["hvae"]["conditioning"] = ["map"]
    settings["finetune"] |= {"guides": ["none", "region"], "variants": {}}
    study = small_study.write_study(folder, yaml.safe_dump(settings, sort_keys=False))
    for stage in ("scm", "judge", "finetune"):
        assert main([stage, str(study), "--runs", str(folder / "runs")]) == 0
    return folder / "runs" / "small"


def test_errors_are_distances_from_the_same_phantom_otherwise(run):
    model, judge = segue.load(run), Segmentor.from_pretrained(run / "judge").eval()
    study, _, _ = coupled.open_run(run, None)
    cohort = coupled.test_images(study, 8)
    cells, distances = coupled.compare(model, judge, cohort, CAUSE, 1.0)
    (cell,) = (cell for cell in cells if cell.effect == EFFECT)

    store = Store(run / "prepare" / "cohort.zarr")
    chosen = store.indices("test")[:8]
    table = store.table[chosen.tolist()]
    images = store.read(chosen)["image"]
    given = {name: torch.tensor(table[name].to_list()) for name in ("age", "burden")}
    answer = model.counterfactual(images, {CAUSE: "+1sd"}, covariates=given)
    value = answer.requested[CAUSE].double().numpy()
    truth = counterfactual(
        noise_of(table["id"].to_list(), seed=0, law="coupled"), {CAUSE: value}, model.grid.size, propagate=True
    )
    true, sd = truth.areas[:, VARIABLES.index(EFFECT)], float(model.parents.sd[model.variables.index(EFFECT)])
    held = np.abs(answer.factual[EFFECT].numpy() - true) / sd
    np.testing.assert_allclose(cell.errors["none, asked"], held, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        cell.errors["graph, asked"], np.abs(answer.requested[EFFECT].numpy() - true) / sd, rtol=1e-4, atol=1e-5
    )
    low, high = study.cohort.intensity
    scaled = (torch.from_numpy(truth.image) - low) / (high - low) * 2 - 1
    with torch.inference_mode():
        areas = measure(
            judge.soft(scaled), answer.weights, model.parents.structure_of, torch.full((8,), model.grid.pixel_area)
        )
    by_judge = np.abs(areas[:, VARIABLES.index(EFFECT)].numpy() - true) / sd
    np.testing.assert_allclose(cell.errors["truth, image"], by_judge, rtol=1e-3, atol=1e-4)
    still = (images.numpy() - truth.image)[truth.well_posed]
    np.testing.assert_allclose(distances[truth.well_posed, 2], np.abs(still).mean((1, 2, 3)), rtol=1e-4)
    assert np.isnan(distances[~truth.well_posed]).all()


def test_every_descendant_has_a_line_and_every_way_a_total(run):
    found = coupled.measure(run=str(run), images=6)
    assert {row["variable"] for row in found.rows} == {*GRAPH, "all", "measured", "true"}
    assert all(np.isfinite(one.value) for one in found.ratios)


def test_another_law_is_refused(run):
    study, _, _ = coupled.open_run(run, None)
    other = dataclasses.replace(study.cohort, phantom=dataclasses.replace(study.cohort.phantom, law="independent"))
    with pytest.raises(InputError, match="coronary-coupled"):
        coupled.test_images(dataclasses.replace(study, cohort=other), 4)


def test_the_graph_is_tested_on_measured_and_on_true_values(run):
    study, _, _ = coupled.open_run(run, None)
    found = coupled.accusations(study)
    measured = json.loads((run / "scm" / "metrics.json").read_text())["tests"]
    assert found.rows[0]["tests"] == len(measured) == 33
    assert found.rows[0]["refuted"] == sum(test["refuted"] for test in measured)
    assert [row["variable"] for row in found.rows] == ["measured", "true"] and found.rows[1]["refuted"] <= 33
