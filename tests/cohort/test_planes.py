"""Volumes as pictures: every pixel shows the voxel that it stands for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.cohort.planes import Planes, central_voxel, montage, plane_across, repeats_of

SIZES = st.tuples(*[st.integers(1, 6)] * 3)


@given(SIZES, st.data())
def test_a_pixel_shows_its_voxel_and_gaps_are_filled(size, data):
    place = tuple(data.draw(st.integers(0, n - 1)) for n in size)
    repeats = tuple(data.draw(st.integers(1, 3)) for _ in size)
    volume = np.arange(np.prod(size), dtype=np.float32).reshape(size)
    planes = Planes(size, place, repeats)
    picture = planes.picture(volume)
    assert picture.shape == planes.shape
    shown = set()
    for (row, column), value in np.ndenumerate(picture):
        voxel = planes.voxel(row, column)
        assert np.isnan(value) if voxel is None else volume[voxel] == value
        shown.add(voxel)
    on_a_plane = {index for index in np.ndindex(*size) if any(a == b for a, b in zip(index, place, strict=True))}
    assert shown - {None} == on_a_plane


def test_head_and_front_are_up_and_right_is_right():
    """Of a volume with axes RAS."""
    right, front, head = np.indices((4, 5, 6))
    sagittal, coronal, axial = 10 * head + front, 10 * head + right, 10 * front + right
    for axis, volume in enumerate((sagittal, coronal, axial)):
        plane = plane_across(volume, axis, 2)
        assert plane[0, 0] > plane[-1, 0] and plane[-1, -1] > plane[-1, 0]


def test_neighbouring_planes_share_their_axis():
    """Rows of the two upper planes are one axis, columns of the two left ones are another."""
    volume = np.random.default_rng(0).random((4, 5, 6))
    planes = Planes(volume.shape, (1, 2, 3))
    picture = planes.picture(volume)
    coronal, sagittal, axial = planes.tiles
    np.testing.assert_array_equal(picture[: coronal.height, 1], picture[: sagittal.height, sagittal.left + 2])
    np.testing.assert_array_equal(picture[coronal.height - 1 - 3, :4], picture[axial.top + 5 - 1 - 2, :4])


def test_a_montage_has_the_slices_in_their_order():
    volume = np.random.default_rng(0).random((4, 5, 6))
    picture = montage(volume, axis=0, indices=[3, 1, 2], columns=2, fill=-1.0)
    np.testing.assert_array_equal(picture[:6, :5], volume[3].T[::-1])
    np.testing.assert_array_equal(picture[:6, 7:], volume[1].T[::-1])
    np.testing.assert_array_equal(picture[8:, :5], volume[2].T[::-1])
    assert (picture[8:, 5:] == -1).all()


def test_the_centre_agrees_with_scipy():
    from scipy import ndimage

    weights = np.random.default_rng(0).random((5, 7, 9)) ** 8
    np.testing.assert_allclose(central_voxel(weights), ndimage.center_of_mass(weights), atol=0.5)


@pytest.mark.parametrize(
    ("spacing", "repeats"), [((1.0, 1.0, 1.4), (1, 1, 1)), ((0.5, 0.5, 2.1), (1, 1, 4)), ((3.0, 1.0, 1.0), (3, 1, 1))]
)
def test_thick_slices_are_drawn_thick(spacing, repeats):
    assert repeats_of(spacing) == repeats
