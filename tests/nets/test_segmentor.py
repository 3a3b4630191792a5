import pytest
import torch

from segue.nets.layers import GroupNorm
from segue.nets.segmentor import Regressor, Segmentor

ARCHES = ["unet", "segresnet"]


def segmentor(arch, dims=2, channels=1, seed=0, patch=1):
    torch.manual_seed(seed)
    return Segmentor(arch=arch, spatial_dims=dims, structures=2, width=8, channels=channels, patch=patch).eval()


def image(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize(
    ("dims", "size", "patch"), [(2, (16, 32), 1), (2, (32, 64), 2), (3, (16, 16, 32), 1), (3, (32, 32, 32), 2)]
)
def test_soft_masks_are_probabilities_without_the_background(arch, dims, size, patch):
    net = segmentor(arch, dims, patch=patch)
    x = image(2, 1, *size)
    logits, soft = net(x), net.soft(x)
    assert logits.shape == (2, 3, *size) and soft.shape == (2, 2, *size)
    assert soft.min() >= 0
    background = logits.exp()[:, 0] / logits.exp().sum(1)
    torch.testing.assert_close(soft.sum(1) + background, torch.ones(2, *size))


@pytest.mark.parametrize("dims", [2, 3])
def test_patches_keep_their_place(dims):
    """With the identity for a network, every pixel's class comes from that very pixel."""
    net = Segmentor(arch="segresnet", spatial_dims=dims, structures=0, width=8)
    net.net = torch.nn.Identity()
    x = image(2, 1, *[16] * dims)
    assert torch.equal(net(x), x)


@pytest.mark.parametrize("arch", ARCHES)
def test_saved_and_loaded_is_the_same_segmentor(arch, tmp_path):
    net, x = segmentor(arch, channels=2), image(2, 2, 16, 32)
    net.save_pretrained(tmp_path)
    assert torch.equal(Segmentor.from_pretrained(tmp_path).eval()(x), net(x))


def test_saved_and_loaded_is_the_same_regressor(tmp_path):
    torch.manual_seed(0)
    net, x = Regressor(size=(16, 32), outputs=3, width=8).eval(), image(2, 1, 16, 32)
    net.save_pretrained(tmp_path)
    assert torch.equal(Regressor.from_pretrained(tmp_path).eval()(x), net(x))


def test_guide_and_judge_can_differ_in_kind():
    kinds = [{type(m) for m in segmentor(arch).modules()} for arch in ARCHES]
    assert kinds[0] != kinds[1]


@pytest.mark.parametrize("arch", ARCHES)
def test_an_image_receives_a_gradient(arch):
    x = image(1, 1, 16, 32).requires_grad_()
    segmentor(arch).soft(x)[:, 0].sum().backward()
    assert x.grad.isfinite().all() and x.grad.abs().max() > 0


@pytest.mark.parametrize("arch", ARCHES)
def test_one_image_of_a_batch_does_not_change_another(arch):
    net, x = segmentor(arch), image(3, 1, 16, 32)
    torch.testing.assert_close(net(x)[:1], net(x[:1]))


@pytest.mark.parametrize("size", [(16, 32), (16, 16, 16)])
def test_a_regressor_tells_places_and_absolute_intensities_apart(size):
    torch.manual_seed(0)
    net, x = Regressor(size=size, outputs=3, width=8).eval(), image(2, 1, *size)
    assert net(x).shape == (2, 3)
    assert (net(x) - net(x.roll(size[-1] // 2, -1))).abs().max() > 1e-3
    assert (net(x) - net(x + 0.5)).abs().max() > 1e-3


@pytest.mark.parametrize(("arch", "deepest"), [("unet", "down_4"), ("segresnet", "down_layers.3")])
@pytest.mark.parametrize(("dims", "size", "patch"), [(2, (32, 64), 2), (3, (16, 16, 16), 1)])
def test_features_are_what_the_deepest_level_says_while_it_segments(arch, deepest, dims, size, patch):
    net, x, seen = segmentor(arch, dims, patch=patch), image(2, 1, *size), []
    net.net.get_submodule(deepest).register_forward_hook(lambda module, inputs, output: seen.append(output))
    net(x)
    features = net.features(x)
    assert features.shape == (2, 64)
    torch.testing.assert_close(features, seen[0].mean(tuple(range(2, dims + 2))))


def test_groups_are_normalised_in_either_layout():
    """In bfloat16, against the definition in float64, with the gradient."""
    x, change = image(2, 8, 5, 7), image(2, 8, 5, 7, seed=1)
    exact = x.double().requires_grad_()
    groups = exact.reshape(2, 4, -1)
    sd = (groups.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
    expected = ((groups - groups.mean(2, keepdim=True)) / sd).reshape(x.shape)
    (slope,) = torch.autograd.grad(expected, exact, change.double())
    for layout in (torch.contiguous_format, torch.channels_last):
        given = x.bfloat16().contiguous(memory_format=layout).requires_grad_()
        found = GroupNorm(4, 8)(given)
        (gradient,) = torch.autograd.grad(found, given, change.bfloat16().contiguous(memory_format=layout))
        assert found.is_contiguous(memory_format=layout)
        torch.testing.assert_close(found.double(), expected, atol=0.03, rtol=0.02)
        torch.testing.assert_close(gradient.double(), slope, atol=0.05, rtol=0.02)
