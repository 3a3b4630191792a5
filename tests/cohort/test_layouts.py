"""The same six cases, laid out as strangers do, come out as the same records."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from segue.cohort import FolderSettings, list_folder, read_folder
from segue.errors import InputError

SHAPE = (12, 10)
HEART, LUNG = 1, 2
BOTH = ("s0_v0 s2_v5", "s0 s2")  # ids and subjects of the first and the last case, where a pattern has both fields


def image_of(i, shape=SHAPE):
    return np.random.default_rng(i).integers(0, 200, shape).astype(np.uint8)


def mask_of(i, shape=SHAPE):
    mask = np.zeros(shape, np.uint8)
    mask[1 : 4 + i % 3, 2:5] = HEART
    mask[7:10, 3 : 6 + i % 2] = LUNG
    return mask


def save(path, array, *, spacing=(1.0, 1.0, 1.0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(array).save(path)
    else:
        nib.save(nib.Nifti1Image(array, np.diag([*spacing, 1.0])), path)


def lay(folder, image, mask, *, count=6, shape=SHAPE):
    """Save each case under the names that `image` and `mask` make of (number, subject)."""
    for i in range(count):
        values = {"i": i, "subject": f"s{i // 2}"}
        save(folder / image.format(**values), image_of(i, shape))
        save(folder / mask.format(**values), mask_of(i, shape))


def check(folder, count=6, structures=None, shape=SHAPE, **how):
    """The records have the images and masks of the cases, in order."""
    records = list(
        read_folder(folder, FolderSettings(structures or {"heart": HEART, "lung": LUNG}, shape, **how))
    )
    assert len(records) == count
    for i, record in enumerate(records):
        np.testing.assert_array_equal(record.image[0], image_of(i, shape))
        for found, label in zip(record.fractions, (HEART, LUNG), strict=True):
            np.testing.assert_array_equal(found, mask_of(i, shape) == label)
    return records


@pytest.mark.parametrize(
    ("image", "mask", "images", "masks", "ids", "subjects"),
    [
        ("images/p{i}.png", "masks/p{i}.nii.gz", None, None, "p0 p5", "p0 p5"),
        ("p{i}_image.png", "p{i}_mask.png", "{name}_image.png", "{name}_mask.png", "p0 p5", "p0 p5"),
        ("p{i}.png", "p{i}_mask.png", "{name}.png", "{name}_mask.png", "p0 p5", "p0 p5"),
        ("im/p{i}_im.png", "p{i}.png", "im/{name}_im", "{name}", "p0 p5", "p0 p5"),
        ("{subject}/v{i}/x.png", "{subject}/v{i}/y.png", "{subject}/{name}/x", "{subject}/{name}/y", *BOTH),
        ("{subject}/v{i}.png", "seg/v{i}.png", "{subject}/{name}.png", "seg/{name}.png", *BOTH),
        ("a/{subject}_v{i}.png", "b/{subject}_v{i}.png", "a/{subject}_{name}", "b/{subject}_{name}", *BOTH),
        ("v{i}/ct.nii.gz", "v{i}/out/z9/seg.nii.gz", "{name}/ct.nii.gz", "{name}/*/*/seg.nii.gz", "v0 v5", "v0 v5"),
    ],
)
def test_patterns(tmp_path, image, mask, images, masks, ids, subjects):
    lay(tmp_path, image, mask)
    (tmp_path / ".hidden_image.png").write_bytes(b"x")
    records = check(tmp_path, images=images, masks=masks)
    assert f"{records[0].id} {records[-1].id}" == ids
    assert f"{records[0].subject} {records[-1].subject}" == subjects


def test_masks_as_one_file_an_organ(tmp_path):
    lay(tmp_path, "images/p{i}.png", "masks/p{i}.png")
    for i in range(6):
        for name, label in (("heart", HEART), ("lung", LUNG)):
            save(tmp_path / "seg" / name / f"p{i}.png", (mask_of(i) == label) * np.uint8(255))
    organs = {name: f"seg/{name}/{{name}}.png" for name in ("heart", "lung")}
    check(tmp_path, structures=organs)
    check(tmp_path, structures={"heart": HEART, "lung": organs["lung"]})
    shutil.rmtree(tmp_path / "masks")
    check(tmp_path, structures=organs, images="images/{name}.png")
    (tmp_path / "seg" / "lung" / "p3.png").unlink()
    with pytest.raises(InputError, match=r"p3\.png: has no mask; add seg/lung/p3\.png"):
        check(tmp_path, structures=organs)


def test_organs_that_overlap_are_refused_or_the_first_ones(tmp_path):
    lay(tmp_path, "images/p{i}.png", "seg/lung/p{i}.png")
    for i in range(6):
        save(tmp_path / "seg" / "heart" / f"p{i}.png", (mask_of(i) == HEART).astype(np.uint8))
    organs = {name: f"seg/{name}/{{name}}.png" for name in ("heart", "lung")}  # the lung's file holds both
    with pytest.raises(InputError, match=r"lung/p0\.png: 9 pixels of lung are also heart; mend .*overlaps: first"):
        check(tmp_path, structures=organs)
    check(tmp_path, structures=organs, overlaps="first")


def test_channels_of_a_pattern(tmp_path):
    lay(tmp_path, "p{i}_t1.png", "p{i}_seg.png")
    for i in range(6):
        save(tmp_path / f"p{i}_t2.png", image_of(i + 50))
    how = {"images": "{name}_{channel}.png", "masks": "{name}_seg.png"}
    records = check(tmp_path, channels=("t1", "t2"), **how)
    assert records[0].image.shape == (2, *SHAPE)
    np.testing.assert_array_equal(records[2].image[1], image_of(52))
    save(tmp_path / "p1_t2.png", image_of(0, (3, 4)))
    with pytest.raises(InputError, match=r"p1_t2\.png: is 3 x 4 pixels, its image 12 x 10; export both on one grid$"):
        check(tmp_path, channels=("t1", "t2"), **how)
    (tmp_path / "p1_t2.png").unlink()
    with pytest.raises(InputError, match=r"p1_t1\.png: has no channel t2"):
        check(tmp_path, channels=("t1", "t2"), **how)


def write_dataset(folder, **content):
    (folder / "dataset.json").write_text(json.dumps(content))


def test_nnunet(tmp_path):
    lay(tmp_path, "imagesTr/c{i}_0000.png", "labelsTr/c{i}.png")
    for i in range(6):
        save(tmp_path / "imagesTr" / f"c{i}_0001.png", image_of(i + 50))
    labels = {"background": 0, "heart": 1, "all": [1, 2]}
    write_dataset(tmp_path, channel_names={"0": "T1", "1": "T2"}, labels=labels, file_ending=".png")
    assert check(tmp_path, layout="nnunet")[0].image.shape == (2, *SHAPE)
    settings = FolderSettings({"all": (1, 2)}, SHAPE, layout="nnunet", channels=("T2",))
    record = next(read_folder(tmp_path, settings))
    np.testing.assert_array_equal(record.image, image_of(50)[None])
    np.testing.assert_array_equal(record.fractions[0], mask_of(0) > 0)
    (tmp_path / "imagesTr" / "c4_0001.png").unlink()
    with pytest.raises(InputError, match=r"c4_0000\.png: has channels 0000; 2 are needed"):
        list_folder(tmp_path, settings)


def test_decathlon(tmp_path):
    shape = (12, 10, 6)
    lay(tmp_path, "imagesTr/c{i}.nii.gz", "labelsTr/c{i}.nii.gz", shape=shape)
    (tmp_path / "imagesTr" / "._c0.nii.gz").write_bytes(b"left by a Mac")
    pairs = [{"image": f"./imagesTr/c{i}.nii.gz", "label": f"./labelsTr/c{i}.nii.gz"} for i in range(6)]
    write_dataset(tmp_path, training=pairs, labels={"0": "background", "1": "L 1"}, modality={"0": "MRI"})
    check(tmp_path, layout="decathlon", shape=shape)
    write_dataset(tmp_path, training=[*pairs, {"image": "./imagesTr/gone.nii.gz", "label": "./labelsTr/c0.nii.gz"}])
    with pytest.raises(InputError, match=r"gone\.nii\.gz: cannot be read"):
        check(tmp_path, layout="decathlon", shape=shape)


def test_modalities_of_the_decathlon_are_the_last_axis(tmp_path):
    shape = (4, 5, 6)
    for i in range(2):
        both = np.stack([image_of(i, shape), image_of(i + 50, shape)], axis=-1)
        save(tmp_path / "imagesTr" / f"c{i}.nii.gz", both)
        save(tmp_path / "labelsTr" / f"c{i}.nii.gz", (image_of(i, shape) > 100).astype(np.uint8))
    pairs = [{"image": f"imagesTr/c{i}.nii.gz", "label": f"labelsTr/c{i}.nii.gz"} for i in range(2)]
    write_dataset(tmp_path, training=pairs, labels={"0": "background", "1": "x"}, modality={"0": "T2", "1": "ADC"})
    for channels in ((), ("ADC", "T2")):
        settings = FolderSettings({"x": 1}, shape, layout="decathlon", channels=channels)
        record = list(read_folder(tmp_path, settings))[1]
        wanted = [image_of(1, shape), image_of(51, shape)]
        np.testing.assert_array_equal(record.image, np.stack(wanted[::-1] if channels else wanted))


def test_bids(tmp_path):
    shape = (12, 10, 6)
    lay(
        tmp_path,
        "sub-{i}/anat/sub-{i}_T1w.nii.gz",
        "derivatives/manual/sub-{i}/anat/sub-{i}_space-T1w_dseg.nii.gz",
        shape=shape,
    )
    save(tmp_path / "sub-9" / "anat" / "sub-9_T1w.nii.gz", image_of(9, shape))  # nobody has drawn it
    assert [record.subject for record in check(tmp_path, layout="bids", shape=shape)] == [f"sub-{i}" for i in range(6)]
    save(tmp_path / "derivatives" / "auto" / "sub-2_dseg.nii.gz", mask_of(2, shape))
    with pytest.raises(InputError, match="is a second segmentation beside"):
        check(tmp_path, layout="bids", shape=shape)
    masks = "derivatives/manual/{subject}/anat/{subject}_space-T1w_dseg"
    shutil.rmtree(tmp_path / "sub-9")
    check(tmp_path, images="{subject}/anat/{subject}_T1w", masks=masks, shape=shape)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"layout": "nnunt"}, "layout: 'nnunt' is not known; did you mean nnunet"),
        ({"layout": "nnunet"}, "does not hold a data set in the layout nnunet; see what it holds with: segue init"),
        ({"images": "{nmae}.png"}, "is not known; did you mean name"),
        ({"images": "x.png"}, "names no case"),
        ({"images": "{name}_{channel}.png"}, "cohort.channels go together"),
        ({"images": "nothing/{name}.png"}, "no file matches cohort.images: nothing"),
        ({"channels": ("t1",)}, "channels: t1 is no channel of the images"),
        ({"masks": "masks/{name}_seg.png"}, r"p0\.png: has no mask; add masks/p0_seg\.png"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(tmp_path, how, message):
    lay(tmp_path, "images/p{i}.png", "masks/p{i}.png")
    with pytest.raises(InputError, match=message) as error:
        check(tmp_path, **how)
    assert "\n" not in str(error.value)
