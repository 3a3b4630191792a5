"""The phantom as a benchmark: the same questions for everybody, and rows that say what a known answer deserves."""

import json
import shutil

import nibabel
import numpy as np
import polars as pl
import pytest
import torch

import segue
from segue.cli import main
from segue.engine.method import of_function, still
from segue.leaderboard import Entry, benchmark, fixed_task, of_files, of_model
from segue.leaderboard.entry import of_truth
from segue.leaderboard.task import GRID
from segue.phantom import VARIABLES, counterfactual

IMAGES = 4


def test_the_true_answer_is_at_no_distance_and_the_factual_image_at_one():
    task = fixed_task(IMAGES)
    truth = benchmark(of_truth(task), images=IMAGES)
    nothing = benchmark(of_function(lambda facts, requested: facts.image), images=IMAGES)
    assert truth["distance"] == 0 and truth["mae_hu"] == 0 and nothing["distance"] == 1
    assert truth["error_sd"] < 0.2 < nothing["error_sd"] and nothing["off_target_sd"] == 0
    wanted = (task.values - task.areas).abs() / torch.tensor(list(task.sd.values()))
    assert nothing["error_sd"] == pytest.approx(float(wanted.mean()), abs=0.15)  # but for what the judge misreads


def test_a_method_half_way_to_the_truth_is_at_half_the_distance():
    task = fixed_task(IMAGES)
    rows = {id: row for row, id in enumerate(task.ids)}

    class Half:
        def respond(self, questions):
            own = [rows[id] for id in questions.ids]
            return [(questions.facts.image + task.truth.image[own, v]) / 2 for v in range(len(VARIABLES))]

    method = of_truth(task).method
    half = type(method)(still(Half().respond))
    assert benchmark(Entry(half), images=IMAGES)["distance"] == pytest.approx(0.5, abs=1e-5)


def test_requests_are_values_of_other_images_and_answers_keep_the_noise():
    task = fixed_task(IMAGES)
    for v, name in enumerate(VARIABLES):
        assert sorted(task.values[:, v].tolist()) == sorted(task.areas[:, v].tolist())
        assert not (task.values[:, v] == task.areas[:, v]).all(), name
    again = counterfactual(task.noise, {VARIABLES[0]: task.values[:, 0].double().numpy()}, GRID.size)
    assert torch.allclose(GRID.unscale(task.truth.image[:, 0]), torch.from_numpy(again.image), atol=1e-2)


def test_hashes_know_the_task():
    task, fewer = fixed_task(IMAGES), fixed_task(IMAGES - 1)
    assert task.images_hash != fewer.images_hash and task.requests_hash != fewer.requests_hash
    brighter = type(task)(task.noise, task.raw + 1, task.areas, task.values)
    assert brighter.images_hash != task.images_hash and brighter.requests_hash == task.requests_hash


def test_the_official_requests_are_those_that_the_page_publishes():
    page = (segue.leaderboard.row.JUDGE.parents[3] / "docs" / "benchmark.md").read_text()
    task = fixed_task()
    assert task.requests_hash in page and task.images_hash in page


def test_a_model_is_asked_for_the_changes_that_its_guide_sees():
    model = segue.load("coronary-phantom")
    row = benchmark(model, images=IMAGES)
    assert row["distance"] < 0.95 and row["error_sd"] < 0.3 and not row["official"]
    other = segue.load("coronary-phantom")
    other.grid = type(GRID)(GRID.size, intensity=type(GRID.intensity)((-300.0, 1300.0)), unit="mm2")
    asked = next(iter(fixed_task(IMAGES)))
    null = asked._replace(values=asked.facts.pa)
    for image in of_model(other).answer(null):
        assert torch.allclose(image, asked.facts.image, atol=1e-5)


def test_exported_requests_answered_in_files_get_the_row_of_the_same_method(tmp_path, capsys):
    out, answers, board = tmp_path / "task", tmp_path / "answers", tmp_path / "board.json"
    assert main(["benchmark", "--images", str(IMAGES), "--export", str(out)]) == 0
    table = pl.read_csv(out / "requests.csv")
    assert len(table) == IMAGES * len(VARIABLES)
    answers.mkdir()
    for row in table.iter_rows(named=True):
        shutil.copy(out / row["image"], answers / row["answer"])
    command = ["benchmark", "--images", str(IMAGES), "--answers", f"mine={answers}", "--out", str(board)]
    assert main(command) == 0
    (row,) = json.loads(board.read_text())["rows"]
    assert row["name"] == "mine" and row["distance"] == pytest.approx(1, abs=1e-5)
    assert row["images_sha256"] == json.loads((out / "about.json").read_text())["images_sha256"]
    assert "| mine (unofficial: 4 images) | 1.000" in capsys.readouterr().out
    again = ["benchmark", "truth", "nothing", "--images", str(IMAGES), "--out", str(board)]
    assert main(again) == 0
    assert json.loads(board.read_text())["rows"][0]["name"] == "truth"
    image = np.asarray(nibabel.load(out / "images" / "phantom_002.nii.gz").dataobj)
    assert np.array_equal(image, fixed_task(IMAGES).raw[2, 0].numpy())


def test_bad_input_is_one_line(tmp_path, capsys):
    (tmp_path / "board.json").write_text("[]")
    for given, said in [
        ([], "give a MODEL, --answers NAME=FOLDER, or --export FOLDER"),
        (["chest"], "give one of the phantom's nine areas on (48, 144) pixels"),
        (["nothing", "--images", "1"], "--images 1: give 2 or more"),
        (["--answers", f"mine={tmp_path / 'none'}"], "no such folder"),
        (["nothing", "--images", "2", "--out", str(tmp_path / "board.json")], "is no leaderboard"),
    ]:
        assert main(["benchmark", *given]) == 2
        found = capsys.readouterr().err
        assert said in found and found.count("\n") == 1, found
    with pytest.raises(segue.InputError, match="is missing; answer every row"):
        of_files(tmp_path, fixed_task(2))
