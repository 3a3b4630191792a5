import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.cohort.resample import area_resample, overlap_matrix

lengths = st.integers(1, 40)


def test_overlap_by_hand():
    # Three cells onto two: each new cell holds one old cell and half of the middle one.
    np.testing.assert_allclose(overlap_matrix(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])


@pytest.mark.parametrize("size", [(6, 8), (3, 4), (12, 2), (1, 1), (2, 16)])
def test_integer_factors_agree_with_torch(size):
    image = np.random.default_rng(0).random((2, 3, 12, 16))
    expected = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(image), size)
    np.testing.assert_allclose(area_resample(image, size), expected.numpy(), rtol=1e-12)


def test_volumes_agree_with_torch():
    volume = np.random.default_rng(0).random((2, 8, 6, 4))
    expected = torch.nn.functional.adaptive_avg_pool3d(torch.from_numpy(volume), (4, 3, 1))
    np.testing.assert_allclose(area_resample(volume, (4, 3, 1)), expected.numpy(), rtol=1e-12)


@given(st.tuples(lengths, lengths), st.tuples(lengths, lengths), st.integers(0, 2**32 - 1))
def test_area_survives_any_change_of_grid(old, new, seed):
    mask = np.random.default_rng(seed).random(old) < 0.5
    resized = area_resample(mask, new)
    assert resized.shape == new and resized.dtype == np.float32
    assert resized.min() >= 0 and resized.max() <= 1
    # The field of view is 1 mm2, hence a pixel 1 / (rows * columns).
    assert resized.mean(dtype=np.float64) == pytest.approx(mask.mean(), abs=1e-7)


@given(lengths, lengths)
def test_up_by_a_whole_factor_and_down_again_is_the_identity(length, factor):
    signal = np.random.default_rng(0).random(length)
    np.testing.assert_allclose(area_resample(area_resample(signal, (length * factor,)), (length,)), signal)
