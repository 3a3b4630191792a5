"""What is written is what was given, in every format; writing again changes nothing."""

import hashlib
import math

import nibabel
import numpy as np
import pytest
import zarr
from PIL import Image

from segue.cohort.case import Case
from segue.errors import InputError
from segue.generation.output import FileOutput, ZarrOutput, check_files, create_store, remove_partial_files

SIZE = (4, 6)


def cases(*names: str) -> list[Case]:
    affine = np.array([[0, 0.5, 0, -10], [-2, 0, 0, 20], [0, 0, 1, 5], [0, 0, 0, 1.0]])
    return [Case(name, np.zeros((1, *SIZE), np.float32), (2.0, 0.5), affine) for name in names]


def images(requests: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 90, size=(requests, 1, *SIZE)).astype(np.float32)


@pytest.fixture
def store(tmp_path) -> ZarrOutput:
    """Of 5 images with at most 3 requests each, in shards of 2."""
    path = tmp_path / "counterfactuals.zarr"
    create_store(path, images=5, requests=3, shard=2, channels=1, size=SIZE, about={"unit": "px"})
    return ZarrOutput(path, shard=2)


def contents(folder) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_store_holds_what_was_written_and_nan_elsewhere(store, tmp_path):
    store.write(0, [1], cases("b"), [images(3, 1)])
    store.write(2, [4], cases("e"), [images(2, 4)])
    array = zarr.open_group(store.path, mode="r")["images"]
    assert array.shape == (5, 3, 1, *SIZE) and array.dtype == np.float32 and math.isnan(array.fill_value)
    expected = np.full(array.shape, np.nan, np.float32)
    expected[1], expected[4, :2] = images(3, 1), images(2, 4)
    np.testing.assert_array_equal(array[:], expected)


def test_no_two_shards_write_one_file(store):
    before: dict[str, str] = contents(store.path)
    for shard, places in ((1, [2, 3]), (0, [0, 1]), (2, [4])):
        store.write(shard, places, cases(*"ab")[: len(places)], [images(3, place) for place in places])
        after = contents(store.path)
        assert len(after) == len(before) + 1 and before.items() <= after.items()
        before = after


def test_writing_a_shard_again_even_over_a_damaged_file_leaves_the_same(store):
    store.write(1, [2, 3], cases(*"cd"), [images(3, 2), images(3, 3)])
    once = contents(store.path)
    (file,) = (path for path in (store.path / "images" / "c").rglob("*") if path.is_file())
    file.write_bytes(file.read_bytes()[:100])
    store.write(1, [2, 3], cases(*"cd"), [images(3, 2), images(3, 3)])
    assert contents(store.path) == once


def test_nifti_files_hold_the_values_and_the_geometry(tmp_path):
    output = FileOutput(tmp_path, format="nifti", usual=(0.0, 255.0))
    output.write(0, [0], cases("a"), [images(2, 0)])
    once = contents(tmp_path)
    assert list(once) == ["a_0000.nii.gz", "a_0001.nii.gz"]
    for request, expected in enumerate(images(2, 0)):
        written = nibabel.load(tmp_path / f"a_{request:04d}.nii.gz")
        np.testing.assert_array_equal(np.asarray(written.dataobj), expected[0])
        np.testing.assert_array_equal(output.stored(expected), expected[0])
        np.testing.assert_allclose(written.affine, cases("a")[0].affine)
        assert written.header.get_zooms() == pytest.approx((2.0, 0.5))
    output.write(0, [0], cases("a"), [images(2, 0)])
    assert contents(tmp_path) == once


@pytest.mark.parametrize(("bits", "top", "kind"), [(8, 255, np.uint8), (16, 65535, np.uint16)])
def test_png_files_are_rounded_and_clipped(tmp_path, bits, top, kind):
    output = FileOutput(tmp_path, format="png", usual=(0.0, float(top)))
    values = np.tile(images(1, 0).clip(None, 250), (1, 1, 8, 8))  # a spot that is too bright is no reason for 16 bits
    values[0, 0, 0, :3] = -5, 3e5, 41.6
    output.write(0, [0], cases("a"), [values])
    written = np.asarray(Image.open(tmp_path / "a_0000.png"))
    assert written.dtype == kind and written[0, :3].tolist() == [0, top, 42]
    np.testing.assert_array_equal(written, np.rint(np.minimum(np.maximum(values[0, 0], 0), top)))
    np.testing.assert_array_equal(output.stored(values[0]), written)


def test_what_files_cannot_hold_is_refused():
    with pytest.raises(InputError, match="3 axes"):
        check_files(["a"], "png", channels=1, dims=3)
    with pytest.raises(InputError, match="one channel"):
        check_files(["a"], "nifti", channels=2, dims=2)
    with pytest.raises(InputError, match=r"'../a' is not a file's name"):
        check_files(["b", "../a"], "nifti", channels=1, dims=3)
    check_files(["a.b", "c"], "nifti", channels=1, dims=3)


def test_the_litter_of_killed_writers_is_swept(store, tmp_path):
    store.write(0, [0], cases("a"), [images(3, 0)])
    (tmp_path / "images").mkdir()
    kept = contents(tmp_path)
    (store.path / "images" / "c" / "0" / "x.0a.partial").write_bytes(b"half")
    (tmp_path / "images" / ".partial-0123abcd-a_0000.png").write_bytes(b"half")
    remove_partial_files(tmp_path)
    assert contents(tmp_path) == kept
