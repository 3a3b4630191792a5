import pytest
import tiny
import torch
from torch.distributions import Independent, Normal

from segue.errors import InputError
from segue.nets.hvae import HVAE, LOG_SCALE, PixelGaussian
from segue.nets.layers import average_pool, double
from segue.nets.weights import begin_as


def inputs(batch=2, size=tiny.SIZE, context=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, 1, *size, generator=generator)
    return x, torch.randn(batch, context, *size, generator=generator)


def elbo(x, abduction, likelihood):
    """Of each image, in nats per pixel."""
    return (likelihood.log_prob(x) - abduction.kl.sum(1)) / x[0].numel()


def nelbo(net, x, context):
    abduction = net.abduct(x, context, sample=True)
    return -elbo(x, abduction, net.predict(abduction.states, context)).mean()


SHAPES = [
    {},
    {"reach": 2},
    {"finest": 1},
    {"finest": 1, "reach": 2, "depths": (2, 1)},
    {"widths": (4, 6, 8), "depths": (1, 2, 1), "reach": 3, "size": (8, 16)},
    {"size": (8, 8, 4), "widths": (4, 8), "reach": 2},
    {"channels": 3},
]


@pytest.mark.parametrize("changes", SHAPES)
def test_every_parameter_receives_a_gradient_from_the_elbo(changes):
    net = tiny.hvae(context=2, **changes)
    size, channels = changes.get("size", tiny.SIZE), changes.get("channels", 1)
    x, context = inputs(size=size, context=2)
    nelbo(net, x.expand(-1, channels, *size), context).backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not silent


@pytest.mark.parametrize("changes", SHAPES)
def test_shapes_and_kl_by_block_and_channel(changes):
    net = tiny.hvae(**changes)
    size, channels = changes.get("size", tiny.SIZE), changes.get("channels", 1)
    x, context = inputs(size=size)
    abduction = net.abduct(x.expand(-1, channels, *size), context, sample=True)
    blocks = sum(changes.get("depths", (1, 1))[changes.get("finest", 0) :])
    assert abduction.kl.shape == (2, blocks)
    assert abduction.kl_channels.shape == (2, 2 * blocks)
    by_channel = abduction.kl_channels.reshape(2, blocks, 2).sum(2)
    torch.testing.assert_close(abduction.kl, by_channel)
    assert (abduction.kl >= -1e-5).all()
    p = net.predict(abduction.states, context)
    assert p.loc.shape == p.log_scale.shape == (2, channels, *size)
    assert net.sample(context).loc.shape == (2, channels, *size)


def test_a_fresh_network_starts_with_its_posterior_at_its_prior():
    net = HVAE(size=tiny.SIZE, context=1, widths=(8, 16), depths=(1, 2), latent=2, finest=0, reach=2, head=8)
    x, context = inputs()
    assert torch.equal(net.abduct(x, context, sample=True).kl, torch.zeros(2, 3))


def test_saved_and_loaded_is_the_same_network(tmp_path):
    net = tiny.hvae(context=2, reach=2, finest=1)
    net.save_pretrained(tmp_path)
    loaded = HVAE.from_pretrained(tmp_path)
    assert loaded.state_dict().keys() == net.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), net.state_dict().values(), strict=True))
    x, context = inputs(context=2)
    found, expected = (n.predict(n.abduct(x, context, sample=False).states, context) for n in (loaded, net))
    assert torch.equal(found.loc, expected.loc) and torch.equal(found.log_scale, expected.log_scale)


def test_the_posteriors_mean_is_deterministic_and_samples_are_not():
    net = tiny.hvae()
    x, context = inputs()
    a, b = (net.abduct(x, context, sample=False).states for _ in range(2))
    c, d = (net.abduct(x, context, sample=True).states for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(a, b, strict=True))
    assert not any(torch.equal(p, q) for p, q in zip(c, d, strict=True))


# ---- what the architecture promises ------------------------------------------------------------------------------


def test_latents_are_independent_of_the_parents(monkeypatch):
    net = tiny.hvae(reach=2, depths=(2, 2))
    priors, seen = [], []
    for level in net.latents:
        for block in level:
            block.prior.register_forward_hook(lambda module, arguments, output: priors.append(output))
    predict = net.predict

    def keep(states, context) -> PixelGaussian:
        seen.append(states)
        return predict(states, context)

    monkeypatch.setattr(net, "predict", keep)
    images = []
    for value in (0.0, 5.0):
        torch.manual_seed(3)
        images.append(net.sample(torch.full((2, 1, *tiny.SIZE), value)).loc)
    half = len(priors) // 2
    assert half == 4 and all(torch.equal(a, b) for a, b in zip(priors[:half], priors[half:], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))
    assert not torch.equal(*images)


def test_the_posterior_does_see_the_parents():
    net = tiny.hvae()
    x, context = inputs()
    first, second = (net.abduct(x, c, sample=False).states[0] for c in (context, context + 1))
    assert not torch.equal(first, second)


def locs(parents, factual, conditioning, **changes):
    """loc with the factual parents, and after a change of the left region's alone."""
    x, pa, weights = factual[:3]
    net = tiny.hvae(context=parents.context_channels(conditioning), **changes)
    changed = pa.clone()
    changed[:, 0] += 2 * parents.sd[0]
    contexts = [parents.context(p, weights, conditioning) for p in (pa, changed)]
    states = net.abduct(x, contexts[0], sample=False).states
    return [net.predict(states, context).loc for context in contexts]


def test_with_reach_one_a_painted_parent_acts_near_its_region_alone(parents, factual):
    # The left region ends at column 16. One residual block at half resolution reaches 2 x 2 pixels further, and the
    # head's two convolutions 2 more.
    before, after = locs(parents, factual, "map", reach=1)
    assert torch.equal(before[..., 22:], after[..., 22:])
    assert not torch.equal(before[..., 21:22], after[..., 21:22])
    assert (before - after)[..., :16].abs().amin(dim=(1, 2)).max() > 0


def test_a_broadcast_parent_acts_everywhere(parents, factual):
    before, after = locs(parents, factual, "broadcast", reach=1)
    assert ((before - after).abs() > 0).float().mean() > 0.99


def test_with_more_reach_a_painted_parent_acts_further(parents, factual):
    before, after = locs(parents, factual, "map", reach=2)
    assert not torch.equal(before[..., 22:], after[..., 22:])


def test_scales_are_bounded_whatever_comes_in():
    net = tiny.hvae()
    x, context = inputs()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(3)
    abduction = net.abduct(1e3 * x, context, sample=True)
    p = net.predict(abduction.states, context)
    assert abduction.kl.isfinite().all()
    assert elbo(x, abduction, p).isfinite().all()
    assert p.log_scale.min() >= LOG_SCALE[0] and p.log_scale.max() <= LOG_SCALE[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (8, 30)}, "multiple of 4"),
        ({"depths": (1, 1, 1)}, "one depth a width"),
        ({"finest": 2}, "finest is 2"),
        ({"finest": -1}, "finest is -1"),
        ({"reach": 0}, "reach is 0"),
        ({"reach": 3}, "reach is 3"),
    ],
)
def test_a_ladder_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny.hvae(**changes)


# ---- the bound, on data whose entropy is known -------------------------------------------------------------------


def test_the_mean_elbo_never_exceeds_the_negative_entropy_and_training_raises_it():
    size, sd = (8, 8), 0.2
    truth = Independent(Normal(torch.zeros(1, *size), torch.full((1, *size), sd)), 3)
    negative_entropy = float(-truth.entropy()) / 64
    torch.manual_seed(0)
    x = truth.sample((512,))
    context = torch.zeros(512, 1, *size)
    net = tiny.hvae(size=size)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)

    def bound():
        """Mean ELBO in nats per pixel, and the standard error of its distance from the data's log density."""
        with torch.no_grad():
            abduction = net.abduct(x, context, sample=True)
            values = elbo(x, abduction, net.predict(abduction.states, context))
        return float(values.mean()), float((values - truth.log_prob(x) / 64).std()) / 512**0.5

    history = [bound()]
    for _ in range(4):
        for _ in range(15):
            optimiser.zero_grad()
            rows = torch.randint(512, (64,))
            nelbo(net, x[rows], context[rows]).backward()
            optimiser.step()
        history.append(bound())
    assert all(value <= negative_entropy + 4 * error for value, error in history)
    assert history[-1][0] > history[0][0] + 0.1
    assert history[-1][0] > negative_entropy - 0.2  # and the bound is nearly reached


# ---- layers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(4, 6), (4, 6, 2)])
def test_pool_undoes_double_and_averages(size):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(average_pool(double(x), size), x)
    half = tuple(side // 2 for side in size)
    torch.testing.assert_close(average_pool(x, half).mean(), x.mean())
    assert average_pool(x, size) is x


def test_several_parents_of_the_same_states_are_decoded_as_one_batch(parents, factual):
    x, pa, weights = factual[:3]
    net = tiny.hvae(context=parents.context_channels("map"))
    contexts = [parents.context(p, weights, "map") for p in (pa, pa.roll(1, 0), pa + 1)]
    states = net.abduct(x, contexts[0], sample=False).states
    together = net.predict(states, torch.cat(contexts))
    for i, context in enumerate(contexts):
        alone = net.predict(states, context)
        for found, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(found.chunk(3)[i], expected, atol=1e-5, rtol=1e-5)


def test_the_head_cannot_tell_the_pixels_of_a_patch_apart():
    """Where states and parents are level, so is the image: no checkerboards."""
    net = tiny.hvae(size=(16, 16))
    level = [torch.ones(2, 8, 8, 8)]
    likelihood = net.predict(level, torch.full((2, 1, 16, 16), 0.3))
    for part in likelihood:
        inside = part[..., 6:10, 6:10]  # beyond the reach of the border's zeros
        torch.testing.assert_close(inside, inside[..., :1, :1].expand_as(inside))


def test_a_network_begins_as_another_where_they_fit(tmp_path):
    torch.manual_seed(0)
    other = HVAE(size=(16, 16), context=3, widths=(8, 16), depths=(1, 1), latent=2, reach=2, head=8)
    other.save_pretrained(tmp_path / "other")
    net = HVAE(size=(16, 32), context=5, widths=(8, 16), depths=(1, 1), latent=2, reach=2, head=8)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    said = begin_as(net, tmp_path / "other", leave="head.")
    theirs = other.state_dict()
    fits = {name for name, tensor in before.items() if theirs[name].shape == tensor.shape and name[:5] != "head."}
    assert said == {"tensors": len(before), "tensors_begun": len(fits)} and 0 < len(fits) < len(before)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, theirs[name] if name in fits else before[name])
    with pytest.raises(InputError, match="no trained network there to start from"):
        begin_as(net, tmp_path, leave="head.")
    with pytest.raises(InputError, match="nothing there has the shape"):
        begin_as(torch.nn.Linear(2, 2), tmp_path / "other", leave="head.")
