"""Reach of changes whose place is known, and folds of known fields."""

import numpy as np
import polars as pl
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from segue.anatomy.reach import FAR, both_sides, far_change, far_from
from segue.evaluation.folding import folded
from segue.evaluation.metric.effects import share_far


def disc(size, radius, centre=None) -> torch.Tensor:
    grids = torch.meshgrid(*(torch.arange(float(n)) for n in size), indexing="ij")
    centre = centre or [n / 2 for n in size]
    return (sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True)) < radius**2)[None]


def share(change: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> float:
    x = torch.zeros(1, 1, *before.shape[1:])
    return float(far_change(x, x + change[:, None].float(), before, after) / (change.abs().sum() / 2))


@pytest.mark.parametrize("size", [(64, 80), (32, 32, 24)])
def test_change_on_the_outline_is_near_and_all_other_change_far(size):
    before, after = disc(size, 8), disc(size, 10)
    moved = (before ^ after).float()
    corner = torch.zeros(1, *size)
    corner[(0, *[slice(0, 2)] * len(size))] = 1
    centre = disc(size, 2).float()  # inside the structure, 8 - 2 pixels from its outline
    assert share(moved, before, after) == 0
    assert share(corner, before, after) == share(centre, before, after) == 1
    half = moved / moved.sum() - corner / corner.sum()  # a change down counts like a change up
    assert share(half, before, after) == pytest.approx(0.5)


def test_far_is_said_in_shares_of_the_shorter_side():
    mask = torch.zeros(1, 100, 200, dtype=torch.bool)
    mask[:, :, :100] = True  # the outline: columns 99 and 100
    far = far_from(both_sides(mask))[0, 50]
    assert FAR * 100 == 6
    assert far.nonzero().flatten().tolist() == [*range(0, 93), *range(107, 200)]


def test_the_nearer_of_two_outlines_counts_by_scipy():
    before, after = disc((48, 48), 6, [12, 12]), disc((48, 48), 5, [34, 30])
    border = [np.array(both_sides(mask)[0]) for mask in (before, after)]
    nearer = np.minimum(*(distance_transform_edt(~one) for one in border))
    np.testing.assert_array_equal(far_from(both_sides(before) | both_sides(after))[0].numpy(), nearer > 0.06 * 48)


def test_without_the_structure_all_change_is_far_and_no_change_is_none():
    nothing, change = torch.zeros(1, 16, 16, dtype=torch.bool), torch.zeros(1, 16, 16)
    change[0, 5, 5] = 1
    assert share(change, nothing, nothing) == share(change, ~nothing, ~nothing) == 1
    assert float(far_change(change[None], change[None], nothing, nothing)) == 0
    assert share_far(pl.DataFrame({"far": [0.0], "total": [0.0]})) == 0


# ---- folding -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(12, 10), (8, 9, 10)])
def test_what_keeps_its_order_does_not_fold(size):
    dims, generator = len(size), torch.Generator().manual_seed(0)
    nothing = torch.zeros(1, dims, *size)
    wave = torch.stack([torch.sin(torch.arange(size[0]) / 2.0)] * dims).reshape(1, dims, -1, *[1] * (dims - 1))
    for field in (nothing, nothing + 7.5, 0.5 * wave + nothing, 0.1 * torch.rand(1, dims, *size, generator=generator)):
        assert folded(field).tolist() == [0]


@pytest.mark.parametrize("size", [(40, 6), (40, 4, 5)])
def test_a_ramp_that_runs_back_folds_where_it_does(size):
    """p + u(p) rises by 1 up to row 10, falls by 1 up to row 30, and rises again: central slopes are 0 at the turns."""
    steps = torch.ones(size[0] - 1)
    steps[10:30] = -1
    places = torch.cat([torch.zeros(1), steps.cumsum(0)])
    field = torch.zeros(2, len(size), *size)
    field[1, 0] = (places - torch.arange(float(size[0]))).reshape(-1, *[1] * (len(size) - 1))
    assert folded(field).tolist() == [0, pytest.approx(21 / 40)]  # rows 10 to 30, both turns included
