"""Moving before painting: exact where nothing is asked, every part trained, and what is refined."""

import pytest
import tiny
import torch

from segue.causal.facts import Facts
from segue.mechanisms.base import Likelihood, Samples, Trainable, offered
from segue.mechanisms.deformation import Deformation
from segue.mechanisms.diffeomorphism import resample
from segue.mechanisms.refined import refined
from segue.nets.velocity import VelocityNet
from segue.training.finetune import Constraint, CounterfactualFineTuning
from segue.training.guides import RegionGuide
from segue.training.objectives import Augmentation
from segue.training.prices import Prices


def moving(mechanism, **how) -> Deformation:
    torch.manual_seed(0)
    context = mechanism.parents.context_channels("map")
    velocity = VelocityNet(size=tiny.SIZE, inputs=2, context=context, widths=(8, 16), smoothing=1.0)
    with torch.no_grad():
        for parameter in velocity.parameters():  # residual branches of a fresh network are zero maps
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return Deformation(mechanism, velocity, **how)


def asked(facts: Facts) -> torch.Tensor:
    return facts.pa.roll(1, 0)


@pytest.mark.parametrize("carried", ["image", "smooth"])
def test_nothing_moves_where_nothing_is_asked(mechanism, factual, carried):
    mover = moving(mechanism, carried=carried, moves_only=True)
    null, changed = mover.predict(factual, mover.abduct(factual), [factual.pa, asked(factual)])
    assert torch.equal(null, factual.image)
    assert not torch.equal(changed, factual.image)
    ((_, displacement),) = mover.moved(factual, mover.abduct(factual), [factual.pa])
    assert not displacement.any()


def test_an_answer_is_what_moved_and_what_was_painted(mechanism, factual):
    mover, x = moving(mechanism), factual.image
    posterior = mover.abduct(factual)
    (edit,) = mover.edits(factual, posterior, [asked(factual)])
    (painted,) = mechanism.predict(factual, posterior.painter, [asked(factual)])
    torch.testing.assert_close(edit.image, resample(x, edit.displacement) + painted - x, atol=1e-5, rtol=0)


def test_noise_stays_in_place_where_the_smooth_part_is_carried(mechanism, factual):
    mover = moving(mechanism, carried="smooth", moves_only=True)
    posterior = mover.abduct(factual)
    (edit,) = mover.edits(factual, posterior, [asked(factual)])
    loc = posterior.painter.factual.loc
    torch.testing.assert_close(edit.image - resample(loc, edit.displacement), factual.image - loc, atol=1e-5, rtol=0)


def test_rows_of_a_posterior_answer_as_they_did(mechanism, factual):
    mover, row = moving(mechanism), torch.tensor([4, 4, 1])
    posterior = mover.abduct(factual)
    (whole,) = mover.predict(factual, posterior, [asked(factual)])
    (part,) = mover.predict(factual.rows(row), posterior.rows(row), [asked(factual)[row]])
    torch.testing.assert_close(part, whole[row])


def test_what_the_painter_can_do_the_mover_can(mechanism, factual):
    mover = moving(mechanism, moves_only=True)
    wrapped = refined(mover, corrections=1)
    for capability in (Likelihood, Samples, Trainable, Deformation):
        assert offered(wrapped, capability) is mover
    posterior = mechanism.abduct(factual)
    expected = mechanism.log_likelihood(factual, posterior)
    torch.testing.assert_close(mover.log_likelihood(factual, mover.abduct(factual)), expected)
    assert mover.sample(factual.pa, factual.weights).shape == factual.image.shape


def test_shrinkage_and_blur_are_of_the_paint_alone(mechanism, factual):
    plain, shaped = moving(mechanism), refined(moving(mechanism), shrinkage=100.0, blur=1.0)
    only = moving(mechanism, moves_only=True)
    (still,) = shaped.predict(factual, shaped.abduct(factual), [asked(factual)])
    (moved,) = only.predict(factual, only.abduct(factual), [asked(factual)])
    (both,) = plain.predict(factual, plain.abduct(factual), [asked(factual)])
    torch.testing.assert_close(still, moved, atol=1e-4, rtol=0)  # all paint is shrunk away, and nothing of the motion
    assert (both - moved).abs().max() > 1e-3


def test_small_changes_vanish_where_the_smooth_part_is_carried(mechanism, factual):
    free = moving(mechanism, carried="smooth", moves_only=True)
    shaped = refined(moving(mechanism, carried="smooth", moves_only=True), shrinkage=0.1)
    (moved,) = free.predict(factual, free.abduct(factual), [asked(factual)])
    (kept,) = shaped.predict(factual, shaped.abduct(factual), [asked(factual)])
    change = moved - factual.image
    torch.testing.assert_close(kept - factual.image, change**3 / (change**2 + 0.01), atol=1e-5, rtol=0)


@pytest.mark.parametrize("moves_only", [False, True])
def test_fine_tuning_reaches_every_part_that_it_tunes_and_no_other(mechanism, factual, moves_only, monkeypatch):
    mover = moving(mechanism, moves_only=moves_only)
    constraint = None if moves_only else Constraint(0.0, damping=1.0, rate=0.1, start=1.0)
    guide = RegionGuide(mechanism.parents)
    how = {"augment": Augmentation(), "constraint": constraint, "at_once": 2, "prices": Prices(outside=1.0)}
    tuning = CounterfactualFineTuning(mover, guide, **how)
    frames = torch.zeros(len(factual.image), 0)
    batch = {"image": factual.image, "parents": factual.pa, "frames": frames, "pixel_area": factual.pixel_area}
    measured, soft = [], mechanism.parents.segmentor.soft
    monkeypatch.setattr(mechanism.parents.segmentor, "soft", lambda image: measured.append(image) or soft(image))
    loss, terms = tuning(batch, 0.0)
    assert len(measured) == 2 and measured[0] is factual.image  # and the answer, by mechanism, guide and prices
    loss.backward()
    tuned = {id(p) for part in mover.tuned() for p in part.parameters()}
    for name, parameter in mover.named_parameters():
        got = parameter.grad is not None and bool(parameter.grad.any())
        assert got == (id(parameter) in tuned), name
    assert ("nelbo" in terms) == (not moves_only)
    assert float(terms["energy"]) > 0 and (float(terms["paint"]) > 0) == (not moves_only)


def test_requests_in_two_regions_move_as_their_sum(mechanism, factual):
    """Far from each other exactly; the head is not linear, so nearly where both are seen."""
    torch.manual_seed(0)
    velocity = VelocityNet(size=(16, 128), inputs=2, context=1, widths=(8, 8), resolution=2)
    gates = velocity.gates(torch.randn(1, 2, 16, 128))
    left, right = torch.zeros(1, 1, 16, 128), torch.zeros(1, 1, 16, 128)
    left[..., :8], right[..., -8:] = 1.0, -1.0
    torch.testing.assert_close(
        velocity(gates, left + right), velocity(gates, left) + velocity(gates, right), atol=1e-6, rtol=0
    )
