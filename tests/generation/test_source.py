"""Where images are on the study's grid, and what geometry goes with them."""

import nibabel
import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from segue.cohort import Record, write_store
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity
from segue.engine.model import Model
from segue.errors import InputError
from segue.generation.source import open_source
from segue.mechanisms.hvae import HVAEMechanism


@pytest.fixture
def model(parents) -> Model:
    """Of 8 x 32 images, in mm2."""
    net = tiny.hvae(context=parents.context_channels("map"))
    grid = Grid(tiny.SIZE, intensity=Intensity((0.0, 255.0)), unit="mm2", pixel_area=0.5)
    return Model(HVAEMechanism(model=net, parents=parents, conditioning="map"), grid, marginal=torch.rand(9, 2))


def write_cohort(path, *, size=tiny.SIZE, channels=1, spacing=(1.0, 0.5)):
    random = np.random.default_rng(0)
    records = [
        Record(
            id=f"case{i}",
            subject=f"case{i}",
            image=random.normal(size=(channels, *size)).astype(np.float32),
            fractions=np.zeros((1, *size), np.float32),
            spacing=spacing,
        )
        for i in range(10)
    ]
    split = {"guide": 0.5, "judge": 0.2, "test": 0.3}
    write_store(path, records, structures=("bar",), size=size, split=split, seed=0)
    return records


def test_a_store_is_read_by_split(model, tmp_path):
    records = {record.id: record for record in write_cohort(tmp_path / "cohort.zarr")}
    whole = open_source(tmp_path / "cohort.zarr", model)
    test = open_source(tmp_path / "cohort.zarr", model, split="test")
    assert whole.ids == list(records) and len(test.ids) == 3 and set(test.ids) < set(whole.ids)
    assert whole.identity() != test.identity()
    for index, id in enumerate(test.ids):
        case = test.read(index)
        assert case.id == id and case.spacing == (1.0, 0.5)
        np.testing.assert_array_equal(case.image, records[id].image)
        np.testing.assert_array_equal(case.affine, np.diag([1, 0.5, 1, 1]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (8, 16)}, r"its size is \[8, 16\], the run's is \[8, 32\]"),
        ({"channels": 2}, "number of channels is 2"),
        ({"spacing": None}, "unit is px, the run's is mm2"),
    ],
)
def test_a_store_of_another_kind_is_refused(model, tmp_path, changes, message):
    write_cohort(tmp_path / "cohort.zarr", **changes)
    with pytest.raises(InputError, match=message):
        open_source(tmp_path / "cohort.zarr", model)


def test_what_is_no_cohort_is_refused(model, tmp_path):
    with pytest.raises(InputError, match="no such cohort"):
        open_source(tmp_path / "nowhere", model)
    with pytest.raises(InputError, match="holds no images"):
        open_source(tmp_path, model)
    with pytest.raises(InputError, match="no splits"):
        open_source(tmp_path, model, split="test")
    write_cohort(tmp_path / "cohort.zarr")
    with pytest.raises(InputError, match="choose from guide, judge, test"):
        open_source(tmp_path / "cohort.zarr", model, split="tset")
    for name in ("a.png", "a.nii"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match="same name"):
        open_source(tmp_path, model)


def test_a_folder_keeps_going_past_a_bad_file(model, tmp_path):
    Image.fromarray(np.full((8, 32), 7, np.uint8)).save(tmp_path / "good.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not an image")
    source = open_source(tmp_path, model)
    assert source.ids == ["empty", "good"]
    assert np.all(source.read(1).image == 7) and source.read(1).spacing is None
    with pytest.raises(InputError, match="empty"):
        source.read(0)


def test_geometry_is_kept_when_the_grid_changes(model, tmp_path):
    # 16 x 64 pixels of 1 x 0.5 mm, turned: rows run along -y, columns along +x.
    affine = np.array([[0, 0.5, 0, -10], [-1, 0, 0, 20], [0, 0, 3, 5], [0, 0, 0, 1.0]])
    (tmp_path / "images").mkdir()
    nibabel.save(nibabel.Nifti1Image(np.ones((16, 64), np.float32), affine), tmp_path / "images" / "a.nii.gz")
    case = open_source(tmp_path, model).read(0)
    assert case.image.shape == (1, *tiny.SIZE) and case.spacing == pytest.approx((2.0, 1.0))
    # Every new pixel covers 2 x 2 old ones: its centre lies between theirs.
    for row, column in ((0, 0), (3, 17), (7, 31)):
        old = affine @ [2 * row + 0.5, 2 * column + 0.5, 0, 1]
        np.testing.assert_allclose(case.affine @ [row, column, 0, 1], old)


def test_the_tables_spacing_goes_before_the_files(model, tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((16, 64), np.float32), np.eye(4)), tmp_path / "a.nii.gz")
    (tmp_path / "table.csv").write_text("name,spacing_0,spacing_1\na,3,5\n")
    case = open_source(tmp_path, model).read(0)
    assert case.spacing == pytest.approx((6.0, 10.0))
    np.testing.assert_allclose(np.diag(case.affine), [6, 10, 1, 1])


def test_a_link_to_nothing_and_a_wrong_row_concern_their_image_alone(model, tmp_path):
    for name in ("a", "b", "c", "d"):
        Image.fromarray(np.zeros(tiny.SIZE, np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").unlink()
    (tmp_path / "b.png").symlink_to("/nowhere/b.png")
    (tmp_path / "table.csv").write_text("name,spacing_0,spacing_1\na,1,1\nb,1,1\nc,1,\n")
    source = open_source(tmp_path, model)
    assert source.ids == ["a", "b", "c", "d"] and len(source.identity()) == 5
    assert source.read(0).spacing == (1.0, 1.0)
    for index, message in ((1, r"b\.png"), (2, "'spacing_1' of 'c' is ''"), (3, "has no row for 'd'")):
        with pytest.raises(InputError, match=message):
            source.read(index)
