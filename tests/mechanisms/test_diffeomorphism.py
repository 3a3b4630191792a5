"""Displacements: against analytic maps, their inverses, and SciPy's resampling."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from segue.mechanisms.diffeomorphism import exponential, resample
from segue.nets.layers import blurred


def smooth_field(space, seed=0, largest=3.0):
    """A smooth random velocity, in pixels, still at the border."""
    generator = torch.Generator().manual_seed(seed)
    field = blurred(torch.randn(1, len(space), *space, generator=generator), 4.0)
    for axis, side in enumerate(space):
        shape = [1] * (2 + len(space))
        shape[2 + axis] = side
        field = field * torch.hann_window(side, periodic=False).reshape(shape)
    return largest * field / field.abs().max()


def after(first, second):
    """The displacement of one map after another: p -> p + first(p) + second(p + first(p))."""
    return first + resample(second, first)


@pytest.mark.parametrize("space", [(48, 64), (24, 24, 28)])
def test_going_along_a_field_and_back_leads_home(space):
    velocity = smooth_field(space, largest=2.5)
    there, back = exponential(velocity, 6), exponential(-velocity, 6)
    assert there.abs().max() > 2
    assert after(there, back).abs().max() < 0.1  # of a pixel


@pytest.mark.parametrize("space", [(48, 64), (24, 24, 28)])
def test_the_exponential_of_twice_a_field_is_the_map_twice(space):
    velocity = smooth_field(space, largest=2.0)
    once, twice = exponential(velocity, 6), exponential(2 * velocity, 6)
    torch.testing.assert_close(after(once, once), twice, atol=0.1, rtol=0)


def test_maps_do_not_fold_even_where_the_field_is_large():
    displacement = exponential(smooth_field((64, 64), largest=12.0), 7)[0]
    (yy, yx), (xy, xx) = (np.gradient(part.numpy()) for part in displacement)
    determinant = (1 + yy) * (1 + xx) - yx * xy
    assert determinant.min() > 0 and determinant.min() < 0.5  # it does compress


@pytest.mark.parametrize("rate", [-0.3, 0.2])
def test_a_disc_grows_as_the_field_says(rate):
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    radius = ((rows - 47.5) ** 2 + (columns - 47.5) ** 2).sqrt()
    disc = torch.sigmoid(4 * (16 - radius))[None, None]
    inwards = -rate * torch.stack([rows - 47.5, columns - 47.5])[None]
    fade = torch.sigmoid((40 - radius) / 2)  # linear on the disc and around it, nothing at the border
    grown = resample(disc, exponential(inwards * fade, 6))
    assert float(grown.sum()) == pytest.approx(float(disc.sum()) * math.exp(2 * rate), rel=0.01)


def test_resampling_of_volumes_is_scipy_s_cubic_along_the_same_axes():
    generator = torch.Generator().manual_seed(0)
    volume = blurred(torch.randn(1, 1, 14, 18, 22, generator=generator), 1.2)
    displacement = 2 * torch.rand(1, 3, 14, 18, 22, generator=generator) - 1
    found = resample(volume, displacement)[0, 0].numpy()
    places = np.indices((14, 18, 22)) + displacement[0].numpy()
    linear, cubic = (map_coordinates(volume[0, 0].numpy(), places, order=order, mode="nearest") for order in (1, 3))
    inside = (slice(2, -2),) * 3
    error = np.abs(found - cubic)[inside].mean()
    assert error < 0.5 * np.abs(linear - cubic)[inside].mean() and error < 0.04 * np.abs(cubic).mean()


def test_volumes_at_rest_stay():
    volume = torch.rand(1, 2, 5, 6, 7)
    torch.testing.assert_close(resample(volume, torch.zeros(1, 3, 5, 6, 7)), volume, atol=1e-5, rtol=0)


def test_resampling_a_shifted_image_shifts_the_answer():
    image, displacement = blurred(torch.randn(1, 1, 40, 40), 1.0), smooth_field((40, 40))
    moved = resample(image.roll((3, 5), (2, 3)), displacement.roll((3, 5), (2, 3)))
    still = resample(image, displacement).roll((3, 5), (2, 3))
    torch.testing.assert_close(moved[..., 8:-8, 8:-8], still[..., 8:-8, 8:-8], atol=1e-4, rtol=0)


def test_cubic_resampling_keeps_more_texture_than_linear():
    generator = torch.Generator().manual_seed(0)
    texture = blurred(torch.randn(1, 1, 64, 64, generator=generator), 0.6)
    half = torch.full((1, 2, 64, 64), 0.5)
    linear = (texture + texture.roll(-1, 2)) / 2
    linear = (linear + linear.roll(-1, 3)) / 2  # half a pixel along both axes
    kept = [float(one[..., 4:-4, 4:-4].std() / texture.std()) for one in (resample(texture, half), linear)]
    assert kept[0] > 1.15 * kept[1]


def test_zero_velocity_is_zero_displacement_and_gradients_flow():
    velocity = torch.zeros(1, 2, 16, 16, requires_grad=True)
    displacement = exponential(velocity, 5)
    assert not displacement.any()
    resample(torch.rand(1, 1, 16, 16), displacement).square().sum().backward()
    assert velocity.grad is not None and bool(velocity.grad.any())
