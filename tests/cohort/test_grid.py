"""What the networks see of an image: by one fixed window, or by each image's own values."""

import numpy as np
import pytest
import torch

from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity, PercentileRule, ZScoreRule
from segue.cohort.window import percentile_window, scaled, unscaled, zscore_window
from segue.errors import InputError

OWN = Intensity(rule=PercentileRule((1.0, 99.0)))
BY_SD = Intensity(rule=ZScoreRule(3.0))


def images(batch=3, shape=(2, 9, 11), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 40 * torch.randn(batch, *shape, generator=generator) + 100


@pytest.mark.parametrize("percentiles", [(0.0, 100.0), (1.0, 99.0), (2.5, 60.0)])
def test_a_window_is_numpys_percentiles_over_pixels_and_channels(percentiles):
    raw = images()
    expected = np.percentile(raw.double().flatten(1).numpy(), percentiles, axis=1).T
    np.testing.assert_allclose(percentile_window(raw, percentiles).numpy(), expected, rtol=1e-12)


def test_the_window_becomes_minus_one_and_one_and_is_undone():
    grid, raw = Grid((9, 11), channels=2, intensity=OWN), images()
    window = grid.window(raw)
    assert torch.allclose(grid.scale(window, window), torch.tensor([-1.0, 1.0], dtype=torch.float64))
    assert grid.scale(raw).min() < -1 and grid.scale(raw).max() > 1  # unclipped
    torch.testing.assert_close(grid.unscale(grid.scale(raw), window), raw, rtol=1e-6, atol=1e-4)
    twice = raw.double()
    torch.testing.assert_close(unscaled(scaled(twice, window), window), twice, rtol=1e-14, atol=1e-12)


@pytest.mark.parametrize("intensity", [OWN, BY_SD])
def test_brightness_and_contrast_of_a_scanner_do_not_matter(intensity):
    grid, raw = Grid((9, 11), channels=2, intensity=intensity), images()
    torch.testing.assert_close(grid.scale(0.5 * raw + 30), grid.scale(raw), rtol=0, atol=1e-5)


@pytest.mark.parametrize("intensity", [OWN, BY_SD])
def test_an_image_is_scaled_alike_whatever_else_is_in_its_batch(intensity):
    grid, raw = Grid((9, 11), channels=2, intensity=intensity), images()
    assert torch.equal(grid.scale(raw)[1:2], grid.scale(raw[1:2]))


def test_an_even_image_and_one_with_a_bright_spot_give_finite_values():
    raw = torch.full((2, 1, 20, 20), 7.0)
    raw[1, 0, 3, 3] = 1007.0
    x = Grid((20, 20), intensity=OWN).scale(raw)
    assert torch.equal(x[0], torch.full_like(x[0], -1.0))
    assert float(x[1].max()) == pytest.approx(199, rel=1e-6) and float(x[1].min()) == -1


def test_the_fixed_intensity_is_one_window_for_all_to_the_bit():
    raw, (low, high) = images(), (-200.0, 1133.7)
    grid = Grid((9, 11), channels=2, intensity=Intensity((low, high)))
    assert grid.window(raw).tolist() == [[low, high]] * 3 and grid.limits(raw[0].numpy()) == (low, high)
    plain = (raw - low) * (2 / (high - low)) - 1  # as it was before there were windows
    assert torch.equal(grid.scale(raw), plain) and torch.equal(grid.scale(raw, grid.window(raw)), plain)
    back = (plain + 1) * ((high - low) / 2) + low
    assert torch.equal(grid.unscale(plain), back) and torch.equal(grid.unscale(plain, grid.window(raw)), back)


def test_by_standard_deviations_numpys_mean_and_sd_of_what_is_not_background_become_0_and_1():
    raw = images(shape=(1, 20, 20))
    raw[:, :, :8] = -300.0  # an even background, 40% of each image
    shown = raw[:, :, 8:].double().flatten(1).numpy()
    mean, sd = shown.mean(1), shown.std(1)
    expected = np.stack([mean - 2 * sd, mean + 2 * sd], axis=1)
    np.testing.assert_allclose(zscore_window(raw, 2.0).numpy(), expected, rtol=1e-12)
    z = Grid((20, 20), intensity=BY_SD).scale(raw)[:, :, 8:].flatten(1)
    torch.testing.assert_close(z.mean(1), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(z.std(1, correction=0), torch.full((3,), 1 / 3), rtol=0, atol=1e-5)


def test_by_standard_deviations_an_even_image_becomes_0():
    x = Grid((4, 4), intensity=BY_SD).scale(torch.full((1, 1, 4, 4), 7.0))
    assert torch.equal(x, torch.zeros_like(x))


@pytest.mark.parametrize(
    "spacing", [(0.5, 0.5, 3.0), (0.5,), (), (0.0, 0.5), (-0.5, 0.5), (float("nan"), 0.5), (float("inf"), 0.5)]
)
@pytest.mark.parametrize("unit", ["px", "mm2"])
def test_a_spacing_has_one_positive_number_an_axis(spacing, unit):
    with pytest.raises(InputError, match="give 2 numbers above 0"):
        Grid((4, 8), unit=unit).areas(spacing, batch=1)
