"""The corruptions of the input check's benchmark, and the mends that it expects to be named."""

import torch

from benchmarks.corruptions import corruptions, stretched
from segue.cohort.grid import Grid
from segue.engine.mends import mends
from segue.engine.poses import poses
from segue.engine.reasons import constant

GRID = Grid((24, 32))


def test_each_corruption_stays_on_the_grid_and_changes_every_image():
    raw = 255 * torch.rand(3, 1, *GRID.size)
    before, names = raw.clone(), []
    for name, _, changed in corruptions(raw, GRID):
        names.append(name)
        assert changed.shape == raw.shape and changed.isfinite().all(), name
        assert all(not torch.equal(one, other) for one, other in zip(changed, raw, strict=True)), name
    assert torch.equal(raw, before) and len(set(names)) == len(names) >= 15


def test_every_expected_mend_is_one_that_is_said():
    raw, said = torch.rand(1, 1, *GRID.size), []
    for image, usual in ((raw, (0.0, 255.0)), (300 * raw, (0.0, 255.0))):
        said += [text for text, _ in mends(image, GRID, usual, intensity=True, wrong=tuple(poses(GRID)))]
    said.append(constant(torch.zeros_like(raw), 1.0) or "")
    expected = [mend for _, mend, _ in corruptions(255 * raw, GRID) if mend]
    assert expected and all(any(mend in text for text in said) for mend in expected)


def test_another_cohort_is_brought_to_the_range_of_this_one():
    found = stretched(torch.rand(4, 1, 8, 8), 100 + 50 * torch.rand(4, 1, 8, 8))
    assert found.amin() >= 100 and found.amax() <= 150 and found.amax() - found.amin() > 40
