"""The shipped chest model moves anatomy: nothing asked is nothing changed, and requests in two regions add up."""

import numpy as np
import pytest
import tiny
import torch

import segue
from segue.causal.request import Request, resolve
from segue.engine.answer import abduct_images, check_inputs
from segue.mechanisms.base import offered
from segue.mechanisms.deformation import Deformation

MODEL = segue.load("chest")


@pytest.fixture(scope="module")
def drawn() -> torch.Tensor:
    image = tiny.radiograph()
    return torch.from_numpy(image + np.random.default_rng(0).normal(0, 3, image.shape)).float()[None, None]


def test_an_answer_moves_what_was_asked_for_and_what_is_not_asked_stays(drawn):
    assert torch.equal(MODEL.counterfactual(drawn, {}).image, drawn)
    answer = MODEL.counterfactual(drawn, {"left_lung@mid": "+1sd"})
    assert answer.achieved["left_lung@mid"] > answer.factual["left_lung@mid"]
    change = answer.difference.abs()[0, 0]
    assert change[:, 48:].sum() > 5 * change[:, :48].sum()  # the patient's left is the picture's right


def test_a_scanner_with_half_the_contrast_gets_the_same_answer(drawn):
    plain, other = (MODEL.counterfactual(image, {"heart@whole": "+1sd"}).image for image in (drawn, 0.5 * drawn + 20))
    torch.testing.assert_close(other, 0.5 * plain + 20, atol=0.05, rtol=0)


def test_requests_in_two_regions_move_nearly_as_their_sum(drawn):
    mover = offered(MODEL.mechanism, Deformation)
    known = abduct_images(MODEL, check_inputs(MODEL, drawn))
    (posterior,), facts = known.posteriors, known.facts

    def field(**do: str) -> torch.Tensor:
        asked = {name.replace("__", "@"): change for name, change in do.items()}
        return mover.field(facts, posterior, resolve([Request(asked)], facts.pa, MODEL.space))

    with torch.inference_mode():
        both = field(left_lung__upper="+1sd", right_lung__lower="-1sd")
        parts = field(left_lung__upper="+1sd") + field(right_lung__lower="-1sd")
    assert both.abs().max() > 0.5  # of a pixel
    assert (both - parts).abs().max() < 0.2 * both.abs().max()
