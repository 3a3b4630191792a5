"""One pass over a method: axioms, likelihoods, features and pictures, of a painter that errs by a known amount."""

import math

import numpy as np
import pytest
import tiny
import torch
from painter import HEIGHT, PA, VALUES, WIDTH, Painter, asked, paint

from segue.engine.method import Method, of_function, of_mechanism, still
from segue.evaluation.asked import Asked
from segue.evaluation.judge import Judge, Judged, axioms_of, factual_features, judged


class Features(tiny.Channels):
    """Its features are the areas that `Painter` is asked for."""

    def features(self, image):
        return image.unflatten(-1, (2, -1)).sum((2, 4)).flatten(1)


def measured(mechanism, *batches, pictures=()) -> Judged:
    judge = Judge(mechanism.parents, Features(), pictures)
    return judged(of_mechanism(mechanism), batches, judge, pretrained=mechanism)


def in_batches(parents) -> list[Asked]:
    return [asked(PA[:1], VALUES[:1], parents, [0]), asked(PA[1:], VALUES[1:], parents, [1, 2])]


def changed(*, index: tuple[int, ...]) -> torch.Tensor:
    """PA with one variable an image set, the one of the image's place in its batch."""
    requested = PA.clone()
    for i, v in enumerate(index):
        requested[i, v] = VALUES[i, v]
    return requested


def cost(pixels: torch.Tensor) -> float:
    """Nats per pixel: -log N(x; 0, 1) for masks of so many ones among 2 x 8 x 16 pixels."""
    return 0.5 * math.log(2 * math.pi) + 0.5 * float(pixels.sum()) / (len(pixels) * 2 * HEIGHT * WIDTH)


def test_an_exact_mechanism_is_consistent():
    mechanism = Painter()
    found = axioms_of(measured(mechanism, *in_batches(mechanism.parents)).checks)
    assert found["composition"] == pytest.approx(0, abs=1e-6)
    assert found["reversibility"] == pytest.approx(0, abs=1e-6)


def test_likelihoods_by_hand():
    mechanism = Painter()
    found = axioms_of(measured(mechanism, *in_batches(mechanism.parents)).checks)["realism"]
    assert found["nelbo"] == found["nelbo_factual"] == pytest.approx(cost(PA), rel=1e-5)
    assert found["nelbo_counterfactual"] == pytest.approx(cost(changed(index=(0, 0, 1))), rel=1e-5)


def test_a_mechanism_that_spills_is_not_reversible():
    mechanism = Painter(spill=3)
    values = PA + 1  # each image has one variable set: image i variable i
    found = axioms_of(measured(mechanism, asked(PA, values.clamp(max=20), mechanism.parents)).checks)
    assert found["composition"] == pytest.approx(0, abs=1e-6)
    # on the way back 3 pixels of plaque appear on the right; the second image has room for 1
    assert found["reversibility"] == pytest.approx((3 + 1 + 3) / 3 / (2 * HEIGHT * WIDTH) / 2, rel=1e-5)


def test_an_untrained_network_is_consistent_where_it_must_be(mechanism, factual):
    one = Asked(torch.arange(6), tuple("abcdef"), factual, factual.pa.roll(1, 0))
    found = axioms_of(judged(of_mechanism(mechanism), [one], Judge(mechanism.parents, Says())).checks)
    assert found["composition"] < 1e-6 < found["reversibility"]


class Says(tiny.Channels):
    """A judge with a single feature."""

    def soft(self, image):
        return tiny.Tones(0.5).soft(image)

    def features(self, image):
        return image.flatten(1).mean(1, keepdim=True)


def test_composition_is_the_methods_own_though_its_answers_to_nothing_are_exact():
    """What a method does to an image that nobody asked it to change is measured before the engine mends it."""
    parents = Painter().parents
    shifted = of_function(lambda facts, requested: facts.image + 0.5)
    one = asked(PA, PA, parents)  # every request is null
    found = judged(shifted, [one], Judge(parents, Features()))
    assert float(found.checks["composition"].mean()) == pytest.approx(0.25)
    assert found.effects["total"].max() == 0


class Restless(Painter):
    """Adds to each answer of a draw a number of its own: 0, 1, 2, ...."""

    def __init__(self) -> None:
        super().__init__()
        self.draws = -1

    def abduct(self, facts, *, sample=False):
        self.draws += sample
        return super().abduct(facts, sample=sample)

    def predict(self, facts, posterior, requests):
        return [image + max(self.draws, 0) for image in super().predict(facts, posterior, requests)]


def test_spread_is_the_sd_over_draws():
    mechanism = Restless()
    before = torch.get_rng_state()
    found = measured(mechanism, asked(PA, VALUES, mechanism.parents)).checks["spread"]
    assert found == pytest.approx(np.std([0, 1, 2, 3], ddof=1) / 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_answers_alike_has_no_spread():
    mechanism = Painter()
    assert "spread" not in axioms_of(measured(mechanism, *in_batches(mechanism.parents)).checks)


def test_features_are_of_the_facts_and_of_the_counterfactuals():
    mechanism = Painter()
    batches = in_batches(mechanism.parents)
    np.testing.assert_allclose(factual_features(Features(), batches), PA, atol=1e-4)
    np.testing.assert_allclose(measured(mechanism, *batches).features, changed(index=(0, 0, 1)), atol=1e-4)


def test_pictures_are_the_images_that_were_judged():
    mechanism = Painter(spill=3)
    wanted = ((2, 1), (0, 3))
    found = measured(mechanism, *in_batches(mechanism.parents), pictures=wanted)
    for (i, v), picture in zip(wanted, found.pictures, strict=True):
        expected = PA[i : i + 1].clone()
        expected[0, v] = VALUES[i, v]
        expected[0, 3] += 3
        np.testing.assert_array_equal(picture, paint(expected)[0])


def test_images_made_elsewhere_have_no_axioms_and_no_likelihood():
    parents = Painter().parents
    fixed = Method(still(lambda questions: [questions.facts.image] * len(questions.requests)), open_ended=False)
    found = judged(fixed, in_batches(parents), Judge(parents, Features()))
    assert found.checks == {} and len(found.effects) == 12
    assert axioms_of(found.checks) == {"realism": {}}
