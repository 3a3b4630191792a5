"""Answers are numbers: what no image can have is refused, asked or given, and so is an answer that is not finite."""

import json
import math

import numpy as np
import pytest
import torch
from tiny import radiograph

import segue
from segue.cli import main
from segue.engine.inputs import single_precision
from segue.engine.model import MOST_PARTICLES
from segue.errors import InputError

REQUESTS = ["1e20", "1e38", "1e39", "+1e300sd", "-1e300sd", "+1e300%", "nan", "inf", "9" * 5000]


@pytest.fixture(scope="module")
def model():
    return segue.load("coronary-phantom")


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_without_bounds_is_refused_in_python_and_on_the_command_line(model, tmp_path, capsys, request_):
    with pytest.raises(InputError, match="lumen@mid") as caught:
        model.counterfactual(model.examples()[:1], {"lumen@mid": request_})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    image = tmp_path / "a.npy"
    np.save(image, model.examples()[0, 0].numpy())
    do = f"lumen@mid={request_}"
    assert main(["counterfactual", "coronary-phantom", str(image), "--do", do, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy"]


@pytest.mark.parametrize("values", [[math.nan], [math.inf], [1e39], [1e20]])
def test_a_value_for_each_image_is_a_finite_number(model, values):
    with pytest.raises(InputError, match="lumen@mid"):
        model.counterfactual(model.examples()[:1], {"lumen@mid": values})


@pytest.mark.parametrize("values", ["much", [None], {"a": 1}, [[1], [2, 3]], [10**5000]])
def test_what_is_no_number_is_refused(values):
    with pytest.raises(InputError, match=r"age: is no number \(.*\); give one"):
        single_precision("age", values)


def test_numbers_in_a_sidecar_are_json(model, tmp_path):
    answer = model.counterfactual(model.examples()[:1], {"lumen@mid": 0, "calcified_plaque@mid": "+1sd"})
    answer.save(tmp_path, names=["a"])
    refuse = pytest.fail
    json.loads((tmp_path / "a_counterfactual.json").read_text(), parse_constant=refuse)


def test_an_answer_that_is_not_finite_is_refused(model, monkeypatch):
    inner = type(model.mechanism)
    before = inner.predict

    def broken(self, facts, posterior, requests):
        return [torch.full_like(one, math.nan) for one in before(self, facts, posterior, requests)]

    for name in ("predict", "moved"):
        monkeypatch.setattr(inner, name, broken, raising=False)
    monkeypatch.setattr("segue.engine.predict.Moves", type("Nothing", (), {}))
    with pytest.raises(InputError, match="the answer holds values that are not finite"):
        model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"})


@pytest.mark.parametrize("particles", [0, -1, MOST_PARTICLES + 1, 10**9])
def test_particles_have_bounds(model, particles):
    with pytest.raises(InputError, match=f"particles is {particles}: give 1 to 1,000"):
        model.counterfactual(model.examples()[:1], {}, particles=particles)


def test_a_null_request_of_any_image_is_still_answered():
    model = segue.load("chest")
    image = torch.from_numpy(radiograph())[None, None].float()
    assert torch.equal(model.counterfactual(image, {}).image, image)
