"""Distances from the truth, by hand and by scipy."""

import math

import numpy as np
import polars as pl
import pytest
import torch
from scipy import ndimage

from segue.evaluation.truth import distances, similarity, summarise_distances


def test_distances_by_hand():
    # 2 x 2 image, one channel, intensities in [-1, 1]; the region's weights 1, 0.5, 0.4, 0
    truth = torch.zeros(1, 1, 2, 2)
    image = torch.tensor([[[[0.2, -0.4], [0.6, 0.0]]]])
    found = distances(image, truth, torch.tensor([[[1.0, 0.5], [0.4, 0.0]]]))
    expected = {  # of the range, 2
        "truth_mae": 0.15, "truth_mae_inside": 0.15, "truth_mae_outside": 0.15,
        "truth_mse": (0.01 + 0.04 + 0.09) / 4, "truth_mse_inside": 0.025, "truth_mse_outside": 0.045,
    }  # fmt: skip
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value), name


def test_channels_are_averaged():
    truth, image = torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)
    image[:, 0] = 1.0
    found = distances(image, truth, torch.ones(1, 3, 3))
    assert float(found["truth_mae"]) == pytest.approx(0.25) and float(found["truth_mse"]) == pytest.approx(0.125)


def test_the_truth_is_at_no_distance_from_itself():
    truth = torch.rand(3, 1, 16, 24)
    found = distances(truth, truth.clone(), (torch.rand(3, 16, 24) > 0.5).float())
    for name, values in found.items():
        expected = torch.ones(3) if "ssim" in name else torch.zeros(3)
        torch.testing.assert_close(values, expected, msg=name)


def test_a_region_without_outside_has_no_distance_there():
    found = distances(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4), torch.ones(2, 4, 4))
    assert found["truth_mae_outside"].isnan().all() and (found["truth_mae_inside"] == 0.5).all()


@pytest.mark.parametrize("size", [(16, 24), (9, 16, 12)])
def test_structural_similarity_is_scipys(size):
    x, y = np.random.default_rng(0).uniform(-1, 1, size=(2, *size))
    y = 0.7 * x + 0.3 * y

    def blur(image):
        return ndimage.gaussian_filter(image, 1.5, mode="mirror", radius=5)

    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    expected = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    found = similarity(*(torch.from_numpy(one).float()[None, None] for one in (x, y)))[0, 0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


# ---- the summary -------------------------------------------------------------------------------------------------


def rows(**columns) -> pl.DataFrame:
    """Requests, with the same number for inside and outside where nothing else is said."""
    length = len(columns["image"])
    whole = {"truth_mae": [0.1] * length, "truth_mse": [0.01] * length, "truth_ssim": [0.5] * length} | columns
    parts = {f"{k}{part}": v for k, v in whole.items() if k[:5] == "truth" for part in ("_inside", "_outside")}
    return pl.DataFrame(parts | whole)


def test_summary_by_hand_over_well_posed_requests_alone():
    table = rows(
        image=[1, 0, 1, 0],
        well_posed=[True, True, False, True],
        truth_mae=[0.1, 0.2, 9.0, 0.3],
        truth_mse=[0.01, 0.02, 9.0, 0.06],
        truth_mae_outside=[0.1, math.nan, 9.0, 0.5],
    )
    found = summarise_distances(table, span=1000.0, subjects=["a", "b"], bootstrap=500, seed=0)
    assert found["n_requests"] == 3
    assert found["mae"] == pytest.approx(200) and found["mae_outside"] == pytest.approx(300)
    assert found["psnr"] == pytest.approx(10 * math.log10(1 / 0.03))
    assert found["ssim"] == found["ssim_inside"] == 0.5
    assert found["ci95"] == pytest.approx([100, 250])  # subject b's alone, a's alone


def test_an_exact_answer_has_no_finite_psnr():
    table = rows(image=[0, 1], well_posed=[True, True], truth_mae=[0.0, 0.0], truth_mse=[0.0, 0.0])
    found = summarise_distances(table, span=1000.0, subjects=["a", "b"], bootstrap=10, seed=0)
    assert found["mae"] == 0 and found["psnr"] is None and found["ci95"] == [0, 0]


def test_no_request_is_well_posed():
    table = rows(image=[0, 1], well_posed=[False, False])
    found = summarise_distances(table, span=1.0, subjects=["a", "b"], bootstrap=10, seed=0)
    assert found.pop("n_requests") == 0
    assert set(found.values()) == {None}
