"""What is done to a mechanism's answers: shrinkage and blur, by hand and against SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from segue.mechanisms.refined import GRAIN, Refined, lifted, shrunk
from segue.nets.layers import blurred, highest


def answers(mechanism, factual, **how):
    """Of the null request, and of another."""
    refined = Refined(mechanism, **how)
    return refined.predict(factual, refined.abduct(factual), [factual.pa, factual.pa.roll(1, 0)])


def test_without_settings_the_answers_are_the_mechanisms_to_the_bit(mechanism, factual):
    found = answers(mechanism, factual)
    expected = mechanism.predict(factual, mechanism.abduct(factual), [factual.pa, factual.pa.roll(1, 0)])
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@given(st.floats(-2, 2), st.floats(1e-3, 1))
def test_shrinkage_keeps_what_is_large_and_drops_what_is_small(change, size):
    (found,) = shrunk(torch.tensor([change], dtype=torch.float64), size).tolist()
    assert found * change >= 0 and abs(found) <= abs(change)
    if abs(change) < size / 10:
        assert abs(found) <= abs(change) / 100
    if abs(change) > 10 * size:
        assert found == pytest.approx(change - size**2 / change, rel=1e-3)


def test_changes_shrink_and_no_change_stays_none(mechanism, factual):
    x = factual.image
    _, plain = answers(mechanism, factual)
    size = 0.5 * float((plain - x).detach().abs().max())
    null, less = answers(mechanism, factual, shrinkage=size)
    torch.testing.assert_close(null, x, atol=1e-5, rtol=0)
    torch.testing.assert_close(less - x, shrunk(plain - x, size))
    assert (less - x).abs().mean() < 0.5 * (plain - x).abs().mean()


@given(st.floats(0.6, 3), st.integers(0, 2**31))
def test_a_blurred_change_is_scipy_s(sd, seed):
    rng = np.random.default_rng(seed)
    change = np.zeros((41, 61))
    change[16:25, 20:41] = rng.normal(size=(9, 21))  # away from the border, which each library treats in its own way
    found = blurred(torch.from_numpy(change)[None, None].float(), sd)[0, 0].numpy()
    assert found.sum() == pytest.approx(change.sum(), abs=1e-3)
    other = gaussian_filter(change, np.hypot(sd, 12**-0.5))  # a pixel's own width is in our kernel, and not in SciPy's
    np.testing.assert_allclose(found, other, atol=0.02 * np.abs(change).max())


def test_a_blurred_change_is_smoother_and_no_change_stays_none(mechanism, factual):
    x = factual.image
    _, plain = answers(mechanism, factual)
    null, soft = answers(mechanism, factual, blur=1.0)
    torch.testing.assert_close(null, x, atol=1e-5, rtol=0)
    torch.testing.assert_close(soft - x, blurred(plain - x, 1.0))
    roughness = [float((image - x).detach().diff(dim=3).square().mean()) for image in (plain, soft)]
    assert roughness[1] < 0.7 * roughness[0]


@pytest.mark.parametrize("shape", [(2, 1, 9, 7), (1, 2, 6, 5, 4)])
def test_blur_keeps_what_is_flat(shape):
    torch.testing.assert_close(blurred(torch.full(shape, 0.3), 1.2), torch.full(shape, 0.3))


def test_a_shadow_is_lifted_to_the_darkest_nearby_and_its_noise_remains():
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(0.05 * rng.normal(size=(1, 1, 48, 64))).float()
    x = noise.clone()
    x[..., 16:32, :] += 1.0  # a vessel in fat
    answer = x.clone()
    answer[..., 16:24, 20:44] = -1.5 + noise[..., 16:24, 20:44]  # half of it removed, blacker than fat
    found = lifted(answer, x, 6)
    lowest = minimum_filter(gaussian_filter(x[0, 0].numpy(), GRAIN), size=13)  # SciPy's, of the factual image
    inside = (slice(18, 22), slice(24, 40))
    assert (gaussian_filter(found[0, 0].numpy(), GRAIN)[inside] > lowest[inside] - 0.05).all()
    assert found[..., 18:22, 24:40].mean() < 0.1  # fat, not vessel
    assert found[..., 18:22, 24:40].std() > 0.5 * noise.std()
    assert torch.equal(found[..., 40:, :], answer[..., 40:, :])


@pytest.mark.parametrize("shape", [(2, 1, 12, 12), (1, 2, 6, 6, 6)])
def test_lifting_never_darkens_and_leaves_what_is_bright_and_what_is_unchanged(shape):
    torch.manual_seed(0)
    x = torch.randn(shape)
    brighter = x + torch.rand(shape)
    assert torch.equal(lifted(x, x, 2), x)
    assert torch.equal(lifted(brighter, x, 2), brighter)
    assert bool((lifted(x - 3, x, 2) >= x - 3).all())


def test_the_floor_is_part_of_an_answer(mechanism, factual):
    _, plain = answers(mechanism, factual)
    null, found = answers(mechanism, factual, floor=1)
    assert torch.equal(found, lifted(plain, factual.image, 1))
    torch.testing.assert_close(null, factual.image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(2, 1, 9, 13), (1, 2, 5, 6, 7)])
def test_the_highest_nearby_is_scipy_s(shape):
    torch.manual_seed(0)
    x = torch.randn(shape)
    wide = (1, 1, *[5] * (len(shape) - 2))
    np.testing.assert_array_equal(highest(x, 2).numpy(), maximum_filter(x.numpy(), wide, mode="constant", cval=-np.inf))
