"""Answers against the engine that everything else calls."""

import numpy as np
import pytest
import small_study
import torch

from segue.anatomy import measure
from segue.cohort.grid import scaled
from segue.errors import InputError
from segue.explorer.asking import ask, sweep
from segue.explorer.models import Explored, explored
from segue.hardware import helper
from segue.hub.load import load
from segue.nets.segmentor import Segmentor
from segue.nets.weights import load_pretrained

pytestmark = pytest.mark.xdist_group("explorer")
MID = "calcified_plaque@mid"


@pytest.fixture(scope="module")
def run():
    return small_study.trained()[1]


@pytest.fixture(scope="module")
def opened(run):
    return explored(str(run), methods=["pos_seg_cft", "no_cft"])


def test_an_answer_is_that_of_the_engine_for_each_method(run, opened):
    case = opened.choose(1).case
    do = {MID: "+50%", "lumen@distal": 12.0}
    answer = ask(opened, case, do, ["pos_seg_cft", "no_cft"])
    for one in answer.readings:
        expected = load(run, method=one.method).counterfactual(case.image[None], do, spacing=case.spacing)
        np.testing.assert_allclose(one.image, expected.image[0, 0], atol=0.05)  # of 1400 HU
        for name, value in one.guide.items():
            assert value == pytest.approx(float(expected.achieved[name][0]), rel=1e-3, abs=1e-3)
        for name, value in answer.requested.items():
            assert value == pytest.approx(float(expected.requested[name][0]), rel=1e-4)
    assert answer.do == pytest.approx({name: answer.requested[name] for name in do}, rel=1e-6)  # in 32 bits the same


def test_the_judge_measures_both_images(run, opened):
    case = opened.choose(0).case
    answer = ask(opened, case, {MID: "+50%"}, ["no_cft"])
    judge = load_pretrained(Segmentor, run / "judge").eval()
    model = opened.first
    for image, found in ((answer.image, answer.judge), (answer.readings[0].image, answer.readings[0].judge)):
        x = scaled(torch.from_numpy(image)[None, None], model.grid.intensity.usual)
        weights = torch.from_numpy(np.stack(list(answer.regions.values())))[None]
        with torch.inference_mode():
            areas = measure(judge.soft(x), weights, model.parents.structure_of, torch.tensor([np.prod(case.spacing)]))
        assert list(found.values()) == pytest.approx(areas[0].tolist(), rel=1e-3, abs=1e-3)


def test_nothing_asked_nothing_changed(opened):
    answer = ask(opened, opened.choose(0).case, {}, ["pos_seg_cft"])
    np.testing.assert_array_equal(answer.readings[0].image, answer.image)
    assert answer.readings[0].leakage is None and answer.readings[0].off_target == 0


def test_leakage_is_the_share_outside_the_regions_asked(opened):
    answer = ask(opened, opened.choose(0).case, {MID: "+50%", "lumen@mid": "+50%"}, ["no_cft"])
    change = np.abs(answer.readings[0].image - answer.image)
    outside = change[:, (np.arange(48) < 16) | (np.arange(48) >= 32)]  # thirds of 48 columns
    assert answer.readings[0].leakage == pytest.approx(outside.sum() / change.sum(), rel=1e-4)


def test_a_sweep_is_its_requests_one_by_one(opened):
    case = opened.choose(0).case
    swept = sweep(opened, case, {"lumen@mid": 10.0}, "no_cft", MID, low=0, high=6, frames=3)
    assert swept.requested == [0, 3, 6]
    for value, image, guide in zip(swept.requested, swept.images, swept.guide, strict=True):
        one = ask(opened, case, {"lumen@mid": 10.0, MID: value}, ["no_cft"]).readings[0]
        np.testing.assert_allclose(image, one.image, atol=0.05)
        assert guide == pytest.approx(one.guide[MID], rel=1e-3)


def test_users_with_different_images_do_not_meet(opened):
    """What is kept is found by content: after another's request the first answer is what it was."""
    mine, others = opened.choose(0).case, opened.choose(1).case
    before = ask(opened, mine, {MID: 5.0}, ["no_cft"])
    ask(opened, others, {MID: 1.0}, ["no_cft"])
    after = ask(opened, mine, {MID: 5.0}, ["no_cft"])
    np.testing.assert_array_equal(before.readings[0].image, after.readings[0].image)


@pytest.mark.parametrize(
    ("do", "methods", "message"),
    [
        ({"lumen@middle": 1}, ["no_cft"], "did you mean lumen@mid"),
        ({MID: "lots"}, ["no_cft"], "give a value"),
        ({}, ["gan"], "'gan' is not in the model"),
        ({}, [], "choose 1 to 3"),
    ],
)
def test_bad_requests_are_refused(opened, do, methods, message):
    with pytest.raises(InputError, match=message):
        ask(opened, opened.choose(0).case, do, methods)


def test_the_judge_sees_the_factual_image_once(run, opened, monkeypatch):
    """However many methods are asked, and however often."""
    seen = []
    soft = opened.judge.soft
    monkeypatch.setattr(opened.judge, "soft", lambda x: seen.append(x) or soft(x))
    fresh = Explored(name="", opened="", models=opened.models, judge=opened.judge, source=opened.source)
    case = fresh.choose(0).case
    for value in (1.0, 2.0):
        ask(fresh, case, {MID: value}, ["pos_seg_cft", "no_cft"])
    factual = scaled(torch.from_numpy(case.image[None]), opened.first.grid.intensity.usual)
    assert sum(torch.equal(x, factual) for x in seen) == 1 and len(seen) == 5


def test_traced_networks_and_a_second_thread_change_no_answer(opened):
    """What follows after the first answers: the same pictures, measurements and verdicts, to the bit."""
    chosen, asked = opened.choose(1), [{MID: "+30%"}, {MID: "+80%"}]
    quick = Explored(
        name="quick", opened="", models=opened.models, judge=opened.judge, source=opened.source
    )
    before = [ask(opened, chosen.case, do, ["pos_seg_cft"]) for do in asked]
    quick.quick.second = helper()
    ask(quick, chosen.case, asked[0], ["pos_seg_cft"])
    quick.quick.trace()
    called = [part for part in quick.quick.parts if part.like]
    assert len(called) >= 3 and all(part.fast for part in called)
    with quick.quick.second:
        after = [ask(quick, chosen.case, do, ["pos_seg_cft"]) for do in asked]
    for one, other in zip(before, after, strict=True):
        (first,), (second,) = one.readings, other.readings
        assert np.array_equal(first.image, second.image)
        assert (first.guide, first.judge, first.verdict) == (second.guide, second.judge, second.verdict)
