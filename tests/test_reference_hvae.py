"""The reference HVAE of the benchmarks: as large as segue's network, and an ELBO that is one."""

import pytest
import tiny
import torch
from torch.distributions import Normal, kl_divergence

from benchmarks import reference
from benchmarks.reference_hvae import Decoding, OnePass, ReferenceHVAE
from benchmarks.workload import facts_of, phantom_batch, shipped_image, untrained_parents
from segue.engine.predict import abduct, predict
from segue.training.objectives import Augmentation, Pretraining

SHAPE = {"size": (16, 32), "strides": (2, 4, 8), "widths": (8, 16, 16), "depths": (1, 2, 1), "latent": 3, "finest": 1}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return ReferenceHVAE(context=2, **SHAPE)


@pytest.fixture
def x_and_context():
    generator = torch.Generator().manual_seed(1)
    context = torch.randn(4, 2, 1, 1, generator=generator).expand(-1, -1, 16, 32)
    return torch.randn(4, 1, 16, 32, generator=generator), context


@pytest.mark.parametrize("strides", reference.LADDERS.values())
def test_reference_has_as_many_parameters_and_the_same_latents(strides):
    size = (32, 96)
    parents = untrained_parents(size, regions=3)
    ours, theirs = shipped_image(parents, size), reference.reference_image(parents, size, strides=strides)
    count = {m: sum(p.numel() for p in m.model.parameters()) for m in (ours, theirs)}
    assert abs(count[theirs] / count[ours] - 1) < 0.02
    facts = facts_of(parents, phantom_batch(parents, 2, size))
    with torch.no_grad():
        one, other = (m.abduct(facts, sample=True).latents for m in (ours, theirs))
    assert one.kl.shape == other.kl.shape and one.kl_channels.shape == other.kl_channels.shape
    latents = [tuple(z.shape[1:]) for z in other.states]
    assert latents == 2 * [(8, 2, 6)] + 2 * [(8, 4, 12)] + 2 * [(8, 8, 24)]


def spy(method, calls):
    """The method, noting (is the block stochastic, what it returned) of every call."""

    def called(self, *arguments):
        calls.append((self.stochastic, method(self, *arguments)))
        return calls[-1][1]

    return called


def test_reference_kl_is_that_of_its_gaussians(net, x_and_context, monkeypatch):
    seen = {"forward_prior": [], "forward_posterior": []}
    for name in seen:
        monkeypatch.setattr(Decoding, name, spy(getattr(Decoding, name), seen[name]))
    kl = net.abduct(*x_and_context, sample=True).kl
    priors = [found[:2] for stochastic, found in seen["forward_prior"] if stochastic]
    pairs = zip(seen["forward_posterior"], priors, strict=True)
    expected = [
        kl_divergence(Normal(q[0], q[1].exp()), Normal(p[0], p[1].exp())).sum((1, 2, 3)) for (_, q), p in pairs
    ]
    assert torch.allclose(kl, torch.stack(expected, dim=1), rtol=1e-4)
    assert kl.shape == (4, 3) and bool((kl > 0).all())


def test_reference_decodes_given_latents_to_what_inference_saw(net, x_and_context):
    x, context = x_and_context
    latents, seen = net.infer(x, context, sample=True)
    again = net.predict(latents.states, context)
    assert torch.equal(again.loc, seen.loc) and torch.equal(again.log_scale, seen.log_scale)
    assert seen.loc.shape == x.shape
    assert not torch.allclose(net.predict(latents.states, -context).loc, seen.loc)


def test_reference_prior_does_not_know_the_parents(net, x_and_context):
    _, context = x_and_context
    drawn = []
    for parents in (context, -context):
        torch.manual_seed(5)
        drawn.append(net.decode(parents, sample=True)[0].states)
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))
    torch.manual_seed(5)
    assert bool(net.sample(context).loc.isfinite().all())


def test_reference_is_trained_whole_and_returns_x_for_nothing_asked():
    parents = tiny.bar_parents()
    x = tiny.bars(6, seed=1)
    areas, frames = parents.factual(x, torch.ones(6))
    torch.manual_seed(0)
    shape = SHAPE | {"size": tiny.SIZE}
    net = ReferenceHVAE(context=parents.context_channels("broadcast"), **shape)
    mechanism = OnePass(model=net, parents=parents, conditioning="broadcast")

    batch = {"image": x, "parents": areas, "frames": frames, "pixel_area": torch.ones(6)}
    Pretraining(mechanism, augment=Augmentation())(batch, 1.0)[0].backward()
    still = [name for name, p in net.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert still == []

    facts = facts_of(parents, batch)
    null, changed = predict(mechanism, facts, abduct(mechanism, facts), [areas.clone(), 2 * areas])
    assert torch.allclose(null, x, atol=1e-5) and not torch.allclose(changed, x, atol=1e-2)
    posterior = mechanism.abduct(facts)
    (anew,) = mechanism.decode(posterior.latents, [areas], facts.weights)
    assert torch.allclose(posterior.factual.loc, anew.loc, atol=1e-5)
