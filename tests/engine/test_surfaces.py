"""Every way to ask gives the same bits or the same refusal: Python, command, generation, explorer, HTTP, evaluation."""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import polars as pl
import pytest
import tiny
import torch
import yaml
from test_effects import build

import segue.generation.generate
import segue.generation.job
import segue.hub.load
from segue.causal.request import Request
from segue.cli import main
from segue.cohort.case import Case
from segue.engine.answer import abduct_images, inputs_of
from segue.engine.asked import requested_parents
from segue.engine.method import Questions, of_mechanism
from segue.engine.model import Model
from segue.errors import InputError
from segue.explorer.api import answer_by_method
from segue.explorer.asking import ask
from segue.explorer.models import Chosen, Explored
from segue.generation.generate import generate

ID = "case"


@dataclass(frozen=True)
class Question:
    """One request of the one image, and what refuses it (None: nothing does)."""

    do: dict[str, Any]
    propagate: bool = True
    hold: tuple[str, ...] = ()
    refused: str | None = None
    spacing: tuple[float, float] = (0.5, 1.0)
    given: dict[str, float] = field(default_factory=lambda: {"age": 50.0, "sex": 0.0})


QUESTIONS = {
    "null": Question({}),
    "null change": Question({"bar@left": "+0%"}),
    "change": Question({"bar@left": "+50%"}),
    "several at once": Question({"bar@left": "+50%", "bar@right": "-1sd"}),
    "propagated": Question({"age": "+1sd"}),
    "held": Question({"age": "+1sd"}, hold=("bar@left",)),
    "not propagated": Question({"age": "+1sd"}, propagate=False),
    "quantile": Question({"bar@right": "q0.9"}),
    "out of range": Question({"bar@right": 100}),
    "more than the image": Question({"bar@right": 500}, refused="bar@right: 500 cannot be asked; give a value from"),
    "far too much": Question({"bar@right": 1e300}, refused="bar@right: 1e+300 is beyond the numbers that can be"),
    "negative": Question({"bar@left": "-200%"}),
    "negative value": Question({"bar@left": -3}),
    "category": Question({"sex": 1}),
    "spacing of its own": Question({"bar@left": "+50%"}, spacing=(0.25, 0.75)),
    "undefined category": Question({"sex": 7}, refused="sex = 7: it is categorical; choose from 0, 1"),
    "undefined factual category": Question({}, refused="sex = 7: it is categorical", given={"age": 50.0, "sex": 7.0}),
    "not a number": Question({"bar@left": "nan"}, refused="do(bar@left = 'nan'): give a value"),
    "empty": Question({"bar@left": ""}, refused="do(bar@left = ''): give a value"),
    "unknown": Question({"bar@lft": 3}, refused="unknown variable 'bar@lft'; did you mean bar@left?"),
    "no quantile": Question({"age": "q1.5"}, refused="do(age = 'q1.5'): give a value"),
    "done and held": Question({"age": 60}, hold=("age",), refused="age is both done and held; take it out of one"),
    "unknown held": Question({"age": 60}, hold=("agee",), refused="unknown variable 'agee'; did you mean age?"),
}


@pytest.fixture(scope="module")
def model() -> Model:
    return build(graph=True)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return (500 * tiny.bars(1, seed=4) + 300).numpy()


def by_python(model, image, asked: Question, folder) -> np.ndarray:
    causal = {"propagate": asked.propagate, "hold": asked.hold}
    found = model.counterfactual(image, asked.do, spacing=asked.spacing, covariates=asked.given, **causal)
    return found.image[0].numpy()


def by_command(model, image, asked: Question, folder, capsys) -> np.ndarray:
    path = folder / f"{ID}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(image[0, 0], np.diag([*asked.spacing, 1, 1])), path)
    do = [part for name, value in (asked.do or {"age": "+0%"}).items() for part in ("--do", f"{name}={value}")]
    given = [part for name, value in asked.given.items() for part in ("--given", f"{name}={value}")]
    hold = [part for name in asked.hold for part in ("--hold", name)]
    more = ["--propagate", str(asked.propagate).lower(), "--out", str(folder / "out")]
    code = main(["counterfactual", "model", str(path), *do, *given, *hold, *more])
    said = capsys.readouterr()
    if code:
        assert code == 2 and said.err.count("\n") == 1
        raise InputError(said.err)
    return np.asarray(nibabel.load(folder / "out" / f"{ID}_counterfactual.nii.gz").dataobj)[None]


def by_generation(model, image, asked: Question, folder) -> np.ndarray:
    cohort = folder / "cohort"
    cohort.mkdir()
    nibabel.save(nibabel.Nifti1Image(image[0, 0], np.diag([*asked.spacing, 1, 1])), cohort / f"{ID}.nii.gz")
    pl.DataFrame({"id": [ID], **{name: [value] for name, value in asked.given.items()}}).write_csv(cohort / "table.csv")
    plan = {"interventions": [asked.do], "propagate": asked.propagate, "hold": list(asked.hold)}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    out = folder / "answers"
    try:
        generate(folder, cohort=cohort, plan=folder / "plan.yaml", out=out, format="nifti")
    except InputError:
        if (out / "quarantine.csv").exists():
            raise InputError(pl.read_csv(out / "quarantine.csv")["reason"][0]) from None
        raise
    return np.asarray(nibabel.load(out / "images" / f"{ID}_0000.nii.gz").dataobj)[None]


def chosen(image, asked: Question) -> Chosen:
    case = Case(ID, image[0], asked.spacing, np.diag([*asked.spacing, 1.0, 1.0]), asked.given)
    return Chosen(case, "image")


def explored(model) -> Explored:
    return Explored(name="m", opened="m", models={"segue": model}, judge=None, source=None)


def by_explorer(model, image, asked: Question, folder) -> np.ndarray:
    case = chosen(image, asked).case
    found = ask(explored(model), case, asked.do, ["segue"], propagate=asked.propagate, hold=asked.hold)
    return found.readings[0].image[None]


def by_http(model, image, asked: Question, folder) -> np.ndarray:
    here = chosen(image, asked)
    found = answer_by_method(explored(model), here, asked.do, "segue", asked.propagate, list(asked.hold))
    path = folder / "http.nii.gz"
    path.write_bytes(base64.b64decode(found["segue"]["nifti"]))
    return np.asarray(nibabel.load(path).dataobj)[None]


def by_evaluation(model, image, asked: Question, folder) -> np.ndarray:
    known = abduct_images(model, inputs_of(model, [chosen(image, asked).case]))
    request = Request(asked.do, asked.propagate, asked.hold)
    pa_star = model.space.bounded(requested_parents(model, [request], known.facts.pa, known.facts.pixel_area))
    with torch.inference_mode():
        (answer,) = of_mechanism(model.mechanism).answer(Questions((ID,), known.facts, [pa_star]))
    null = torch.equal(pa_star, known.facts.pa)
    assert not null or torch.equal(answer, known.facts.image)
    return torch.where(answer == known.facts.image, torch.as_tensor(image), model.grid.unscale(answer))[0].numpy()


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("surface", [by_command, by_generation, by_explorer, by_http, by_evaluation])
def test_all_surfaces_answer_alike(surface, name, model, image, tmp_path: Path, monkeypatch, capsys):
    for module, attribute in ((segue.hub.load, "load"), (segue.generation.job, "load")):
        monkeypatch.setattr(module, attribute, lambda *_, **__: model)
    monkeypatch.setattr(segue.generation.generate, "locate", lambda run: tmp_path)
    asked = QUESTIONS[name]
    more = {"capsys": capsys} if surface is by_command else {}
    if asked.refused:
        for ask_by, given in ((by_python, {}), (surface, more)):
            with pytest.raises(InputError) as caught:
                ask_by(model, image, asked, tmp_path, **given)
            assert asked.refused in str(caught.value) and "\n" not in str(caught.value).strip()
        return
    expected = by_python(model, image, asked, tmp_path)
    found = surface(model, image, asked, tmp_path, **more)
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(expected).all() and np.array_equal(expected, image[0]) == name.startswith("null")
