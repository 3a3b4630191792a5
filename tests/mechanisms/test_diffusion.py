"""DDIM against MONAI's, inversion and its exact return, guidance where it is known what it must give, and gradients."""

import math
from itertools import pairwise

import pytest
import tiny
import torch
from monai.networks.schedulers import DDIMScheduler
from torch import nn

from segue.causal.facts import Facts
from segue.cohort.grid import Grid
from segue.mechanisms import MECHANISMS
from segue.mechanisms.base import ImageMechanism, Likelihood, Samples, Trainable
from segue.mechanisms.diffusion import TIMES, Diffusion, DiffusionSettings
from segue.nets.diffusion import DiffusionNet, check_denoiser
from segue.nets.weights import load_pretrained


def made(parents, conditioning="map", **changes: object) -> Diffusion:
    """A tiny mechanism whose network is not the zero map (a fresh one's last layer is 0)."""
    torch.manual_seed(0)
    settings = DiffusionSettings(**({"widths": (8, 16), "steps": 10, "depth": 0.5} | changes))
    mechanism = MECHANISMS["diffusion"].build(settings, parents, Grid(tiny.SIZE), conditioning)
    with torch.no_grad():
        for parameter in mechanism.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return mechanism.eval()


@pytest.fixture(params=["map", "broadcast"])
def diffusion(request, parents) -> Diffusion:
    return made(parents, request.param)


class Gaussian(nn.Module):
    """The exact v of images x_0 ~ N(mean, sd^2 I): the diffusion is known in closed form."""

    maps, channels, steps, depth, guidance, last = 2, 1, 200, 0.8, 1.0, 2

    def __init__(self, alphas: torch.Tensor, mean: float, sd: float) -> None:
        super().__init__()
        self.alphas, self.mean, self.sd = alphas, mean, sd

    def forward(self, x_t, t, maps):
        alpha = self.alphas[t].reshape(-1, 1, 1, 1)
        variance = alpha * self.sd**2 + 1 - alpha
        noise = (1 - alpha).sqrt() * (x_t - alpha.sqrt() * self.mean) / variance
        return (noise - (1 - alpha).sqrt() * x_t) / alpha.sqrt()


def with_net(diffusion: Diffusion, net: nn.Module) -> Diffusion:
    diffusion._modules["model"] = net
    return diffusion


def test_it_is_a_mechanism_that_is_trained_and_samples_and_has_no_likelihood(diffusion):
    for capability in (ImageMechanism, Trainable, Samples):
        assert isinstance(diffusion, capability)
    assert not isinstance(diffusion, Likelihood)


@torch.no_grad()
def test_one_step_is_that_of_monai(diffusion, factual):
    scheduler = DDIMScheduler(
        TIMES, schedule="scaled_linear_beta", clip_sample=False, prediction_type="v_prediction"
    )
    scheduler.set_timesteps(50)
    x_t, maps = torch.randn(factual.image.shape), diffusion.maps(factual, factual.pa)
    for t in (20, 400, 1000):
        noise = diffusion.noise(x_t, t, maps)
        v = diffusion.model(x_t, torch.full((len(x_t),), t), maps)
        expected, clean = scheduler.step(v, t - 1, x_t)  # MONAI counts from 0
        torch.testing.assert_close(diffusion.clean(x_t, noise, t), clean, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(diffusion.step(x_t, noise, t, t - 20), expected, rtol=1e-4, atol=1e-4)
        upwards, _ = scheduler.reversed_step(v, t - 1, x_t) if t + 20 <= TIMES else (None, None)
        if upwards is not None:
            torch.testing.assert_close(diffusion.step(x_t, noise, t, t + 20), upwards, rtol=1e-4, atol=1e-4)


def test_times_run_from_the_image_to_the_depth(diffusion):
    times = diffusion.times(0.5)
    assert times[0] == 0 and times[-1] == TIMES // 2 and len(times) == diffusion.model.steps + 1


@torch.no_grad()
def test_inversion_and_sampling_are_the_exact_flow_of_gaussian_images(parents, factual):
    diffusion = made(parents)
    with_net(diffusion, Gaussian(diffusion.alphas, mean=-0.5, sd=0.3))
    x, alpha = factual.image, diffusion.alphas[round(0.8 * TIMES)]
    found = diffusion.invert(x, None, diffusion.times(0.8))[0][-1]
    # the probability flow keeps the standard score: x_t = sqrt(alpha) m + sqrt(alpha s^2 + 1 - alpha) (x - m) / s
    exact = alpha.sqrt() * -0.5 + (alpha * 0.09 + 1 - alpha).sqrt() * (x + 0.5) / 0.3
    torch.testing.assert_close(found, exact, rtol=0, atol=0.05)
    back = found
    for t, before in pairwise(reversed(diffusion.times(0.8))):
        back = diffusion.step(back, diffusion.noise(back, t, None), t, before)
    torch.testing.assert_close(back, x, rtol=0, atol=0.03)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@torch.no_grad()
def test_asked_for_what_is_there_the_image_returns(parents, factual, guidance):
    diffusion = made(parents, guidance=guidance)
    (null,) = diffusion.predict(factual, diffusion.abduct(factual), [factual.pa])
    torch.testing.assert_close(null, factual.image, rtol=0, atol=1e-4)


@torch.no_grad()
def test_a_change_changes_and_rows_of_a_posterior_are_those_images(diffusion, factual):
    posterior, requested = diffusion.abduct(factual), factual.pa + 3
    (whole,) = diffusion.predict(factual, posterior, [requested])
    assert (whole - factual.image).abs().mean() > 1e-4
    index = torch.tensor([4, 1, 1])
    (some,) = diffusion.predict(factual.rows(index), posterior.rows(index), [requested[index]])
    torch.testing.assert_close(some, whole[index], rtol=0, atol=1e-4)


@torch.no_grad()
def test_without_parents_the_network_is_unconditional(diffusion, factual):
    none = torch.zeros_like(factual.pa, dtype=torch.bool)
    maps = diffusion.maps(factual, factual.pa, none)
    assert not maps.any()
    x_t = torch.randn(factual.image.shape)
    assert torch.equal(diffusion.noise(x_t, 300, maps), diffusion.noise(x_t, 300, None))
    conditional = diffusion.noise(x_t, 300, diffusion.maps(factual, factual.pa))
    assert not torch.allclose(diffusion.noise(x_t, 300, None), conditional)


@torch.no_grad()
def test_a_parent_at_the_mean_is_not_an_absent_parent(diffusion, factual):
    at_mean = diffusion.parents.mean.expand(len(factual.image), -1)
    maps = diffusion.maps(factual, at_mean)
    values, given = maps.chunk(2, dim=1)
    assert values.abs().max() < 1e-5
    if diffusion.conditioning == "broadcast":
        assert torch.allclose(given, torch.ones_like(given))
    else:
        assert torch.allclose(given.sum(1), factual.weights.sum(1), atol=1e-5)


@torch.no_grad()
def test_guidance_weighs_what_is_asked_and_leaves_the_rest_at_one(parents, factual):
    x_t, requested = torch.randn(factual.image.shape), factual.pa.clone()
    requested[:, 0] += 2
    plain = made(parents).guided(factual, requested)(x_t, 200)
    strong = made(parents, guidance=2.5)
    conditional = strong.noise(x_t, 200, strong.maps(factual, requested))
    torch.testing.assert_close(plain, conditional)
    stays = torch.tensor([[False, True]]).expand(len(x_t), -1)
    without = strong.noise(x_t, 200, strong.maps(factual, requested, stays))
    expected = without + 2.5 * (conditional - without)
    torch.testing.assert_close(strong.guided(factual, requested)(x_t, 200), expected, rtol=1e-4, atol=1e-5)
    everything = strong.guided(factual, factual.pa + 1)(x_t, 200)  # nothing stays: classifier-free guidance as usual
    all_of_it, nothing = strong.noise(x_t, 200, strong.maps(factual, factual.pa + 1)), strong.noise(x_t, 200, None)
    torch.testing.assert_close(everything, nothing + 2.5 * (all_of_it - nothing), rtol=1e-4, atol=1e-5)


def test_loss_and_fidelity_are_errors_of_v_with_gradients(diffusion, factual):
    torch.manual_seed(1)
    loss, terms = diffusion.loss(factual, 0.5)
    loss.backward()
    assert torch.equal(loss, terms["denoising"]) and bool(loss > 0)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in diffusion.model.parameters())
    fidelity = diffusion.fidelity(factual, None)
    assert fidelity.shape == (6,) and fidelity.isfinite().all() and fidelity.requires_grad


def test_the_exact_denoiser_has_the_smallest_loss(parents):
    """The error of v is least for the posterior mean, and fidelity largest: of Gaussian images, the closed form."""
    diffusion = made(parents)
    x = -0.5 + 0.3 * torch.randn(512, 1, *tiny.SIZE)
    facts = Facts(x, torch.ones(512, 2), torch.ones(512, 2, *tiny.SIZE), torch.ones(512))
    losses = {}
    for mean, sd in ((-0.5, 0.3), (0.0, 0.3), (-0.5, 0.6)):
        torch.manual_seed(2)
        exact = with_net(diffusion, Gaussian(diffusion.alphas, mean, sd))
        losses[mean, sd] = float(-exact.fidelity(facts, None).mean())
    assert min(losses, key=losses.__getitem__) == (-0.5, 0.3)


def test_fidelity_falls_by_the_nats_of_an_error_that_doubles(diffusion, factual, monkeypatch):
    known = torch.full((6,), 0.1)
    monkeypatch.setattr(Diffusion, "denoising", lambda self, image, maps: known)
    before = diffusion.fidelity(factual, None)
    known *= 2
    torch.testing.assert_close(before - diffusion.fidelity(factual, None), torch.full((6,), 0.5 * math.log(2)))


def test_the_gradient_of_fine_tuning_flows_through_the_last_steps_alone(parents, factual):
    gradients = []
    for last in (0, 1, 3):
        diffusion = made(parents, last=last)
        calls = []
        diffusion.model.register_forward_hook(lambda *_, calls=calls: calls.append(torch.is_grad_enabled()))
        (image,) = diffusion.predict(factual, diffusion.abduct(factual), [factual.pa + 1])
        assert sum(calls) == last and image.requires_grad == (last > 0)
        if last:
            image.mean().backward()
            gradients.append(diffusion.model.net.conv_in.conv.weight.grad.abs().sum())
    assert all(gradient > 0 for gradient in gradients)


@torch.no_grad()
def test_samples_of_gaussian_images_have_their_mean_and_spread(parents):
    diffusion = made(parents)
    with_net(diffusion, Gaussian(diffusion.alphas, mean=-0.5, sd=0.3))
    torch.manual_seed(0)
    images = diffusion.sample(torch.ones(64, 2), torch.ones(64, 2, *tiny.SIZE))
    assert abs(float(images.mean()) + 0.5) < 0.02 and abs(float(images.std()) - 0.3) < 0.02


@torch.no_grad()
def test_what_is_saved_answers_the_same(parents, factual, tmp_path):
    diffusion = made(parents, guidance=2.0, steps=4)
    diffusion.networks()[""].save_pretrained(tmp_path)
    net = load_pretrained(DiffusionNet, tmp_path)
    again = Diffusion(model=net.eval(), parents=parents, conditioning="map")
    for one in (diffusion, again):
        assert one.model.guidance == 2.0 and one.model.steps == 4
    first, second = (one.predict(factual, one.abduct(factual), [factual.pa + 1])[0] for one in (diffusion, again))
    torch.testing.assert_close(first, second)


def test_restored_with_other_settings_it_answers_by_those(parents):
    arguments = {"spatial_dims": 2, "maps": 2, "widths": (8, 8), "guidance": 1.0}
    kind = MECHANISMS["diffusion"]
    settings = kind.settings(guidance=3.0, steps=7)
    again = kind.restore(arguments | {key: getattr(settings, key) for key in kind.answering}, parents, "map")
    assert again.model.steps == 7 and again.model.guidance == 3.0


@pytest.mark.parametrize(
    ("widths", "blocks", "patch", "size", "message"),
    [
        ((12,), 1, 1, (8, 8), "multiples of 8"),
        ((), 1, 1, (8, 8), "multiples of 8"),
        ((8,), 0, 1, (8, 8), "1 or more"),
        ((8, 8), 1, 2, (10, 8), "not a multiple of 4"),
    ],
)
def test_networks_that_do_not_fit_are_refused(widths, blocks, patch, size, message):
    with pytest.raises(ValueError, match=message):
        check_denoiser(widths, blocks, patch, size)


def test_it_works_on_volumes():
    net = DiffusionNet(spatial_dims=3, maps=2, widths=(8, 8), patch=2).eval()
    x = torch.zeros(2, 1, 8, 8, 8)
    assert net(x, torch.tensor([3, 900]), None).shape == x.shape
