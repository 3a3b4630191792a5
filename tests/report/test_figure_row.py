"""Rows of volumes as pictures: the planes and the slices go through what was asked."""

import numpy as np

from segue.report.figure_row import FigureRow, in_planes, in_slices


def volumes() -> FigureRow:
    """A rod along the second axis; its front half is asked; x* differs in one voxel of it."""
    rod = np.zeros((8, 16, 6), np.float32)
    rod[2:5, 2:14, 1:4] = 1
    front = np.zeros_like(rod)
    front[:, 8:] = 1
    changed = rod.copy()
    changed[3, 10, 2] = 5
    return FigureRow("do(rod@front = 1)", rod, {"segue": changed}, front, {"rod": rod, "other": 0 * rod}, asked="rod")


def test_planes_meet_in_the_part_that_was_asked():
    row, flat = volumes(), in_planes(volumes())
    assert flat.factual.shape == (6 + 2 + 16, 8 + 2 + 16) == flat.region.shape
    assert row.part.sum() == 3 * 6 * 3
    assert (flat.counterfactuals["segue"] == 5).sum() == 3  # voxel (3, 10, 2) is where all three planes meet
    assert np.isnan(flat.factual).sum() == np.isnan(flat.counterfactuals["segue"]).sum() > 0
    assert np.isfinite(flat.region).all() and np.isfinite(flat.outlines["rod"]).all()


def test_slices_go_across_the_longest_axis_through_the_asked_half():
    (flat,) = in_slices([volumes()])
    assert flat.factual.shape == (2 * 6 + 2, 4 * 8 + 3 * 2)  # eight slices, four in a row
    assert np.nansum(flat.factual) == 8 * 3 * 3  # each shows the rod, in its front half
    assert (flat.counterfactuals["segue"] == 5).any()
    assert flat.region[np.isfinite(flat.factual)].all()


def test_all_rows_are_cut_across_one_axis():
    row = volumes()
    short = np.zeros_like(row.factual)
    short[:, 9, 1] = 1  # longer along the first axis
    turned = FigureRow("", row.factual, row.counterfactuals, row.region, {"rod": short}, "rod")
    shapes = {one.factual.shape for one in in_slices([row, turned, row])}
    assert shapes == {(2 * 6 + 2, 4 * 8 + 3 * 2)}


def test_where_nothing_of_the_structure_is_there_the_region_is_shown():
    row = volumes()
    empty = FigureRow(row.title, row.factual, row.counterfactuals, row.region, row.outlines, asked="other")
    np.testing.assert_array_equal(empty.part, row.region)
    assert in_planes(empty).factual.shape == in_planes(row).factual.shape
    assert in_slices([empty])[0].factual.size


def test_images_with_two_axes_stay_as_they_are():
    flat = np.zeros((4, 6), np.float32)
    row = FigureRow("", flat, {"a": flat}, flat)
    assert in_planes(row) is row
