import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from segue.nets import gaussian

means = st.floats(-5, 5)
log_sds = st.floats(-4, 4)


def scalar(value):
    return torch.tensor(value, dtype=torch.float64)


@given(means, means, log_sds)
def test_log_prob_is_the_normal_distributions(x, mean, log_sd):
    x, mean, log_sd = scalar(x), scalar(mean), scalar(log_sd)
    expected = Normal(mean, log_sd.exp()).log_prob(x)
    torch.testing.assert_close(gaussian.log_prob(x, mean, log_sd), expected, rtol=1e-9, atol=1e-9)


@given(means, log_sds, means, log_sds)
def test_kl_is_the_normal_distributions(mean_q, log_sd_q, mean_p, log_sd_p):
    mean_q, log_sd_q, mean_p, log_sd_p = map(scalar, (mean_q, log_sd_q, mean_p, log_sd_p))
    expected = kl_divergence(Normal(mean_q, log_sd_q.exp()), Normal(mean_p, log_sd_p.exp()))
    found = gaussian.kl(mean_q, log_sd_q, mean_p, log_sd_p)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert found >= -1e-12
    assert gaussian.kl(mean_q, log_sd_q, mean_q, log_sd_q).abs() < 1e-12


def test_kl_is_the_mean_log_ratio_of_samples():
    torch.manual_seed(0)
    q, p = (scalar(0.3), scalar(-0.5)), (scalar(-0.2), scalar(0.1))
    z = gaussian.draw_normal(q[0].expand(200_000), q[1].expand(200_000))
    ratio = gaussian.log_prob(z, *(v.expand_as(z) for v in q)) - gaussian.log_prob(
        z, *(v.expand_as(z) for v in p)
    )
    assert float(gaussian.kl(*q, *p)) == pytest.approx(float(ratio.mean()), abs=4 * float(ratio.std()) / 200_000**0.5)


def test_sample_has_the_moments_and_the_gradients_of_a_reparameterised_draw():
    torch.manual_seed(0)
    mean = torch.full((100_000,), 1.5, requires_grad=True)
    log_sd = torch.full((100_000,), -0.7, requires_grad=True)
    z = gaussian.draw_normal(mean, log_sd)
    assert float(z.detach().mean()) == pytest.approx(1.5, abs=0.01)
    assert float(z.detach().std().log()) == pytest.approx(-0.7, abs=0.01)
    z.sum().backward()
    assert torch.equal(mean.grad, torch.ones_like(mean))
    torch.testing.assert_close(log_sd.grad, (z - mean).detach())  # d z / d log_sd = sd * eps


@given(st.floats(-1e6, 1e6), st.floats(0.5, 10))
def test_bounded_stays_within_its_limit_and_keeps_its_order(raw, limit):
    value = gaussian.bounded(scalar(raw), limit)
    assert abs(float(value)) <= limit
    assert gaussian.bounded(scalar(raw + 1), limit) >= value


def test_bounded_is_the_identity_near_zero():
    raw = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    gaussian.bounded(raw, 4.0).backward()
    assert float(raw.grad) == 1
    assert float(gaussian.bounded(scalar(0.01), 4.0)) == pytest.approx(0.01, rel=1e-5)
