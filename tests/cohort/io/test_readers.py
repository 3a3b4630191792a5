"""What every file format has to do, and what it takes to add one."""

import gzip

import nibabel
import numpy as np
import pytest
from dicom_file import write_dicom
from PIL import Image

from segue.cohort.io import (
    READERS,
    Pixels,
    Reader,
    decode_image,
    decode_labels,
    reader_of,
    split_suffix,
    suffix_by_content,
)
from segue.errors import InputError

LABELS = np.array([[0, 1, 2], [3, 3, 0]], np.uint8)


def nifti2(path):
    nibabel.save(nibabel.Nifti2Image(LABELS, np.eye(4)), path)


def swapped(path):
    image = nibabel.Nifti1Image(LABELS, np.eye(4), nibabel.Nifti1Header(endianness=">"))
    nibabel.save(image, path)


WRITERS = {
    "a.png": lambda path: Image.fromarray(LABELS).save(path),
    "a.nii": lambda path: nibabel.save(nibabel.Nifti1Image(LABELS, np.eye(4)), path),
    "a.nii.gz": lambda path: nibabel.save(nibabel.Nifti1Image(LABELS, np.eye(4)), path),
    "two.nii": nifti2,
    "swapped.nii": swapped,
    "a.dcm": lambda path: write_dicom(path, LABELS, RescaleSlope=1, RescaleIntercept=0),
    "a.npy": lambda path: np.save(path, LABELS),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_known_by_content_and_its_header_tells_its_shape(tmp_path, name):
    WRITERS[name](tmp_path / name)
    reader = reader_of(tmp_path / name)
    assert suffix_by_content(tmp_path / name) == split_suffix(name)[1] != ""
    assert reader.shape(tmp_path / name) == LABELS.shape
    np.testing.assert_array_equal(decode_labels(tmp_path / name).array, LABELS)


def test_what_is_no_image_is_refused_by_name(tmp_path):
    (tmp_path / "b.txt").write_text("text")
    assert suffix_by_content(tmp_path / "b.txt") == ""
    with pytest.raises(InputError, match=r"b\.txt: not a format that is read; convert it to PNG, NIfTI, DICOM, JPEG"):
        decode_image(tmp_path / "b.txt", 2)


def test_a_compressed_file_is_unknown_where_its_format_is_not_stored_so(tmp_path):
    WRITERS["a.png"](tmp_path / "a.png")
    (tmp_path / "a.gz").write_bytes(gzip.compress((tmp_path / "a.png").read_bytes()))
    assert suffix_by_content(tmp_path / "a.gz") == ""


def test_a_new_format_is_one_reader(tmp_path):
    def read(path, *, labels):
        return Pixels(np.loadtxt(path, skiprows=1, dtype=int if labels else float, ndmin=2))

    text = Reader("text", (".txt",), lambda head: head.startswith(b"grey"), lambda path: (2, 3), read)
    np.savetxt(tmp_path / "a.txt", LABELS, fmt="%d", header="grey", comments="")
    readers = (*READERS, text)
    assert suffix_by_content(tmp_path / "a.txt", readers) == ".txt"
    np.testing.assert_array_equal(decode_labels(tmp_path / "a.txt", 2, readers=readers).array, LABELS)
    with pytest.raises(InputError, match=r"a\.txt: not a format that is read"):
        decode_labels(tmp_path / "a.txt", 2)
