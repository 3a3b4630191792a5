"""The ELBO where the evidence is known: linear-Gaussian images; and the mechanism's parts."""

import math

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from segue.mechanisms.hvae import Abduction, ImageMechanism, Likelihood, blurred, elbo, shrunk
from segue.nets import gaussian

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
        z = mean if not sample else gaussian.sample(mean, log_sd)
        if self.offsets is not None:
            z = mean + log_sd.exp() * self.offsets
        kl = gaussian.kl(mean, log_sd, torch.zeros_like(mean), torch.zeros_like(mean))
        return Abduction([z], kl.sum(1, keepdim=True), kl)

    def predict(self, states, context):
        loc = (states[0] @ self.w.T + self.b).reshape(-1, 1, *SPACE)
        return Likelihood(loc, torch.full_like(loc, math.log(self.s)))


def mean_elbo(model: LinearGaussian, x: torch.Tensor) -> torch.Tensor:
    """E_q of one image's ELBO in nats; the cubature z = mean +- sqrt(n) sd e_i is exact, since it is quadratic in z."""
    axes = math.sqrt(LATENTS) * torch.eye(LATENTS, dtype=torch.float64)
    model.offsets = torch.cat([axes, -axes])
    many = x.expand(2 * LATENTS, *x.shape[1:])
    abduction = model.abduct(many, torch.zeros(0), sample=True)
    return elbo(many, abduction, model.predict(abduction.states, torch.zeros(0))).mean() * PIXELS


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
    abduction = model.abduct(many, torch.zeros(0), sample=True)
    values = elbo(many, abduction, model.predict(abduction.states, torch.zeros(0))) * PIXELS
    error = float(values.std()) / 20_000**0.5
    assert float(values.mean()) == pytest.approx(float(mean_elbo(model, x)), abs=4 * error)


# ---- the mechanism's parts ---------------------------------------------------------------------------------------


def likelihood(seed=0, batch=2):
    torch.manual_seed(seed)
    return Likelihood(torch.randn(batch, 1, 4, 5), torch.randn(batch, 1, 4, 5)), torch.randn(batch, 1, 4, 5)


def test_likelihood_is_a_normal_distribution_summed_over_pixels():
    p, x = likelihood()
    expected = Normal(p.loc, p.log_scale.exp()).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(p.log_prob(x), expected)


def test_noise_and_render_are_inverse():
    p, x = likelihood()
    torch.testing.assert_close(p.render(p.noise(x)), x)
    torch.testing.assert_close(p.noise(p.render(x)), x)


def test_elbo_is_per_pixel_and_channel():
    p, x = likelihood()
    kl = torch.tensor([[1.0, 2.0], [0.0, 5.0]])
    found = elbo(x, Abduction([], kl, kl), p)
    torch.testing.assert_close(found, (p.log_prob(x) - torch.tensor([3.0, 5.0])) / 20)


def test_abduction_infers_and_prediction_renders(mechanism, factual):
    x, pa, weights, _ = factual
    abduction, p = mechanism.abduct(x, pa, weights, sample=False)
    null, other = (q.render(p.noise(x)) for q in mechanism.predict(abduction, [pa, pa.roll(1, 0)], weights))
    torch.testing.assert_close(null, x, atol=1e-5, rtol=0)
    assert (other - x).abs().max() > 1e-3


@given(st.floats(-2, 2), st.floats(1e-3, 1))
def test_shrinkage_keeps_what_is_large_and_drops_what_is_small(change, size):
    (found,) = shrunk(torch.tensor([change], dtype=torch.float64), size).tolist()
    assert found * change >= 0 and abs(found) <= abs(change)
    if abs(change) < size / 10:
        assert abs(found) <= abs(change) / 100
    if abs(change) > 10 * size:
        assert found == pytest.approx(change - size**2 / change, rel=1e-3)


def test_a_mechanism_shrinks_what_changes_and_returns_what_does_not(mechanism, factual):
    x, pa, weights, _ = factual
    abduction, p = mechanism.abduct(x, pa, weights, sample=False)
    null, other = mechanism.predict(abduction, [pa, pa.roll(1, 0)], weights)
    plain = mechanism.counterfactual(x, p, other)
    torch.testing.assert_close(plain, other.render(p.noise(x)))
    mechanism.shrinkage = 0.5 * float((plain - x).detach().abs().max())
    torch.testing.assert_close(mechanism.counterfactual(x, p, null), x, atol=1e-5, rtol=0)
    less = mechanism.counterfactual(x, p, other)
    torch.testing.assert_close(less - x, shrunk(plain - x, mechanism.shrinkage))
    assert (less - x).abs().mean() < 0.5 * (plain - x).abs().mean()


@given(st.floats(0.6, 3), st.integers(0, 2**31))
def test_a_blurred_change_is_scipy_s(sd, seed):
    rng = np.random.default_rng(seed)
    change = np.zeros((41, 61))
    change[16:25, 20:41] = rng.normal(size=(9, 21))  # away from the border, which each library treats in its own way
    found = blurred(torch.from_numpy(change)[None, None].float(), sd)[0, 0].numpy()
    assert found.sum() == pytest.approx(change.sum(), abs=1e-3)
    other = gaussian_filter(change, np.hypot(sd, 12**-0.5))  # a pixel's own width is in our kernel, and not in scipy's
    np.testing.assert_allclose(found, other, atol=0.02 * np.abs(change).max())


def test_a_blurred_change_starts_nothing_and_moves_nothing(mechanism, factual):
    x, pa, weights, _ = factual
    abduction, p = mechanism.abduct(x, pa, weights, sample=False)
    null, other = mechanism.predict(abduction, [pa, pa.roll(1, 0)], weights)
    plain = mechanism.counterfactual(x, p, other)
    mechanism.blur = 1.0
    torch.testing.assert_close(mechanism.counterfactual(x, p, null), x, atol=1e-5, rtol=0)
    soft = mechanism.counterfactual(x, p, other)
    torch.testing.assert_close(soft - x, blurred(plain - x, 1.0))
    roughness = [float((image - x).detach().diff(dim=3).square().mean()) for image in (plain, soft)]
    assert roughness[1] < 0.7 * roughness[0]


@pytest.mark.parametrize("shape", [(2, 1, 9, 7), (1, 2, 6, 5, 4)])
def test_blur_keeps_what_is_flat(shape):
    torch.testing.assert_close(blurred(torch.full(shape, 0.3), 1.2), torch.full(shape, 0.3))


def test_gradients_reach_the_model_and_not_what_measures(mechanism, factual):
    x, pa, weights, _ = factual
    elbo(x, *mechanism.abduct(x, pa, weights, sample=True)).sum().backward()
    assert any(p.grad is not None for p in mechanism.model.parameters())
    assert all(p.grad is None for p in mechanism.parents.parameters())


def test_map_and_broadcast_contexts(parents, factual):
    _, pa, weights, _ = factual
    for conditioning in ("map", "broadcast"):
        net = tiny.hvae(context=parents.context_channels(conditioning))
        mechanism = ImageMechanism(model=net, parents=parents, conditioning=conditioning)
        assert torch.equal(mechanism.context(pa, weights), parents.context(pa, weights, conditioning))
