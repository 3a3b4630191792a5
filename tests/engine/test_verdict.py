"""Verdicts: shares against arithmetic, intervals against scipy, and each kind of doubt on a model that is known."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from scipy import stats

import segue
from segue.causal.request import Request
from segue.cohort.case import Case
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity
from segue.engine.answer import answer
from segue.engine.model import Model
from segue.engine.typical import UsualAnswers
from segue.engine.verdict import Doubt, Reached, Verdict, achieved_interval, is_met, refuse_unmet, share_of
from segue.errors import InputError
from segue.mechanisms.refined import Refined


class Posterior:
    def rows(self, index):
        return self


class Taller(torch.nn.Module):
    """Sets the bars' rows so that their areas are `gain` of the change asked; `inner` of nothing."""

    def __init__(self, parents, gain=1.0, haze=0.0):
        super().__init__()
        self.parents, self.gain, self.haze = parents, gain, haze

    def abduct(self, facts, *, sample=False):
        return Posterior()

    def predict(self, facts, posterior, requests):
        images = []
        for pa in requests:
            image = facts.image.clone()
            for half in range(2):
                area = facts.pa[:, half] + self.gain * (pa[:, half] - facts.pa[:, half])
                for row, height in enumerate((area / 8).round().int().tolist()):  # a bar is 8 pixels wide
                    place = slice(16 * half + 4, 16 * half + 12)
                    image[row, 0, :, place] = -0.8
                    image[row, 0, :height, place] = 0.5
            images.append(image + self.haze * (pa != facts.pa).any(1)[:, None, None, None])
        return images


def model(gain=1.0, haze=0.0, ensemble=(), **more) -> Model:
    parents = tiny.bar_parents()
    mechanism = Refined(Taller(parents, gain, haze), ensemble=ensemble)
    marginal = torch.arange(0.0, 65, 8)[:, None].expand(-1, 2)  # every height in both halves
    grid = Grid(tiny.SIZE, intensity=Intensity((-1.0, 1.0)), unit="px", pixel_area=1.0)
    return Model(mechanism, grid, marginal=marginal, **more)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """One image, its bars 3 and 4 of 8 rows tall."""
    image = torch.full((1, 1, *tiny.SIZE), -0.8)
    image[..., :3, 4:12] = 0.5
    image[..., :4, 20:28] = 0.5
    return image


def usually(found: Model, *, error: float = 0.0, reach: float = 0.0) -> Model:
    """The model, with what is usual of its answers."""
    answers = UsualAnswers(torch.full((2,), error), torch.full((2,), reach))
    found.input_check = SimpleNamespace(typical=SimpleNamespace(answers=answers), doubts=lambda known: [()])
    return found


def kinds(verdict: Verdict) -> list[str]:
    return [doubt.kind for doubt in verdict.doubts]


# ---- met ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factual", "requested", "achieved", "share", "met"),
    [
        (100.0, 200.0, 175.0, 0.75, True),
        (100.0, 200.0, 170.0, 0.70, False),
        (100.0, 200.0, 130.0, 0.30, False),
        (100.0, 200.0, 230.0, 1.30, False),  # too much is not met either
        (100.0, 0.0, 20.0, 0.80, True),
        (100.0, 104.0, 100.0, 0.0, True),  # missed by less than the measurement error
        (100.0, 100.0, 100.0, 1.0, True),
    ],
)
def test_share_and_met_by_hand(factual, requested, achieved, share, met):
    assert share_of(factual, requested, achieved) == pytest.approx(share)
    assert is_met(factual, requested, achieved, sd=50.0) == met


@pytest.mark.parametrize(("gain", "met"), [(1.0, True), (0.5, False), (0.0, False)])
def test_what_reaches_half_is_not_met(images, gain, met):
    (said,) = model(gain).counterfactual(images, {"bar@left": 56}).verdict
    (one,) = said.reached
    assert (one.variable, one.unit) == ("bar@left", "px") and one.met == said.met == met
    assert one.factual == pytest.approx(24, abs=0.1) and one.requested == 56
    assert one.share == pytest.approx(gain, abs=0.05) and ("not met" in kinds(said)) == (not met)
    assert one.ensemble is one.interval is None
    assert any("NOT MET" in line for line in said.lines()) == (not met)


def test_strict_makes_it_an_error_that_says_what_was_reached(images):
    asked = {"bar@left": 56}
    assert model(1.0).counterfactual(images, asked, strict=True).verdict[0].met
    with pytest.raises(InputError, match=r"1 of 1 requests were not met: bar@left reached 40.0 px of 56.0 px, 50%"):
        model(0.5).counterfactual(images, asked, strict=True)
    refuse_unmet([Verdict((), (Doubt("request", "outside"),))])  # a doubt is no unmet request


def test_nothing_asked_is_met_and_not_doubted(images):
    (said,) = model().counterfactual(images, {}).verdict
    assert said.ok and said.reached == () and said.reach is None


def test_every_request_of_a_case_has_its_verdict(images):
    requests = [Request({"bar@left": 56}), Request(), Request({"bar@right": 8})]
    (found,) = answer(model(), [Case("a", images[0].numpy(), None, np.eye(4))], [requests])
    assert [[one.variable for one in said.reached] for said in found.verdicts] == [["bar@left"], [], ["bar@right"]]
    (alone,) = model().counterfactual(images, requests[2]).verdict
    assert alone.reached[0].achieved == pytest.approx(found.verdicts[2].reached[0].achieved, rel=1e-5)


# ---- uncertainty -------------------------------------------------------------------------------------------------


def test_the_interval_is_students_prediction_interval():
    values = [9.0, 10.0, 10.5, 12.0]
    half = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) * np.sqrt(1 + 1 / 4)
    assert achieved_interval(values, []) == pytest.approx((np.mean(values) - half, np.mean(values) + half))
    assert achieved_interval([5.0], []) is None and achieved_interval([5.0], [4.0]) is None
    low, high = achieved_interval(values, [10.0, 11.0])
    more = stats.t.ppf(0.975, 1) * np.std([10, 11], ddof=1) * np.sqrt(1.5)
    assert high - low == pytest.approx(np.mean(values) + np.hypot(half, more))  # the lower end is 0: no area is less


def test_the_measurement_error_that_segmentors_share_widens_the_interval(images):
    values = [9.0, 10.0, 10.5, 12.0]
    low, high = achieved_interval(values, [])
    wide = achieved_interval(values, [], error=2.0)
    half = np.hypot((high - low) / 2, 1.96 * 0.7 * 2)
    assert wide == pytest.approx((np.mean(values) - half, np.mean(values) + half), abs=1e-3)
    (said,) = usually(model(), error=20.0).counterfactual(images, {"bar@left": 56}).verdict
    (one,) = said.reached
    assert one.interval == pytest.approx((one.achieved - 1.96 * 14, one.achieved + 1.96 * 14), rel=1e-3)
    assert one.spread is None and one.interval[0] < 32 and said.ok  # the factual value has the same error


def test_the_ensemble_and_its_spread_stand_beside_the_guide(images):
    members = [tiny.Tones(0.5, width=width) for width in (0.2, 0.4)]
    (said,) = model(ensemble=members).counterfactual(images, {"bar@left": 56}).verdict
    (one,) = said.reached
    x, x_star = (model(ensemble=members).counterfactual(images, do).image for do in ({}, {"bar@left": 56}))
    seen = [(m.soft(x_star) - m.soft(x))[:, 0, :, :16].sum() for m in (tiny.Tones(0.5), *members)]
    changes = [one.item() for one in seen]
    expected = [one.factual + change for change in changes]
    assert one.ensemble == pytest.approx(np.mean(expected), rel=1e-4) and np.std(expected) > 0.1
    assert one.interval == pytest.approx(achieved_interval(expected, []), rel=1e-3)


def test_what_may_be_no_change_at_all_is_uncertain(images):
    blind = tiny.Tones(5.0)  # sees no bar, so no change of one
    (said,) = model(ensemble=[blind]).counterfactual(images, {"bar@left": 56}).verdict
    assert "uncertain" in kinds(said) and not said.met  # the mean of guide and ensemble is half of it
    (small,) = model().counterfactual(images, {"bar@left": "+0.1sd"}).verdict
    assert kinds(small) == ["uncertain"] and "below the measurement error" in small.doubts[0].text


def test_posterior_samples_have_a_spread_of_their_own():
    known = segue.load("coronary-phantom")
    known.mechanism.ensemble = torch.nn.ModuleList()
    torch.manual_seed(0)
    asked = {"lumen@mid": "+1sd"}
    one, many = (known.counterfactual(known.examples()[:1], asked, particles=n).verdict[0].reached[0] for n in (1, 4))
    assert one.spread is None and many.spread[0] < many.achieved < many.spread[1]
    assert many.interval[0] < many.spread[0] and many.spread[1] < many.interval[1]


# ---- the request -------------------------------------------------------------------------------------------------


def test_a_value_clamped_to_nothing_is_said(images):
    (said,) = model().counterfactual(images, {"bar@left": "-300%"}).verdict
    assert "request" in kinds(said) and "was set to 0" in said.doubts[0].text
    (exact,) = model().counterfactual(images, {"bar@left": 0}).verdict
    assert "request" not in kinds(exact)


def test_a_value_outside_the_training_range_is_said(images):
    (said,) = model().counterfactual(images, {"bar@left": 65}).verdict
    assert any("outside the training range (0 to 64.0 px)" in doubt.text for doubt in said.doubts)
    for inside in (64, 64.001):  # the last to the accuracy of what is measured
        assert "request" not in kinds(model().counterfactual(images, {"bar@left": inside}).verdict[0])


def test_values_that_were_not_seen_together_are_said(images):
    alike = torch.tensor([[1.0, 0.98], [0.98, 1.0]])  # both bars are as tall in training
    together, apart = {"bar@left": 40, "bar@right": 40}, {"bar@left": 64}
    for correlation, expected in ((alike, 1), (torch.eye(2), 0), (None, 0)):
        known = model(correlation=correlation)
        assert "request" not in kinds(known.counterfactual(images, together).verdict[0])
        said = known.counterfactual(images, apart).verdict[0]
        assert sum("not seen together" in doubt.text for doubt in said.doubts) == expected


# ---- locality, input ---------------------------------------------------------------------------------------------


def test_change_far_from_the_outlines_is_said(images):
    (near,) = model().counterfactual(images, {"bar@left": 32}).verdict
    (far,) = model(haze=0.3).counterfactual(images, {"bar@left": 32}).verdict
    assert near.reach < 0.3 < 0.5 < far.reach and kinds(near) == []
    assert kinds(far)[-1] == "locality" and "outlines of bar" in far.doubts[-1].text
    for most, doubted in ((0.2, True), (0.99, False)):
        (said,) = usually(model(haze=0.3), reach=most).counterfactual(images, {"bar@left": 32}).verdict
        text = said.doubts[-1].text if doubted else said.notes[-1]
        assert ("locality" in kinds(said)) == doubted and said.reach == far.reach
        assert f"usual for this model is up to {most:.0%}" in text and f"{far.reach:.0%} of the change" in text


class Checked:
    """Says of every image which one it is."""

    typical = SimpleNamespace(answers=None)

    def doubts(self, known):
        return [(f"image {i} is black",) for i in range(len(known.raw))]


def test_what_the_input_check_says_is_a_doubt_of_its_image(images):
    known = model()
    (unchecked,) = known.counterfactual(images, {}).verdict
    assert unchecked.ok and len(unchecked.notes) == 1 and "no check of its input" in unchecked.lines()[-1]
    known.input_check = Checked()
    first, second = known.counterfactual(images.expand(2, -1, -1, -1), {"bar@left": 56}).verdict
    assert (first.doubts, second.doubts) == tuple((Doubt("input", f"image {i} is black"),) for i in range(2))
    assert not first.ok and first.met and first.notes == () and first.word == "met, in doubt"


def test_a_verdict_is_plain_for_json(images):
    (said,) = model(0.5).counterfactual(images, {"bar@left": 56}).verdict
    plain = said.plain()
    assert plain["word"] == "not met" and plain["reached"][0] == dataclasses.asdict(said.reached[0])
    assert plain["doubts"][-1]["kind"] == "not met" and plain["ok"] is False


def test_of_two_variables_each_has_its_own_word():
    met, missed = (Reached(name, "px", 1.0, 2.0, 2.0, None, None, None, 1.0, name == "a") for name in "ab")
    doubt = Doubt("not met", "b was not met")
    verdict = Verdict((met, missed), (doubt,))
    assert (verdict.word, verdict.word_of("a"), verdict.word_of("b")) == ("not met", "met", "not met")
    outside = Verdict((met, missed), (doubt, Doubt("request", "outside the training range")))
    assert (outside.word_of("a"), outside.word_of("b")) == ("met, in doubt", "not met")
