"""Images and masks that lie differently: turned, refused or resampled, against SimpleITK and nibabel."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from segue.cohort import FolderSettings, Store, read_folder, write_store
from segue.cohort.alignment import aligned
from segue.cohort.io import Pixels, decode_image, decode_labels
from segue.errors import InputError

SIZE = (20, 20)
ROWS, COLUMNS = np.mgrid[:20, :20]
DRAWN = (((ROWS - 5) ** 2 + (COLUMNS - 13) ** 2) < 16).astype(np.uint8)
"""A disc in the upper right of a square picture."""


def folders(root, kinds=("images", "masks")):
    for kind in kinds:
        (root / kind).mkdir(parents=True, exist_ok=True)
    return root


def read(root, **more):
    return list(read_folder(root, FolderSettings({"disc": 1}, SIZE, **more)))


def save(path, array, affine):
    nib.save(nib.Nifti1Image(array, affine), path)


def test_a_mask_that_simpleitk_wrote_of_a_picture_lies_on_the_picture(tmp_path):
    folders(tmp_path)
    Image.fromarray(DRAWN * np.uint8(200)).save(tmp_path / "images" / "a.png")
    picture = sitk.ReadImage(tmp_path / "images" / "a.png")
    mask = sitk.Cast(picture > 100, sitk.sitkUInt8)  # as ITK-SNAP and 3D Slicer do it: x is the first axis
    sitk.WriteImage(mask, tmp_path / "masks" / "a.nii.gz")
    (record,) = read(tmp_path)
    np.testing.assert_array_equal(record.fractions[0], DRAWN)
    np.testing.assert_array_equal(record.image[0], 200.0 * DRAWN)


def test_a_mask_of_a_picture_that_may_be_turned_is_refused(tmp_path):
    folders(tmp_path)
    Image.fromarray(DRAWN).save(tmp_path / "images" / "a.png")
    save(tmp_path / "masks" / "a.nii.gz", DRAWN, np.eye(4))
    with pytest.raises(InputError, match=r"masks/a.nii.gz: the mask has the axes RA, the image does not say"):
        read(tmp_path)


def test_a_mask_of_an_oblong_picture_can_lie_in_one_way_only(tmp_path):
    folders(tmp_path)
    oblong = DRAWN[:, 4:]
    Image.fromarray(oblong).save(tmp_path / "images" / "a.png")
    save(tmp_path / "masks" / "a.nii.gz", oblong, np.eye(4))
    (record,) = list(read_folder(tmp_path, FolderSettings({"disc": 1}, oblong.shape)))
    np.testing.assert_array_equal(record.fractions[0], oblong)
    save(tmp_path / "masks" / "a.nii.gz", oblong.T.copy(), np.eye(4))
    with pytest.raises(InputError, match="axes RA"):
        read(tmp_path)


@pytest.mark.parametrize("codes", ["LAS", "PRS", "AIL", "SPR"])
def test_a_mask_in_other_axes_is_turned_to_its_image(codes):
    volume, affine = np.random.default_rng(0).integers(0, 4, (4, 5, 6)), np.diag([1.0, 2.0, 3.0, 1.0])
    image = nib.Nifti1Image(volume.astype(np.int16), affine)
    goal = nib.orientations.axcodes2ornt(tuple(codes))
    other = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(affine), goal))
    mask = Pixels(np.asarray(other.dataobj), tuple(map(float, other.header.get_zooms())), None, other.affine)
    found = aligned(Path("mask.nii"), mask, Pixels(volume, (1.0, 2.0, 3.0), None, affine))
    np.testing.assert_array_equal(found.array, volume)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 1.2}, "has pixels of 1.2 x 1.2 mm, its image 1 x 1"),
        ({"move": 3.0}, r"lies 3 mm \(3 pixels\) away from its image; .* cohort.resample_masks: true"),
        ({"crop": 2}, "is 18 x 20 pixels, its image 20 x 20"),
    ],
)
def test_a_mask_on_another_grid_is_refused(tmp_path, change, words):
    folders(tmp_path)
    save(tmp_path / "images" / "a.nii", DRAWN.astype(np.float32), np.eye(4))
    affine = np.diag([change.get("scale", 1)] * 2 + [1, 1.0])
    affine[0, 3] = change.get("move", 0)
    save(tmp_path / "masks" / "a.nii", DRAWN[change.get("crop", 0) :], affine)
    with pytest.raises(InputError, match=words):
        read(tmp_path)


def test_rounded_headers_are_no_difference(tmp_path):
    folders(tmp_path)
    save(tmp_path / "images" / "a.nii", DRAWN.astype(np.float32), np.diag([0.48828125, 0.48828125, 1, 1]))
    save(tmp_path / "masks" / "a.nii", DRAWN, np.diag([0.488, 0.488, 1, 1]))
    (record,) = read(tmp_path)
    np.testing.assert_array_equal(record.fractions[0], DRAWN)


def test_a_mask_is_resampled_as_simpleitk_resamples_it(tmp_path):
    folders(tmp_path)
    image = sitk.GetImageFromArray(np.zeros((6, 12, 10), np.float32))
    image.SetSpacing((1.0, 1.5, 2.0))
    mask = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 3, (7, 11, 9)).astype(np.uint8))
    mask.SetSpacing((1.1, 1.3, 1.9))
    mask.SetOrigin((0.63, 1.17, 0.41))
    sitk.WriteImage(image, tmp_path / "images" / "a.nii.gz")
    sitk.WriteImage(mask, tmp_path / "masks" / "a.nii.gz")
    theirs = sitk.GetArrayFromImage(sitk.Resample(mask, image, sitk.Transform(), sitk.sitkNearestNeighbor)).T
    ours = aligned(
        tmp_path / "masks" / "a.nii.gz",
        decode_labels(tmp_path / "masks" / "a.nii.gz"),
        decode_image(tmp_path / "images" / "a.nii.gz", 3),
        resample=True,
    )
    assert np.mean(ours.array == theirs) > 0.9  # ITK counts half a pixel beyond the mask's border as inside
    assert np.array_equal(ours.array[2:-2, 2:-2, 1:-1], theirs[2:-2, 2:-2, 1:-1])


def orientations(root, flips):
    """One picture, stored from either side."""
    folders(root)
    for i, back in enumerate(flips):
        for kind, array in (("images", DRAWN * np.float32(100)), ("masks", DRAWN)):
            image = nib.Nifti1Image(array[..., None], np.diag([0.5, 0.5, 1, 1]))
            turned = image.as_reoriented(np.array([[0, -1 if back else 1], [1, 1], [2, 1]]))
            nib.save(turned, root / kind / f"p{i}.nii.gz")
    return root


def test_a_cohort_of_two_orientations_is_refused_with_the_counts(tmp_path):
    records = read(orientations(tmp_path / "c", [False, False, False, True]))
    store = {"structures": ("disc",), "size": SIZE, "split": {"test": 1.0}, "seed": 0}
    with pytest.raises(InputError, match=r"RA: 3 images, LA: 1\); give cohort.axes: RA"):
        write_store(tmp_path / "store", records, **store)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("axes", ["RA", "PL"])
def test_axes_turn_images_and_masks(tmp_path, axes):
    records = read(orientations(tmp_path / "c", [False, True, True]), axes=axes)
    expected = DRAWN if axes == "RA" else DRAWN.T[::-1, ::-1]
    for record in records:
        np.testing.assert_array_equal(record.image[0], 100 * expected)
        np.testing.assert_array_equal(record.fractions[0], expected)
    store = {"structures": ("disc",), "size": SIZE, "split": {"test": 1.0}, "seed": 0}
    write_store(tmp_path / "store", records, **store)
    assert Store(tmp_path / "store").axes == axes


def test_pictures_are_in_the_axes_that_the_study_states(tmp_path):
    folders(tmp_path)
    for kind in ("images", "masks"):
        Image.fromarray(DRAWN).save(tmp_path / kind / "a.png")
    (stated,), (stored,) = read(tmp_path, axes="IL"), read(tmp_path)
    np.testing.assert_array_equal(stated.image, stored.image)
    assert (stated.axes, stored.axes) == ("IL", "rows, columns")
