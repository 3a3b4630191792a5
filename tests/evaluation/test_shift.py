"""Each shift against its definition, on an image whose range is known."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from segue.evaluation.shift import SHIFTS, shifted

LOW, HIGH = -200.0, 800.0


def pair(size=(48, 96), channels=1):
    """A smooth image from LOW to HIGH with a disc as mask."""
    rows, columns = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in size), indexing="ij")
    image = torch.sin(2 * rows) + columns
    image = LOW + (HIGH - LOW) * (image - image.min()) / (image.max() - image.min())
    disc = (rows.square() + columns.square() < 0.25).float()
    return image.expand(1, channels, *size).clone(), disc.expand(1, 2, *size).clone()


DEFINITIONS = {
    "gamma_0.6": lambda t: t**0.6,
    "gamma_1.6": lambda t: t**1.6,
    "half_contrast": lambda t: 0.5 + (t - 0.5) / 2,
    "darker": lambda t: t - 0.25,
    "blurred": lambda t: gaussian_filter(t, sigma=(0, 0, 1, 1), truncate=8),  # 96 pixels: sd 1
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_shift_of_intensities_is_what_it_says(name):
    raw, mask = pair(channels=2)
    found, moved = shifted(SHIFTS[name], raw, mask)
    share = ((raw - LOW) / (HIGH - LOW)).double().numpy()
    expected = LOW + (HIGH - LOW) * DEFINITIONS[name](share)
    middle = (..., slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(found.numpy()[middle], expected[middle], atol=0.05)
    assert torch.equal(moved, mask) and found.dtype == torch.float32


def test_noise_is_white_and_a_twentieth_of_the_range():
    raw, mask = pair()
    torch.manual_seed(0)
    noise = (shifted(SHIFTS["noisy"], raw, mask)[0] - raw)[0, 0]
    assert float(noise.std()) == pytest.approx(0.05 * (HIGH - LOW), rel=0.05)
    assert abs(float((noise[1:] * noise[:-1]).mean() / noise.var())) < 0.05


def test_a_crop_keeps_the_centre_of_image_and_masks():
    raw, mask = pair()
    found, moved = shifted(SHIFTS["cropped"], raw, mask)
    for pixel in ((0, 0), (10, 70), (47, 95)):  # the centre of the new pixel is this far into the old image
        y, x = (0.9 * (i + 0.5 - side / 2) + side / 2 - 0.5 for i, side in zip(pixel, (48, 96), strict=True))
        around = raw[0, 0, math.floor(y) : math.ceil(y) + 1, math.floor(x) : math.ceil(x) + 1]
        assert around.min() - 1 <= found[0, 0][pixel] <= around.max() + 1
    assert float(moved.sum() / mask.sum()) == pytest.approx(1 / 0.81, rel=0.01)
    assert moved.min() >= 0 and moved.max() <= 1


@pytest.mark.parametrize("name", SHIFTS)
def test_volumes_and_even_images_are_shifted_too(name):
    raw, mask = torch.full((1, 1, 6, 8, 10), 3.0), torch.zeros(1, 1, 6, 8, 10)
    found, moved = shifted(SHIFTS[name], raw, mask)
    assert found.shape == raw.shape and moved.shape == mask.shape and found.isfinite().all()
