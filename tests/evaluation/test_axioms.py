"""Axioms of a mechanism that paints exactly what it is asked for, and of one that spills by a known amount."""

import math

import numpy as np
import pytest
import tiny
import torch
from painter import HEIGHT, PA, VALUES, WIDTH, Painter, asked, paint

from segue.evaluation.axioms import Axioms, axioms, factual_features, true_features
from segue.evaluation.effect import Asked, act
from segue.evaluation.truth import Truth


class Judge(tiny.Channels):
    """Its features are the areas that `Painter` is asked for."""

    def features(self, image):
        return image.unflatten(-1, (2, -1)).sum((2, 4)).flatten(1)


def measured(mechanism, *batches) -> Axioms:
    return axioms(mechanism, mechanism, Judge(), iter(batches))


def in_batches(parents) -> list[Asked]:
    return [asked(PA[rows], VALUES[rows], parents) for rows in (slice(0, 1), slice(1, 3))]


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
    found = measured(mechanism, *in_batches(mechanism.parents))
    assert found.composition == pytest.approx(0, abs=1e-6)
    assert found.reversibility == pytest.approx(0, abs=1e-6)


def test_likelihoods_by_hand():
    mechanism = Painter()
    found = measured(mechanism, *in_batches(mechanism.parents))
    assert found.nelbo == found.nelbo_factual == pytest.approx(cost(PA), rel=1e-5)
    assert found.nelbo_counterfactual == pytest.approx(cost(changed(index=(0, 0, 1))), rel=1e-5)


def test_a_mechanism_that_spills_is_not_reversible():
    mechanism = Painter(spill=3)
    values = PA + 1  # each image has one variable set: image i variable i
    found = measured(mechanism, asked(PA, values.clamp(max=20), mechanism.parents))
    assert found.composition == pytest.approx(0, abs=1e-6)
    # on the way back 3 pixels of plaque appear on the right; the second image has room for 1
    assert found.reversibility == pytest.approx((3 + 1 + 3) / 3 / (2 * HEIGHT * WIDTH) / 2, rel=1e-5)


def test_an_untrained_network_is_consistent_where_it_must_be(mechanism, factual):
    x, pa, weights, area = factual
    found = measured(mechanism, Asked(torch.arange(6), x, pa, weights, area, pa.roll(1, 0)))
    assert found.composition < 1e-6 < found.reversibility


def test_each_image_is_abducted_once_for_the_fact_and_once_for_the_way_back():
    class Counting(Painter):
        calls = 0

        def infer(self, x, pa, weights, *, sample):
            self.calls += 1
            return super().infer(x, pa, weights, sample=sample)

    mechanism, pretrained = Counting(), Painter()
    axioms(mechanism, pretrained, Judge(), iter([asked(PA, VALUES, mechanism.parents)]))
    assert mechanism.calls == 2


def test_features_are_of_the_facts_the_counterfactuals_and_the_truth():
    mechanism = Painter()
    batches = in_batches(mechanism.parents)
    np.testing.assert_allclose(factual_features(Judge(), iter(batches)), PA, atol=1e-4)
    expected = changed(index=(0, 0, 1))
    np.testing.assert_allclose(measured(mechanism, *batches).features, expected, atol=1e-4)
    knowing = []
    for batch in batches:
        images = torch.stack([paint(act(batch.pa, v, batch.values[:, v])) for v in range(4)], dim=1)
        knowing.append(batch._replace(truth=Truth(images, torch.ones(len(images), 4, dtype=torch.bool))))
    np.testing.assert_allclose(true_features(Judge(), iter(knowing)), expected, atol=1e-4)
