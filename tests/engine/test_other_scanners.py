"""A model that scales each image by its own percentiles: another scanner's image has another scanner's answer."""

import dataclasses

import numpy as np
import pytest
import test_surfaces
import torch
from test_effects import build

import segue.generation.generate
import segue.generation.job
import segue.hub.load
from segue.cohort.intensity import Intensity, PercentileRule
from segue.engine.model import Model
from segue.explorer.view import view

ASKED = test_surfaces.Question({"bar@left": "+50%"})


@pytest.fixture(scope="module")
def model() -> Model:
    made = build(graph=True)
    rule = PercentileRule((1.0, 99.0))
    made.grid = dataclasses.replace(made.grid, intensity=Intensity(made.grid.intensity.usual, rule))
    return made


image = test_surfaces.image


def test_another_scanners_image_has_the_same_answer_in_its_own_units(model, image):
    def answer(raw):
        return model.counterfactual(raw, ASKED.do, covariates=ASKED.given)

    one, other = answer(image), answer((0.5 * image + 30).astype(np.float32))
    torch.testing.assert_close(other.achieved["bar@left"], one.achieved["bar@left"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(other.image, 0.5 * one.image + 30, rtol=0, atol=1e-2)
    assert float(one.difference.abs().max()) > 1


def test_nothing_asked_is_the_image_itself_bit_for_bit(model, image):
    assert np.array_equal(model.counterfactual(image, {}, covariates=ASKED.given).image.numpy(), image)


@pytest.mark.parametrize(
    "surface",
    [
        test_surfaces.by_command,
        test_surfaces.by_generation,
        test_surfaces.by_explorer,
        test_surfaces.by_http,
    ],
)
def test_all_surfaces_answer_alike(surface, model, image, tmp_path, monkeypatch, capsys):
    for module in (segue.hub.load, segue.generation.job):
        monkeypatch.setattr(module, "load", lambda *_, **__: model)
    monkeypatch.setattr(segue.generation.generate, "locate", lambda run: tmp_path)
    more = {"capsys": capsys} if surface is test_surfaces.by_command else {}
    expected = test_surfaces.by_python(model, image, ASKED, tmp_path)
    np.testing.assert_array_equal(surface(model, image, ASKED, tmp_path, **more), expected)


def test_the_page_shows_every_scanner_alike(model, image):
    opened, here = test_surfaces.explored(model), test_surfaces.chosen(image, ASKED)
    darker = test_surfaces.chosen((0.25 * image - 100).astype(np.float32), ASKED)
    pages = [view(opened, one, test_surfaces.ask(opened, one.case, ASKED.do, ["segue"])) for one in (here, darker)]
    first, second = (page.split('data:image/png;base64,')[1][:2000] for page in pages)  # the factual image
    assert first == second
