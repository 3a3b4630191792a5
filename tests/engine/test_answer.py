"""Answers for many images and requests at once, against the engine asked one image and one request at a time."""

import numpy as np
import pytest
import tiny
import torch

from segue.causal.parents import Parents
from segue.causal.request import Request
from segue.cohort.case import Case
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity
from segue.engine import answer as answer_module
from segue.engine.answer import answer
from segue.engine.model import Model
from segue.errors import InputError
from segue.mechanisms.hvae import HVAEMechanism

DOS = [
    [{"bar@left": "+50%"}, {}, {"bar@right": "q0.9", "age": "-1sd"}],
    [{"bar@left": "3"}],
    [{"bar@left": "+0%"}, {"age": "70"}, {"bar@left": "-1sd"}, {"bar@right": "-200%"}],
]

REQUESTS = [[Request(do) for do in dos] for dos in DOS]


@pytest.fixture
def aged() -> Model:
    """A model in mm2 with a covariate, whose images do not agree in spacing."""
    parents = Parents(segmentor=tiny.Tones(0.5), variables=tiny.variables("bar"), covariates=("age",))
    parents.mean.copy_(torch.tensor([30.0, 30, 60]))
    parents.sd.copy_(torch.tensor([10.0, 10, 8]))
    net = tiny.hvae(context=parents.context_channels("map"))
    marginal = torch.cat([64 * torch.rand(101, 2), 40 + 40 * torch.rand(101, 1)], dim=1)
    grid = Grid(tiny.SIZE, intensity=Intensity((-200.0, 800.0)), unit="mm2", pixel_area=None)
    return Model(HVAEMechanism(model=net, parents=parents, conditioning="map"), grid, marginal=marginal)


def cases(count: int) -> list[Case]:
    images = (500 * tiny.bars(count, seed=4) + 300).numpy()
    return [
        Case(f"case{i}", image, (0.5, 0.5 + i), np.eye(4), {"age": 50.0 + 5 * i}) for i, image in enumerate(images)
    ]


@pytest.mark.parametrize("together", [1, 2, 128])
def test_answers_are_those_of_the_engine(aged, monkeypatch, together):
    monkeypatch.setattr(answer_module, "PIXELS", {"cpu": together * 8 * 32})
    found = answer(aged, cases(3), REQUESTS)
    assert len(found) == 3
    for case, dos, one in zip(cases(3), DOS, found, strict=True):
        assert one.images.shape == (len(dos), 1, *tiny.SIZE) and one.images.dtype == np.float32
        for request, do in enumerate(dos):
            expected = aged.counterfactual(
                case.image[None], do, spacing=case.spacing, covariates={"age": case.covariates["age"]}
            )
            np.testing.assert_allclose(one.images[request], expected.image[0], atol=0.01)  # of a range of 1000
            for v, name in enumerate(aged.variables):
                np.testing.assert_allclose(one.factual[v], expected.factual[name][0], rtol=1e-5)
                np.testing.assert_allclose(one.requested[request, v], expected.requested[name][0], rtol=1e-5)
            for v, name in enumerate(("bar@left", "bar@right")):
                np.testing.assert_allclose(one.achieved[request, v], expected.achieved[name][0], rtol=1e-4)


def test_a_request_that_changes_nothing_returns_the_very_image(aged):
    found = answer(aged, cases(3), REQUESTS)
    np.testing.assert_array_equal(found[0].images[1], cases(3)[0].image)
    np.testing.assert_array_equal(found[2].images[0], cases(3)[2].image)
    for case, one in ((cases(3)[0], {}), (cases(3)[2], {"bar@left": "+0%"})):
        age = {"age": case.covariates["age"]}
        by_model = aged.counterfactual(case.image[None], one, spacing=case.spacing, covariates=age)
        np.testing.assert_array_equal(by_model.image[0], case.image)
    np.testing.assert_allclose(found[0].achieved[1], found[0].factual[:2], rtol=1e-6)
    assert np.abs(found[0].images[0] - cases(3)[0].image).max() > 0


def test_each_image_may_have_a_spacing_of_its_own(aged):
    given = {"spacing": [case.spacing for case in cases(3)], "covariates": {"age": [50.0, 55.0, 60.0]}}
    images = np.stack([case.image for case in cases(3)])
    together = aged.counterfactual(images, {"bar@left": "+50%"}, **given)
    found = answer(aged, cases(3), [[Request({"bar@left": "+50%"})]] * 3)
    for i, one in enumerate(found):
        np.testing.assert_array_equal(one.images[0], together.image[i])
    with pytest.raises(InputError, match="2 spacings for 3 images"):
        aged.counterfactual(images, {}, spacing=[(1.0, 1.0)] * 2, covariates={"age": 50.0})


def test_what_the_engine_refuses_is_refused(aged):
    bad = Case("nan", np.full((1, *tiny.SIZE), np.nan, np.float32), (1.0, 1.0), np.eye(4), {"age": 50.0})
    with pytest.raises(InputError, match="not finite"):
        answer(aged, [bad], [[Request()]])
    lost = Case("lost", cases(1)[0].image, None, np.eye(4), {"age": 50.0})
    with pytest.raises(InputError, match="spacing"):
        answer(aged, [lost], [[Request()]])
