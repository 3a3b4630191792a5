import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from segue.anatomy import LabelMapPartition, Partition, make_partition
from segue.errors import InputError

LABELS = np.zeros((8, 12), np.uint8)
LABELS[:4, :6], LABELS[:4, 6:], LABELS[4:, 3:] = 1, 2, 3
REGIONS = ("a", "b", "c")


def write(path, labels):
    if path.suffix == ".png":
        Image.fromarray(labels).save(path)
    elif path.suffix == ".npy":
        np.save(path, labels)
    else:
        nibabel.save(nibabel.Nifti1Image(labels[..., None], np.eye(4)), path)


@pytest.mark.parametrize("name", ["map.png", "map.npy", "map.nii", "map.nii.gz"])
def test_files_give_back_the_map(tmp_path, name):
    write(tmp_path / name, LABELS)
    part = make_partition("label_map", regions=REGIONS, file=tmp_path / name)
    assert isinstance(part, Partition)
    weights = part.weights(part.frame(torch.zeros(2, 8, 12, dtype=torch.float64)), (8, 12))
    assert weights.dtype == torch.float64 and weights.shape == (2, 3, 8, 12)
    for i in range(3):
        np.testing.assert_array_equal(weights[1, i], i + 1 == LABELS)


def test_a_coarse_pixel_gets_each_labels_share_of_its_area(tmp_path):
    write(tmp_path / "map.npy", LABELS)
    part = LabelMapPartition(regions=REGIONS, file=tmp_path / "map.npy")
    weights = part.weights(torch.zeros(1, 0), (2, 3))[0]
    # Blocks of 4 x 4: the middle one above is half a, half b; the left one below a quarter c.
    assert weights[:, 0, 1].tolist() == [0.5, 0.5, 0]
    assert weights[:, 1, 0].tolist() == [0, 0, 0.25]


def test_three_dimensions(tmp_path):
    volume = np.repeat(LABELS[..., None], 5, axis=2)
    np.save(tmp_path / "map.npy", volume)
    part = make_partition("label_map", regions=REGIONS, file=tmp_path / "map.npy")
    assert part.weights(torch.zeros(1, 0), (8, 12, 5)).sum() == (volume > 0).sum()
    with pytest.raises(InputError, match="3 axes"):
        part.weights(torch.zeros(1, 0), (8, 12))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("map.npy", np.array([[0, 1], [2, 4]]), "label 4"),
        ("map.npy", np.array([[0, 1], [2, 2]]), "label 3"),
        ("map.npy", np.array([[0.5, 1], [2, 3]]), "whole-number labels"),
        ("map.npy", np.array([[0, {}]], dtype=object), "cannot be decoded"),
        ("map.png", b"not an image", "cannot be decoded"),
        ("map.nii", b"not an image", "cannot be decoded"),
        ("map.txt", b"1 2 3", "convert it to PNG, NIfTI, DICOM"),
        ("map.png", None, "no such file"),
    ],
)
def test_bad_files_are_named_in_one_line(tmp_path, name, content, words):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(InputError, match=words) as caught:
        make_partition("label_map", regions=REGIONS, file=path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
