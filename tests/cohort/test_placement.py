"""Against nibabel, which turns whole images, and SimpleITK, which knows where a voxel lies."""

import itertools

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from segue.cohort.io import place_image
from segue.cohort.placement import BODY_LINES, axis_codes, check_axes, placement
from segue.errors import InputError

AXES = [
    "".join(letters)
    for letters in itertools.product("RLAPSI", repeat=3)
    if len({BODY_LINES[letter] for letter in letters}) == 3
]


def oblique(seed: int) -> np.ndarray:
    """A rotation near one of the 48 orders of axes, with spacing and an origin."""
    draw = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(np.eye(3)[draw.permutation(3)] * draw.choice([-1, 1], 3) + draw.normal(0, 0.1, (3, 3)))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turned * draw.uniform(0.4, 3, 3), draw.normal(0, 50, 3)
    return affine


def test_there_are_48_orders_of_axes():
    assert len(AXES) == 48 and all(check_axes(axes, 3) == axes for axes in AXES)


@pytest.mark.parametrize("axes", AXES)
def test_a_volume_is_turned_as_nibabel_turns_it(axes):
    array, affine = np.random.default_rng(1).normal(size=(3, 4, 5)), oblique(AXES.index(axes))
    stored = nib.Nifti1Image(array, affine)
    theirs = stored.as_reoriented(ornt_transform(io_orientation(affine), axcodes2ornt(tuple(axes))))
    place = placement(array.shape, spacing=tuple(map(float, stored.header.get_zooms())), affine=affine, axes=axes)
    np.testing.assert_array_equal(place.to_study(array), theirs.get_fdata())
    np.testing.assert_array_equal(place.to_file(place.to_study(array)), array)
    np.testing.assert_allclose(place.affine_on(place.study_shape), theirs.affine, atol=1e-4)
    np.testing.assert_allclose(place.spacing_on(place.study_shape), theirs.header.get_zooms(), rtol=1e-6)


def test_a_coarser_grid_lies_where_simpleitk_puts_it(tmp_path):
    """A grid of half the pixels covers the same box: its corners in mm are those of the file."""
    image = sitk.GetImageFromArray(np.zeros((5, 6, 8), np.float32))
    affine = oblique(7)
    image.SetOrigin((affine[:3, 3] * [-1, -1, 1]).tolist())
    image.SetSpacing(np.linalg.norm(affine[:3, :3], axis=0).tolist())
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    image.SetDirection((directions * np.array([[-1], [-1], [1]])).ravel().tolist())
    sitk.WriteImage(image, tmp_path / "a.nii.gz")
    place = place_image(tmp_path / "a.nii.gz", (4, 3, 5), axes="LSP").placement
    found = place.affine_on((4, 3, 5))
    assert axis_codes(found, 3) == "LSP"
    ends = itertools.product((-0.5, 7.5), (-0.5, 5.5), (-0.5, 4.5))
    theirs = [np.array(image.TransformContinuousIndexToPhysicalPoint(end)) * [-1, -1, 1] for end in ends]
    ours = [found @ [*end, 1] for end in itertools.product((-0.5, 3.5), (-0.5, 2.5), (-0.5, 4.5))]
    for corner in theirs:
        assert min(np.linalg.norm(corner - mine[:3]) for mine in ours) < 1e-3


@pytest.mark.parametrize(("axes", "words"), [("RLS", "RLS"), ("RA", "RA"), ("XYZ", "XYZ")])
def test_axes_that_are_none_are_refused(axes, words):
    with pytest.raises(InputError, match=words):
        check_axes(axes, 3)


def test_a_file_without_orientation_stays_and_another_plane_is_refused(tmp_path):
    assert placement((4, 5), axes="IL").order == (0, 1)
    nib.save(nib.Nifti1Image(np.zeros((4, 5), np.float32), np.eye(4)), tmp_path / "axial.nii")
    with pytest.raises(InputError, match=r"axial.nii: its axes are RA, which cannot be turned into IL"):
        place_image(tmp_path / "axial.nii", (4, 5), axes="IL")


def test_a_better_spacing_stretches_the_affine():
    place = placement((4, 5), spacing=(2.0, 3.0), affine=np.diag([-1.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(place.affine_on((4, 5)).diagonal(), [-2, 3, 1, 1])
