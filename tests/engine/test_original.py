"""Answers on the file's own pixels: what is known of them in closed form."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

import segue
from segue.cohort.resample import area_resample
from segue.engine.original import change_on_file

WINDOW = (0.0, 255.0)


def textured(shape, seed=0):
    """A file with detail finer than the study's grid."""
    noise = np.random.default_rng(seed).normal(0, 1, shape)
    return 120 + 400 * gaussian_filter(noise, 3) + 10 * gaussian_filter(noise, 0.7)


def disc(shape, centre, radius):
    places = np.indices(shape) + 0.5
    away = np.sqrt(sum((place - middle) ** 2 for place, middle in zip(places, centre, strict=True)))
    return 50 + 100 / (1 + np.exp((away - radius) / 0.8))


@pytest.mark.parametrize(("file", "size"), [((256, 240), (96, 80)), ((50, 60), (96, 80)), ((20, 24, 28), (10, 12, 14))])
def test_a_null_request_changes_no_bit(file, size):
    pixels = textured(file)
    x = area_resample(pixels, size)
    for displacement in (None, np.zeros((len(size), *size))):
        assert not change_on_file(pixels, x, x, displacement, window=WINDOW).any()


@pytest.mark.parametrize(("file", "size"), [((256, 240), (96, 80)), ((96, 80), (96, 80)), ((40, 44, 48), (20, 22, 16))])
def test_the_answer_averaged_to_the_grid_is_the_grids_answer(file, size):
    """For any x*, also of one that no motion explains: within 2% of the window everywhere, 0.1% on average."""
    pixels = textured(file)
    x = area_resample(pixels, size)
    draw = np.random.default_rng(1)
    displacement = np.stack([3 * gaussian_filter(draw.normal(0, 1, size), 4) for _ in size])
    painted = np.zeros(size)
    painted[tuple(slice(side // 3, side // 2) for side in size)] = 60
    x_star = x + painted + 10 * gaussian_filter(draw.normal(0, 1, size), 2)
    found = pixels + change_on_file(pixels, x, x_star, displacement, window=WINDOW)
    error = np.abs(area_resample(found, size) - x_star)
    assert error.max() < 5.1 and error.mean() < 0.26


def test_a_disc_grows_sharply_on_the_file():
    """The radius grows from 40 to 46 pixels of the file: the border is as sharp as before, not blurred by the grid."""
    file, size, centre = (240, 240), (60, 60), (120.0, 120.0)
    before, after = disc(file, centre, 40), disc(file, centre, 46)
    places = np.indices(size) + 0.5 - 30  # of the grid: x* at p shows x at p + d, so d points to the centre
    radius = np.linalg.norm(places, axis=0).clip(1e-6)
    displacement = -1.5 * places / radius * np.exp(-(((radius - 11.5) / 4) ** 2))
    found = before + change_on_file(
        before, area_resample(before, size), area_resample(after, size), displacement, window=WINDOW
    )
    ring = np.abs(found - after)
    assert ring.max() < 12 and ring.mean() < 0.4
    slope = np.abs(np.diff(found[120, 120:])).max()
    assert slope > 0.9 * np.abs(np.diff(after[120, 120:])).max()
    upsampled = before + np.kron(area_resample(after - before, size), np.ones((4, 4)))
    assert ring.mean() < np.abs(upsampled - after).mean() / 2  # what adding the grid's difference would give


def test_motion_is_scaled_to_the_files_pixels():
    pixels = textured((128, 96))
    size = (32, 48)
    displacement = np.zeros((2, *size))
    displacement[0], displacement[1] = 0.75, -0.5  # of the grid: 3 rows and -1 column of the file
    places = np.indices(pixels.shape) + np.array([3, -1])[:, None, None]
    moved = map_coordinates(pixels, places, order=1, mode="nearest")
    found = pixels + change_on_file(
        pixels, area_resample(pixels, size), area_resample(moved, size), displacement, window=WINDOW
    )
    np.testing.assert_allclose(found[8:-8, 8:-8], moved[8:-8, 8:-8], atol=0.05)


def test_far_from_a_change_every_pixel_is_the_files():
    pixels = textured((256, 256))
    x = area_resample(pixels, (64, 64))
    x_star = x.copy()
    x_star[20:30, 20:30] += 40
    changed = change_on_file(pixels, x, x_star, None, window=WINDOW) != 0
    assert changed[84:116, 84:116].all() and not changed[:76].any() and not changed[124:].any()


def test_the_engine_says_how_an_answer_moves():
    """x* is x, moved and painted: what the displacement does not explain is small where the shipped model moves."""
    model = segue.load("coronary-phantom")
    answer = model.counterfactual(model.examples()[:2], {model.variables[0]: "+1sd"})
    assert answer.displacement is not None
    assert answer.displacement.shape == (2, 2, *model.grid.size) and answer.displacement.any()
    null = model.counterfactual(model.examples()[:1], {})
    assert not null.displacement.any() and torch.equal(null.image, model.examples()[:1])
