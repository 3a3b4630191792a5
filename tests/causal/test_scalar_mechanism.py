"""Mechanisms against closed forms: a Gaussian, the Tobit likelihood, and what Gumbel-max must obey."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from segue.causal.scalar_mechanism import SCALAR_MECHANISMS, Categorical, Censored, Continuous

HIDDEN = (8,)


def wild(mechanism):
    """Weights away from a fresh network's, scale and all: every identity must hold whatever was learned."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in mechanism.parameters():
            parameter.normal_(0, 0.7)
    mechanism.adapt(3 + 2 * torch.randn(500))
    return mechanism


@pytest.fixture
def context():
    return torch.randn(400, 2, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def continuous():
    return wild(Continuous(2, hidden=HIDDEN, bins=6))


@pytest.fixture
def censored():
    return wild(Censored(2, hidden=HIDDEN, bins=6, limit=1.0))


@pytest.fixture
def categorical():
    return wild(Categorical(2, hidden=HIDDEN, levels=(0.0, 2.0, 5.0)))


def density(mechanism, context, values):
    grid = torch.as_tensor(values, dtype=torch.float32)
    with torch.no_grad():
        return mechanism.log_prob(grid, context.expand(len(grid), -1)).exp().numpy()


def test_a_flows_density_integrates_to_one(continuous, context):
    grid = np.linspace(-60, 60, 40001)
    for row in context[:3]:
        assert integrate.simpson(density(continuous, row, grid), x=grid) == pytest.approx(1, abs=2e-3)


def test_a_censored_density_and_its_point_mass_add_up_to_one(censored, context):
    grid = np.linspace(1.0001, 60, 40001)
    for row in context[:3]:
        total = integrate.simpson(density(censored, row, grid), x=grid) + density(censored, row, [0.2])[0]
        assert total == pytest.approx(1, abs=2e-3)


def test_without_bins_and_layers_it_is_tobins_model():
    """A latent N(m, s^2), censored at 1: its likelihood by scipy."""
    mechanism = Censored(0, hidden=(), bins=0, limit=1.0)
    values = torch.tensor([0.0, 0.3, 1.5, 4.0])
    mechanism.adapt(values)
    with torch.no_grad():
        shift, scale = list(mechanism.flow.affine.parameters())
        shift.fill_(0.4)
        scale.fill_(0.0)  # u = (v - mean) / sd + 0.4
    mean, sd = float(values.mean() - 0.4 * values.std()), float(values.std())
    latent = stats.norm(mean, sd)
    expected = [latent.logcdf(1), latent.logcdf(1), latent.logpdf(1.5), latent.logpdf(4.0)]
    with torch.no_grad():
        found = mechanism.log_prob(values, torch.zeros(4, 0))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("kind", ["continuous", "censored", "categorical"])
@torch.no_grad()
def test_abduction_is_undone_by_prediction_at_any_level(kind, context, request):
    mechanism = request.getfixturevalue(kind)
    torch.manual_seed(3)
    values = mechanism.predict(mechanism.draw(400, torch.Generator().manual_seed(4)), context)
    for level in (0.5, torch.rand(400, mechanism.noises)):
        again = mechanism.predict(mechanism.abduct(values, context, level), context)
        torch.testing.assert_close(again, values, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_drawn_values_follow_the_density(continuous, context):
    noise = continuous.draw(4000, torch.Generator().manual_seed(5))
    drawn = continuous.predict(noise, context[:1].expand(4000, -1)).numpy()
    grid = np.linspace(-60, 60, 40001)
    law = integrate.cumulative_trapezoid(density(continuous, context[0], grid), grid, initial=0)
    assert stats.kstest(drawn, lambda x: np.interp(x, grid, law)).pvalue > 1e-3


@torch.no_grad()
def test_what_is_measured_of_nothing_comes_back(censored, context):
    """Below the limit a value is noise: it returns to the last bit where the counterfactual has none either."""
    values = torch.linspace(0, 1, 400)
    noise = censored.abduct(values, context, 0.5)
    other = context + 0.1
    found = censored.predict(noise, other)
    none = noise[:, 0] <= censored.bound(other)
    assert none.any() and not none.all()
    torch.testing.assert_close(found[none], values[none])
    assert (found[~none] > 1).all()


@torch.no_grad()
def test_levels_of_a_truncated_noise_are_its_quantiles(censored, context):
    bound = censored.bound(context)
    none = torch.special.ndtr(bound)
    for level in (0.1, 0.5, 0.9):
        noise = censored.abduct(torch.zeros(400), context, level)[:, 0]
        torch.testing.assert_close(torch.special.ndtr(noise), level * none, rtol=1e-3, atol=1e-6)
        assert (noise <= bound).all()


@torch.no_grad()
def test_more_of_a_cause_that_makes_more_never_takes_away(context):
    """One noise for whether and how much: the counterfactual moves with its latent, through the limit and back."""
    mechanism = Censored(1, hidden=(), bins=0, limit=0.5)
    mechanism.adapt(torch.rand(100))
    weights = dict(mechanism.flow.affine.named_parameters())
    for name, parameter in weights.items():
        parameter.zero_() if "bias" in name else parameter.copy_(torch.tensor([[-1.0], [0.0]]))  # u = v' - pa
    pa = context[:, :1]
    values = mechanism.predict(mechanism.draw(400, torch.Generator().manual_seed(6)), pa)
    moved = [mechanism.predict(mechanism.abduct(values, pa, 0.5), pa + step) for step in (-2.0, -0.5, 0.5, 2.0)]
    for low, high in itertools.pairwise(moved):
        assert (high >= low - 1e-5).all()
    assert ((values <= 0.5) & (moved[-1] > 0.5)).any() and ((values > 0.5) & (moved[0] <= 0.5)).any()


def test_drawn_gumbels_give_the_categories_their_probabilities(categorical, context):
    noise = categorical.draw(6000, torch.Generator().manual_seed(7))
    with torch.no_grad():
        probabilities = categorical.log_probs(context[:1]).exp()[0].double().numpy()
        drawn = categorical.predict(noise, context[:1].expand(6000, -1))
    counts = [(drawn == level).sum().item() for level in (0.0, 2.0, 5.0)]
    assert stats.chisquare(counts, 6000 * probabilities / probabilities.sum()).pvalue > 1e-3


@torch.no_grad()
def test_abducted_gumbels_have_their_prior_on_average(categorical, context):
    """Sampling v and then g given v is sampling g: the law of total probability, by Kolmogorov and Smirnov."""
    torch.manual_seed(8)
    pa = context[:1].expand(5000, -1)
    values = categorical.predict(categorical.draw(5000, torch.Generator().manual_seed(9)), pa)
    noise = categorical.abduct(values, pa, torch.rand(5000, 3))
    for column in noise.T:
        assert stats.kstest(column.numpy(), stats.gumbel_r.cdf).pvalue > 1e-3


@given(st.integers(0, 2), st.floats(0.05, 0.95), st.integers(0, 10_000))
@torch.no_grad()
def test_gumbel_max_is_counterfactually_stable(chosen, level, seed):
    """A category gives way only to one whose odds against it have grown (Oberst & Sontag, 2019, definition 2)."""
    torch.manual_seed(seed)
    mechanism = Categorical(2, hidden=(), levels=(0.0, 2.0, 5.0))
    before, after = torch.randn(2, 1, 2).unbind(0)
    value = mechanism.levels[chosen : chosen + 1]
    noise = mechanism.abduct(value, before, torch.full((1, 3), level))
    other = int(mechanism.index(mechanism.predict(noise, after))[0])
    gain = (mechanism.log_probs(after) - mechanism.log_probs(before))[0]
    assert other == chosen or gain[other] > gain[chosen]


@pytest.mark.parametrize(
    "settings",
    [{"kind": "continuous"}, {"kind": "censored", "limit": 0.0}, {"kind": "categorical", "levels": [0.0, 1.0]}],
)
@pytest.mark.parametrize("columns", [0, 2])
def test_every_parameter_learns(settings, columns):
    torch.manual_seed(0)
    kind = SCALAR_MECHANISMS[settings["kind"]]
    mechanism = kind(columns, hidden=HIDDEN, bins=4, **{key: settings[key] for key in settings if key != "kind"})
    values = (torch.rand(200) > 0.5).float() if settings["kind"] == "categorical" else torch.randn(200)
    mechanism.adapt(values)
    mechanism.log_prob(values, torch.randn(200, columns)).sum().backward()
    parameters = [p for p in mechanism.parameters() if p.numel()]
    assert parameters and all(p.grad is not None and math.isfinite(float(p.grad.sum())) for p in parameters)
    assert sum(bool(p.grad.any()) for p in parameters) == len(parameters)
