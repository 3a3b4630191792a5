import gzip
import os
import shutil

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from segue.cli import main
from segue.cohort import FolderSettings, list_folder, read_folder, read_image
from segue.errors import InputError

STRUCTURES = {"heart": 3, "lung": 7}


def save_png(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def save_nifti(path, array, spacing, unit="mm", flip=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    zooms = (*spacing, 1.0, 1.0)[:3]
    image = nib.Nifti1Image(array, np.diag([-zooms[0] if flip else zooms[0], *zooms[1:], 1]))
    image.header.set_zooms(spacing)
    image.header.set_xyzt_units(xyz=unit)
    nib.save(image, path)


def pixels(seed, shape=(8, 12), top=256, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, top, shape).astype(dtype)


def labels(seed, shape=(8, 12)):
    return np.random.default_rng(seed).choice(np.array([0, 3, 5, 7], np.uint8), shape)


@pytest.fixture
def folder(tmp_path):
    """Six PNG pairs of three patients."""
    for i in range(6):
        save_png(tmp_path / "images" / f"patient{i // 2}_slice{i}.png", pixels(i))
        save_png(tmp_path / "masks" / f"patient{i // 2}_slice{i}.png", labels(i))
    return tmp_path


def read(folder, structures=STRUCTURES, size=(4, 6), **kwargs):
    return list(read_folder(folder, FolderSettings(structures, size, **kwargs)))


def write_table(folder, columns, rows=None):
    rows = rows or [
        [f"patient{i // 2}_slice{i}", *(f"{10 * i + j}" for j in range(columns.count(",")))] for i in range(6)
    ]
    (folder / "table.csv").write_text("\n".join([columns, *(",".join(row) for row in rows)]))


def test_images_are_block_means_and_masks_block_fractions(folder):
    records = read(folder)
    assert [record.id for record in records] == [f"patient{i // 2}_slice{i}" for i in range(6)]
    for i, record in enumerate(records):
        blocks = pixels(i).reshape(4, 2, 6, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(record.image[0], blocks, rtol=1e-6)
        for fraction, label in zip(record.fractions, STRUCTURES.values(), strict=True):
            np.testing.assert_allclose(fraction, (labels(i) == label).reshape(4, 2, 6, 2).mean(axis=(1, 3)))
        assert record.spacing is None and record.covariates == {} and record.subject == record.id


@pytest.mark.parametrize(
    ("pattern", "subject"), [(r"patient\d", "patient2"), (r"patient(\d)", "2"), (None, "patient2_slice5")]
)
def test_subject_from_the_name(folder, pattern, subject):
    assert read(folder, subject_pattern=pattern)[-1].subject == subject


def test_table_gives_subject_spacing_and_covariates(folder):
    rows = [[f"patient{i // 2}_slice{i}", f"00{i}", "0.5", "2.0", f"{60 + i}.5"] for i in range(6)]
    write_table(
        folder, "name,subject,spacing_0,spacing_1,age", [*rows, ["someone_else", "9", "1", "1", "none"]]
    )
    records = read(folder, subject_pattern="ignored", covariates=("age",))
    assert [record.subject for record in records] == [f"00{i}" for i in range(6)]
    assert [record.covariates for record in records] == [{"age": 60.5 + i} for i in range(6)]
    assert all(record.spacing == (1.0, 4.0) for record in records)


def test_listing_decodes_nothing(folder):
    for path in (folder / "images").iterdir():
        path.write_bytes(b"not an image")
    cases = list_folder(folder, FolderSettings(STRUCTURES, (4, 6), subject_pattern=r"patient\d"))
    assert [case.subject for case in cases] == ["patient0"] * 2 + ["patient1"] * 2 + ["patient2"] * 2


def test_one_image_is_read_at_a_time(folder):
    records = read_folder(folder, FolderSettings(STRUCTURES, (4, 6)))
    next(records)
    (folder / "images" / "patient0_slice1.png").write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"patient0_slice1"):
        next(records)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shape", [(8, 12), (8, 12, 1)])
def test_nifti_slices(tmp_path, suffix, shape):
    image = pixels(0, shape, 3000, np.int16) - np.int16(1000)
    spacing = (0.5, 0.75, 8.0)[: len(shape)]
    save_nifti(tmp_path / "images" / f"a{suffix}", image, spacing)
    save_nifti(tmp_path / "masks" / f"a{suffix}", labels(0, shape).astype(np.float32), spacing)
    (record,) = read(tmp_path)
    np.testing.assert_allclose(record.image[0], image.reshape(4, 2, 6, 2).mean(axis=(1, 3)), rtol=1e-6)
    assert record.spacing == pytest.approx((1.0, 1.5))


@pytest.mark.parametrize(("unit", "mm"), [("mm", 1.0), ("micron", 1e-3), ("unknown", 1.0)])
def test_volumes_keep_their_volume(tmp_path, unit, mm):
    mask = labels(0, (5, 6, 7))
    save_nifti(tmp_path / "images" / "a.nii.gz", pixels(0, (5, 6, 7)), (1, 2, 3), unit)
    save_nifti(tmp_path / "masks" / "a.nii.gz", mask, (1, 2, 3), unit)
    (record,) = read(tmp_path, size=(3, 4, 5))
    volume = record.fractions.sum(axis=(1, 2, 3), dtype=np.float64) * np.prod(record.spacing)
    assert volume == pytest.approx([6 * mm**3 * (mask == label).sum() for label in (3, 7)])


def test_png_of_every_kind(tmp_path):
    grey = pixels(0)
    save_png(tmp_path / "grey.png", grey)
    save_png(tmp_path / "colour.png", np.stack([grey] * 3, axis=-1))
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    for name in ("grey", "colour", "palette"):
        image, spacing = read_image(tmp_path / f"{name}.png", (8, 12))
        assert image.shape == (1, 8, 12) and image.dtype == np.float32 and spacing is None
        np.testing.assert_array_equal(image[0], grey)
    deep = pixels(0, top=65536, dtype=np.uint16)
    save_png(tmp_path / "deep.png", deep)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png", (8, 12))[0][0], deep)
    red = np.zeros((8, 12, 3), np.uint8)
    red[..., 0] = 255
    save_png(tmp_path / "red.png", red)
    np.testing.assert_allclose(read_image(tmp_path / "red.png", (1, 1))[0], 0.299 * 255, atol=0.5)


def test_palette_masks_hold_their_indices(folder):
    for i, path in enumerate(sorted((folder / "masks").iterdir())):
        image = Image.fromarray(labels(i)).convert("P")
        image.putdata(labels(i).ravel().tolist())
        image.putpalette([value for index in range(8) for value in (index * 30, 9, 9)])
        image.save(path)
    np.testing.assert_allclose(read(folder)[0].fractions.mean(axis=(1, 2))[0], (labels(0) == 3).mean())


NAME = "patient1_slice3"


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def to_nifti(folder, image=None, flip=False, damage=None):
    for part, array in (
        ("images", pixels(0, dtype=np.int16) if image is None else image),
        ("masks", labels(0)),
    ):
        (folder / part / f"{NAME}.png").unlink()
        save_nifti(
            folder / part / f"{NAME}.nii.gz", array, (1.0,) * array.ndim, flip=flip and part == "masks"
        )
    if damage:
        damage(folder / "images" / f"{NAME}.nii.gz")


def scramble(path):
    path.write_bytes(gzip.compress(b"\x00" * 400))


BAD_FOLDERS = {
    "does not hold images/": lambda f: shutil.rmtree(f / "images"),
    "images/patient0_slice0.png: has no mask": lambda f: shutil.rmtree(f / "masks"),
    "images: holds no images": lambda f: [path.unlink() for path in (f / "images").iterdir()],
    f"images/{NAME}.png: has no mask": lambda f: (f / "masks" / f"{NAME}.png").unlink(),
    f"masks/{NAME}.png: has no image": lambda f: (f / "images" / f"{NAME}.png").unlink(),
    f"images/{NAME}.png: the file is empty": lambda f: (f / "images" / f"{NAME}.png").write_bytes(b""),
    f"{NAME}.png: has the same name as {NAME}.nii.gz": lambda f: (
        f / "images" / f"{NAME}.nii.gz"
    ).write_bytes(b"x"),
    "table.csv: has no row for 'patient0_slice0'": lambda f: write_table(f, "name,subject", [["a", "1"]]),
    "table.csv: has no column 'name'": lambda f: write_table(f, "age,sex", [["1", "2"]]),
    "table.csv: has several rows for 'patient0_slice0'": lambda f: write_table(
        f, "name,subject", [["patient0_slice0", "1"], ["patient0_slice0.png", "2"]]
    ),
    f"images/{NAME}.png: is a link to ../.git/annex/x, which is not there": lambda f: (
        (f / "images" / f"{NAME}.png").unlink(),
        (f / "images" / f"{NAME}.png").symlink_to("../.git/annex/x"),
    ),
    "table.csv: has spacing_0 alone": lambda f: write_table(f, "name,spacing_0"),
    "table.csv: the spacing of 'patient0_slice0'": lambda f: write_table(f, "name,spacing_0,spacing_1"),
    "table.csv: is not a CSV table": lambda f: (f / "table.csv").write_bytes(b""),
}

BAD_FILES = {
    f"images/{NAME}.png: cannot be decoded": lambda f: truncate(f / "images" / f"{NAME}.png"),
    f"masks/{NAME}.png: cannot be decoded": lambda f: (f / "masks" / f"{NAME}.png").write_bytes(b"GIF"),
    f"masks/{NAME}.png: is 7 x 12 pixels, its image 8 x 12": lambda f: save_png(
        f / "masks" / f"{NAME}.png", labels(0, (7, 12))
    ),
    f"masks/{NAME}.png: is in colour": lambda f: save_png(f / "masks" / f"{NAME}.png", pixels(0, (8, 12, 3))),
    f"images/{NAME}.nii.gz: cannot be decoded": lambda f: to_nifti(f, damage=truncate),
    f"images/{NAME}.nii.gz: cannot be decoded (": lambda f: to_nifti(f, damage=scramble),
    f"images/{NAME}.nii.gz: holds values that are not finite": lambda f: to_nifti(
        f, np.full((8, 12), np.nan, np.float32)
    ),
    f"images/{NAME}.nii.gz: has 3 axes": lambda f: to_nifti(f, np.zeros((8, 12, 2), np.int16)),
    f"masks/{NAME}.nii.gz: lies": lambda f: to_nifti(f, flip=True),
}


@pytest.mark.parametrize("message", BAD_FOLDERS)
def test_a_bad_folder_is_refused_at_the_call(folder, message):
    BAD_FOLDERS[message](folder)
    with pytest.raises(InputError) as caught:
        read_folder(folder, FolderSettings(STRUCTURES, (4, 6)))
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("message", BAD_FILES)
def test_a_bad_file_is_refused_when_it_is_read(folder, message):
    BAD_FILES[message](folder)
    records = read_folder(folder, FolderSettings(STRUCTURES, (4, 6)))
    assert [next(records).id for _ in range(3)] == ["patient0_slice0", "patient0_slice1", "patient1_slice2"]
    with pytest.raises(InputError) as caught:
        next(records)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subject_pattern": "("}, "is not a regular expression"),
        ({"subject_pattern": "child"}, "patient0_slice0.png: subject_pattern 'child' finds no subject"),
        ({"subject_pattern": "patient(9)?"}, "finds no subject"),
        ({"covariates": ("age",)}, "table.csv: no such file, but covariate 'age'"),
        ({"size": (4,)}, r"size: \[4\] is not a grid"),
        ({"size": (0, 4)}, "size:"),
        ({"size": (4, 6, 2)}, "patient0_slice0.png: has 2 axes .* size has 3 entries"),
        ({"structures": {}}, "structures: none"),
        ({"structures": {"heart": 0}}, "other than 0"),
        ({"structures": {"heart": 1, "lung": 1}}, "each its own"),
        ({"structures": {"heart": 3, "liver": 4}}, r"masks: no mask holds structure 'liver' \(label 4\)"),
    ],
)
def test_bad_arguments_are_refused(folder, arguments, message):
    with pytest.raises(InputError, match=message):
        read(folder, **arguments)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("sex", "1", "no column for covariate 'age'"),
        ("age", "old", "'age' of .* is 'old'"),
        ("age", "1_0", "'age' of .* is '1_0'"),
        ("age", "", "is ''"),
        ("age", "inf", "'inf'"),
    ],
)
def test_bad_covariates_are_refused(folder, column, value, message):
    write_table(folder, f"name,{column}", [[f"patient{i // 2}_slice{i}", value] for i in range(6)])
    with pytest.raises(InputError, match=message):
        read(folder, covariates=("age",))


def test_a_decompression_bomb_is_one_line(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(InputError, match=r"too many pixels"):
        read_image(folder / "images" / f"{NAME}.png", (4, 6))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)  # within twice the limit there is but a warning
    read_image(folder / "images" / f"{NAME}.png", (4, 6))


@pytest.mark.parametrize(("name", "message"), [("none.png", "no such file"), ("photo.bmp", "not a format")])
def test_a_single_image_that_cannot_be_read(tmp_path, name, message):
    (tmp_path / "photo.bmp").write_bytes(b"x")
    with pytest.raises(InputError, match=message):
        read_image(tmp_path / name, (4, 6))


def test_an_absent_structure_is_refused_before_the_last_record(folder):
    records = read_folder(folder, FolderSettings({"heart": 3, "liver": 4}, (4, 6)))
    with pytest.raises(InputError, match=r"'liver'"):
        for _ in range(6):
            next(records)


def save_masks(folder, values):
    """Masks of these labels, one an image."""
    for path, held in zip(sorted((folder / "masks").iterdir()), values, strict=True):
        mask = np.zeros((8, 12), np.uint8)
        mask[0, : len(held)] = held
        save_png(path, mask)


def test_a_mask_of_another_convention_is_refused(folder):
    save_masks(folder, [[3], [3], [255], [3], [255], [3]])
    with pytest.raises(InputError, match=r"patient1_slice2\.png: holds label 255 and none .*\(3\) \(so do 1 more"):
        read(folder, {"heart": 3})
    assert len(read(folder, {"heart": 3}, background=(255,))) == 6


def test_an_unknown_label_that_is_met_beside_known_ones_is_background(folder):
    save_masks(folder, [[3, 9], [3], [9], [], [9], [3]])
    assert [bool(record.fractions.any()) for record in read(folder, {"heart": 3})] == [1, 1, 0, 0, 0, 1]


def test_several_labels_may_be_one_structure(folder):
    (record, *_) = read(folder, {"chest": (3, 7)})
    np.testing.assert_allclose(record.fractions.mean(), np.isin(labels(0), (3, 7)).mean(), rtol=1e-6)


def test_a_table_of_which_nothing_is_used_need_not_be_whole(folder):
    write_table(folder, "name,age", [["patient0_slice0", "1"], ["patient0_slice0", "2"]])
    assert len(read(folder)) == 6


def test_a_name_that_is_no_text_is_refused(tmp_path, capsys):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        save_png(tmp_path / kind / "p.png", np.ones((4, 4), np.uint8))
        os.rename(tmp_path / kind / "p.png", tmp_path / kind / "p\udcff.png")
    with pytest.raises(InputError, match="its name is not in UTF-8; rename it"):
        list_folder(tmp_path, FolderSettings({"heart": 1}, (4, 4)))
    assert main(["variables", "no\udcffwhere"]) == 2 and "no\\udcffwhere" in capsys.readouterr().err
