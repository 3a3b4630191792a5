"""The ELBO where the evidence is known: linear-Gaussian images; and the mechanism's parts."""

import math

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from segue.causal.facts import Facts
from segue.mechanisms.base import Likelihood, Samples, Trainable, offered
from segue.mechanisms.hvae import HVAEMechanism, HVAEPosterior
from segue.mechanisms.refined import Refined
from segue.nets import gaussian
from segue.nets.hvae import Latents, PixelGaussian

SPACE, LATENTS = (2, 3), 3
PIXELS = math.prod(SPACE)


class LinearGaussian(nn.Module):
    """x = W z + b + s * noise with orthogonal columns of W, so that the exact posterior of z is diagonal.

    `shift` and `stretch` move q away from it; `offsets` (batch, latent) are the standard normal draws of z.
    """

    def __init__(self, *, shift: float = 0.0, stretch: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.gains = torch.tensor([2.0, 0.7, 0.1], dtype=torch.float64)
        self.w = torch.linalg.qr(torch.randn(PIXELS, LATENTS, dtype=torch.float64)).Q * self.gains
        self.b = torch.randn(PIXELS, dtype=torch.float64)
        self.s = 0.3
        self.shift, self.stretch = shift, stretch
        self.offsets: torch.Tensor | None = None

    def evidence(self) -> MultivariateNormal:
        return MultivariateNormal(self.b, self.w @ self.w.T + self.s**2 * torch.eye(PIXELS, dtype=torch.float64))

    def posterior(self, x):
        precision = 1 + (self.gains / self.s) ** 2
        mean = (x.flatten(1) - self.b) @ self.w / self.s**2 / precision
        return mean, (-0.5 * precision.log()).expand_as(mean)

    def q(self, x):
        mean, log_sd = self.posterior(x)
        return mean + self.shift, log_sd + self.stretch

    def abduct(self, x, context, *, sample):
        mean, log_sd = self.q(x)
        z = mean if not sample else gaussian.draw_normal(mean, log_sd)
        if self.offsets is not None:
            z = mean + log_sd.exp() * self.offsets
        kl = gaussian.kl(mean, log_sd, torch.zeros_like(mean), torch.zeros_like(mean))
        return Latents([z], kl.sum(1, keepdim=True), kl)

    def predict(self, states, context):
        loc = (states[0] @ self.w.T + self.b).reshape(-1, 1, *SPACE)
        return PixelGaussian(loc, torch.full_like(loc, math.log(self.s)))


class Unconditioned(HVAEMechanism):
    """A model that needs no parents."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model=model, parents=tiny.bar_parents(), conditioning="map")

    def context(self, pa, weights):
        return torch.zeros(len(pa), 0, *weights.shape[2:])


def elbo(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Of each image, from one posterior sample, in nats per pixel."""
    nobody = Facts(x, torch.zeros(len(x), 1), torch.zeros(len(x), 1, *x.shape[2:]), torch.ones(len(x)))
    mechanism = Unconditioned(model)
    return mechanism.log_likelihood(nobody, mechanism.abduct(nobody, sample=True))


def mean_elbo(model: LinearGaussian, x: torch.Tensor) -> torch.Tensor:
    """E_q of one image's ELBO in nats; the cubature z = mean +- sqrt(n) sd e_i is exact, since it is quadratic in z."""
    axes = math.sqrt(LATENTS) * torch.eye(LATENTS, dtype=torch.float64)
    model.offsets = torch.cat([axes, -axes])
    many = x.expand(2 * LATENTS, *x.shape[1:])
    return elbo(model, many).mean() * PIXELS


def image(seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    return LinearGaussian().evidence().sample().reshape(1, 1, *SPACE)


@pytest.mark.parametrize("seed", range(3))
def test_with_the_exact_posterior_the_elbo_is_the_evidence(seed):
    model, x = LinearGaussian(), image(seed)
    torch.testing.assert_close(mean_elbo(model, x), model.evidence().log_prob(x.flatten()))


@settings(max_examples=50, deadline=None)
@given(st.floats(-3, 3), st.floats(-2, 2), st.integers(0, 100))
def test_with_any_other_q_the_elbo_is_lower_by_the_divergence(shift, stretch, seed):
    model, x = LinearGaussian(shift=shift, stretch=stretch), image(seed)
    (mean, log_sd), (true_mean, true_log_sd) = model.q(x), model.posterior(x)
    gap = kl_divergence(Normal(mean, log_sd.exp()), Normal(true_mean, true_log_sd.exp())).sum()
    evidence = model.evidence().log_prob(x.flatten())
    torch.testing.assert_close(mean_elbo(model, x), evidence - gap, rtol=1e-8, atol=1e-8)
    assert mean_elbo(model, x) <= evidence + 1e-9


def test_sampled_latents_estimate_the_same():
    model, x = LinearGaussian(shift=0.1), image(0)
    torch.manual_seed(1)
    many = x.expand(20_000, *x.shape[1:])
    values = elbo(model, many) * PIXELS
    error = float(values.std()) / 20_000**0.5
    assert float(values.mean()) == pytest.approx(float(mean_elbo(model, x)), abs=4 * error)


# ---- the mechanism's parts ---------------------------------------------------------------------------------------


def likelihood(seed=0, batch=2):
    torch.manual_seed(seed)
    return PixelGaussian(torch.randn(batch, 1, 4, 5), torch.randn(batch, 1, 4, 5)), torch.randn(batch, 1, 4, 5)


def test_likelihood_is_a_normal_distribution_summed_over_pixels():
    p, x = likelihood()
    expected = Normal(p.loc, p.log_scale.exp()).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(p.log_prob(x), expected)


def test_noise_and_render_are_inverse():
    p, x = likelihood()
    torch.testing.assert_close(p.render(p.noise(x)), x)
    torch.testing.assert_close(p.noise(p.render(x)), x)


def test_elbo_is_per_pixel_and_channel(mechanism):
    p, x = likelihood()
    kl = torch.tensor([[1.0, 2.0], [0.0, 5.0]])
    nobody = Facts(x, torch.zeros(2, 2), torch.zeros(2, 2, 4, 5), torch.ones(2))
    found = mechanism.log_likelihood(nobody, HVAEPosterior(Latents([], kl, kl), p))
    torch.testing.assert_close(found, (p.log_prob(x) - torch.tensor([3.0, 5.0])) / 20)


def test_abduction_infers_and_prediction_renders(mechanism, factual):
    posterior = mechanism.abduct(factual)
    null, other = mechanism.predict(factual, posterior, [factual.pa, factual.pa.roll(1, 0)])
    torch.testing.assert_close(null, factual.image, atol=1e-5, rtol=0)
    assert (other - factual.image).abs().max() > 1e-3


def test_rows_of_a_posterior_are_the_posteriors_of_those_images(mechanism, factual):
    index = torch.tensor([4, 1, 4])
    requested = factual.pa.roll(1, 0)
    (whole,) = mechanism.predict(factual, mechanism.abduct(factual), [requested])
    (some,) = mechanism.predict(factual.rows(index), mechanism.abduct(factual).rows(index), [requested[index]])
    torch.testing.assert_close(some, whole[index])


def test_gradients_reach_the_model_and_not_what_measures(mechanism, factual):
    mechanism.log_likelihood(factual, mechanism.abduct(factual, sample=True)).sum().backward()
    assert any(p.grad is not None for p in mechanism.model.parameters())
    assert all(p.grad is None for p in mechanism.parents.parameters())


def test_map_and_broadcast_contexts(parents, factual):
    for conditioning in ("map", "broadcast"):
        net = tiny.hvae(context=parents.context_channels(conditioning))
        mechanism = HVAEMechanism(model=net, parents=parents, conditioning=conditioning)
        expected = parents.context(factual.pa, factual.weights, conditioning)
        assert torch.equal(mechanism.context(factual.pa, factual.weights), expected)


def test_a_mechanism_says_what_it_can_do(mechanism):
    for capability in (Trainable, Likelihood, Samples):
        assert offered(Refined(mechanism), capability) is mechanism
