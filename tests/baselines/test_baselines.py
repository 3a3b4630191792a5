"""Baselines that train nothing, on bars whose areas are known, and on the shipped model of the phantom."""

import pytest
import tiny
import torch

from segue.baselines import BASELINES, BaselineParts, baseline_settings
from segue.baselines.guided import polyak
from segue.baselines.warp import amplified, directions
from segue.causal.facts import Facts
from segue.cohort.grid import Grid
from segue.engine.method import Questions
from segue.errors import InputError
from segue.mechanisms.diffusion import DiffusionSettings, build_diffusion
from segue.mechanisms.hvae import HVAEMechanism
from segue.nets.layers import blurred
from segue.training.guides import RegionGuide

SIZE = (32, 64)
QUICK = {
    "nothing": {},
    "untrained_warp": {},
    "test_time_deformation": {"steps": 20},
    "latent_optimisation": {"steps": 12, "lr": 1.0, "distance": 0.0},
    "guided_diffusion": {"depth": 0.3, "scale": 1.0},
    "mask_inpainting": {"depth": 0.02},
}


@pytest.fixture(scope="module")
def parts() -> BaselineParts:
    parents = tiny.bar_parents()
    parents.sd.fill_(40.0)
    torch.manual_seed(0)
    net = tiny.HVAE(size=SIZE, context=parents.context_channels("map"), widths=(8, 8), depths=(1, 1), reach=2, head=8)
    mechanism = HVAEMechanism(model=net, parents=parents, conditioning="map").eval().requires_grad_(False)
    grid = Grid(SIZE)
    settings = DiffusionSettings(widths=(8, 8), steps=6)
    diffusion = build_diffusion(settings, parents, grid, "map").eval().requires_grad_(False)
    return BaselineParts(parents, grid, lambda: mechanism, lambda: diffusion)


@pytest.fixture(scope="module")
def questions(parts) -> Questions:
    image = torch.full((3, 1, *SIZE), -0.8)
    image[:, :, 10:22, 8:24], image[:, :, 10:22, 40:56] = 0.5, 0.5  # 12 x 16 pixels in each half
    image = blurred(image + 0.02 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0)), 0.7)
    areas, frames = parts.parents.factual(image, torch.ones(3))
    facts = Facts(image, areas, parts.parents.weights(frames, SIZE), torch.ones(3))
    grown, shrunk = facts.pa.clone(), facts.pa.clone()
    grown[:, 0] += 50
    shrunk[:, 1] -= 50
    return Questions(("a", "b", "c"), facts, [facts.pa, grown, shrunk])


@pytest.mark.parametrize("name", sorted(set(QUICK) - {"nothing"}))
def test_answers_go_towards_what_was_asked(name, parts, questions):
    guide, facts = RegionGuide(parts.parents), questions.facts
    with torch.inference_mode():
        null, *answers = BASELINES[name](parts, **QUICK[name]).answer(questions)
    assert torch.equal(null, facts.image)
    for answer, requested in zip(answers, questions.requests[1:], strict=True):
        assert (guide(answer, facts, requested) < 0.5 * guide(facts.image, facts, requested)).all()


def test_a_warp_finds_the_area_and_stays_in_its_region(parts, questions):
    facts, (_, grown, _) = questions.facts, questions.requests
    _, answer, _ = BASELINES["untrained_warp"](parts).answer(questions)
    areas = RegionGuide(parts.parents).areas(answer, facts)
    assert torch.allclose(areas[:, 0], grown[:, 0], atol=2.0)
    far = answer[..., 40:] - facts.image[..., 40:]
    assert float(far.abs().max()) < 0.01


def test_a_velocity_points_into_its_structure(parts, questions):
    along = directions(parts, questions.facts, smoothing=2.0)
    assert along.square().sum(2).sqrt().flatten(2).amax(2).allclose(torch.ones(3, 2), atol=1e-4)
    above = along[:, 0, 0, 9, 16]  # rows grow downwards: just above the bar the way inwards is down
    below = along[:, 0, 0, 22, 16]
    assert (above > 0.1).all() and (below < -0.1).all()
    assert torch.equal(amplified(along, torch.zeros(3, 2)), torch.zeros(3, 2, *SIZE))


def test_without_a_border_nothing_moves(parts):
    image = torch.full((1, 1, *SIZE), -1.0)
    areas, frames = parts.parents.factual(image, torch.ones(1))
    facts = Facts(image, areas, parts.parents.weights(frames, SIZE), torch.ones(1))
    (answer,) = BASELINES["untrained_warp"](parts).answer(Questions(("a",), facts, [facts.pa + 30]))
    assert torch.allclose(answer, image, atol=1e-6)


def test_held_diffusion_changes_nothing_outside(parts, questions):
    free, held = (BASELINES["guided_diffusion"](parts, depth=0.3, hold=hold) for hold in (False, True))
    (_, loose, _), (_, kept, _) = free.answer(questions), held.answer(questions)
    far = (slice(None), slice(None), slice(None), slice(40, None))  # the left bar was asked to grow
    assert (kept - questions.facts.image)[far].abs().max() == 0 < (loose - questions.facts.image)[far].abs().max()
    assert (kept - questions.facts.image)[..., :32].abs().max() > 0.1


def test_without_guidance_the_inversion_is_undone(parts, questions):
    """What each step loses on the way up is kept on the way down."""
    method = BASELINES["guided_diffusion"](parts, depth=0.5, scale=0.0)
    (null,) = method.respond(questions._replace(requests=questions.requests[:1]))
    assert torch.allclose(null.image, questions.facts.image, atol=1e-5)


def test_guidance_of_a_linear_error_meets_it_in_one_step():
    weight, x = torch.randn(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    error = (weight * x).flatten(1).sum(1) - 5
    step = polyak(error.square(), 2 * error.reshape(2, 1, 1, 1) * weight)
    assert torch.allclose((weight * (x - step)).flatten(1).sum(1), torch.full((2,), 5.0), atol=1e-4)
    assert torch.equal(polyak(torch.zeros(2), torch.zeros_like(x)), torch.zeros_like(x))


def test_in_painting_stays_in_the_band(parts, questions):
    facts = questions.facts
    method = BASELINES["mask_inpainting"](parts, depth=0.4, margin=2)
    _, more, less = method.answer(questions)
    changed = (more - facts.image).abs()
    assert changed[..., 32:].max() == 0 and changed[:, :, 15:17, 15:17].max() < 0.01 < changed.max()
    assert (less - facts.image).abs()[..., :32].max() == 0 < (less - facts.image).abs().max()
    first, second = (method.draw(questions)[1].image for _ in range(2))
    assert not torch.equal(first, second) and torch.equal(method.answer(questions)[1], more)


def test_without_a_diffusion_model_it_is_said(parts):
    with pytest.raises(InputError, match="trains no diffusion model"):
        BASELINES["guided_diffusion"](BaselineParts(parts.parents, parts.grid, parts.pretrained))


def test_an_entry_of_another_name_says_its_kind():
    assert baseline_settings("held", {"kind": "guided_diffusion", "hold": True}) == {"hold": True}
    with pytest.raises(InputError, match=r"held.kind: guided_difusion is no .*did you mean guided_diffusion"):
        baseline_settings("held", {"kind": "guided_difusion"})
    with pytest.raises(InputError, match="baselines: held is no baseline"):
        baseline_settings("held", {})


def test_settings_are_checked_by_the_signature():
    assert baseline_settings("latent_optimisation", {"steps": 5}) == {"steps": 5}
    with pytest.raises(InputError, match=r"baselines.untrained_warp.bisectoins: .*did you mean bisections"):
        baseline_settings("untrained_warp", {"bisectoins": 5})
    with pytest.raises(InputError, match="give a whole number"):
        baseline_settings("untrained_warp", {"bisections": "many"})


def test_latents_need_a_code(parts):
    with pytest.raises(InputError, match="has no code to optimise"):
        BASELINES["latent_optimisation"](BaselineParts(parts.parents, parts.grid, lambda: object()))
