"""Small files that are large once they are decoded, and damaged ones that decode to something else."""

import contextlib
import gzip
import io
import struct
import tracemalloc

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from dicom_file import write_dicom
from PIL import Image

from segue.cohort.io import decode_image, decode_labels
from segue.cohort.io.codestream import codestream_shape
from segue.cohort.io.limits import SETTING
from segue.errors import InputError

MB = 1 << 20
BIG = 24  # MB that each bomb holds
ALLOWED = 4  # MB


def nifti_bytes(shape, dtype=np.uint8, extension=b"", claimed=None):
    """A NIfTI file of zeros, with a header extension that claims to have `claimed` bytes."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header["sform_code"] = header["qform_code"] = 1
    header["magic"] = b"n+1"
    header["vox_offset"] = 352 + len(extension)
    if extension:
        size = len(extension) if claimed is None else claimed
        extension = struct.pack("<ii", size, 6) + extension[8:]
    values = bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize)
    return header.binaryblock + bytes([bool(extension), 0, 0, 0]) + extension + values


def deflated_dicom(path):
    """A deflated DICOM file of 16 x 16 pixels, and a private element of zeros."""
    write_dicom(path, np.zeros((16, 16)))
    data = pydicom.dcmread(path)
    data.add_new(0x00090010, "LO", "segue")
    data.add_new(0x00091001, "OB", bytes(BIG * MB))
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)


def larger_codestream(path):
    """A DICOM file of 16 x 16 pixels whose JPEG is of 3000 x 3000."""
    write_dicom(path, np.zeros((16, 16)), BitsAllocated=8, BitsStored=8, HighBit=7)
    stream, data = io.BytesIO(), pydicom.dcmread(path)
    Image.fromarray(np.zeros((3000, 3000), np.uint8)).save(stream, "JPEG")
    data.PixelData = pydicom.encaps.encapsulate([stream.getvalue()])
    data["PixelData"].VR = "OB"
    data.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    data.save_as(path, enforce_file_format=True)


def many_frames(path):
    write_dicom(path, np.zeros((16, 16)), NumberOfFrames=10**9)


def extension_of_nifti(path):
    path.write_bytes(gzip.compress(nifti_bytes((4, 4), extension=bytes(BIG * MB))))


def extension_that_lies(path):
    content = nifti_bytes((4, 4), extension=bytes(32), claimed=BIG * MB)
    path.write_bytes(gzip.compress(content + bytes(BIG * MB)))


def extension_to_the_end(path):
    content = nifti_bytes((4, 4), extension=bytes(32), claimed=-16)
    path.write_bytes(gzip.compress(content + bytes(BIG * MB)))


def values_beyond_the_file(path):
    small, large = (struct.pack("<hh", side, side) for side in (4, 2000))
    path.write_bytes(gzip.compress(nifti_bytes((4, 4)).replace(small, large)))


def more_after_the_values(path):
    path.write_bytes(gzip.compress(nifti_bytes((4, 4)) + bytes(BIG * MB)))


def large_nifti(path):
    path.write_bytes(gzip.compress(nifti_bytes((1024, 1024, BIG))))


def scaled_nifti(path):
    image = nibabel.Nifti1Image(np.zeros((1024, 1024, 2), np.uint8), np.eye(4))
    image.header.set_slope_inter(2.0, 1.0)  # values are then of 8 bytes
    nibabel.save(image, path)


def picture(kind, side=3_000):
    return lambda path: Image.fromarray(np.zeros((side, side), np.uint8)).save(path, format=kind)


def compressed_tiff(path):
    Image.fromarray(np.zeros((3_000, 3_000), np.uint8)).save(path, compression="tiff_adobe_deflate")


def long_line(path):
    Image.fromarray(np.zeros((1, 40_000), np.uint8)).save(path)


def itk_file(path):
    image = SimpleITK.Image([1024, 1024, BIG], SimpleITK.sitkUInt8)
    SimpleITK.WriteImage(image, str(path), useCompression=True)


def sparse_npy(path):
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(1024, 1024, BIG))


BOMBS = {
    "private.dcm": deflated_dicom,
    "frames.dcm": many_frames,
    "codestream.dcm": larger_codestream,
    "extension.nii.gz": extension_of_nifti,
    "lies.nii.gz": extension_that_lies,
    "to-the-end.nii.gz": extension_to_the_end,
    "short.nii.gz": values_beyond_the_file,
    "after.nii.gz": more_after_the_values,
    "large.nii.gz": large_nifti,
    "scaled.nii.gz": scaled_nifti,
    "large.png": picture("PNG"),
    "large.jpg": picture("JPEG"),
    "large.tif": compressed_tiff,
    "line.png": long_line,
    "large.mha": itk_file,
    "large.mhd": itk_file,
    "large.nrrd": itk_file,
    "large.nhdr": itk_file,
    "large.npy": sparse_npy,
}


@pytest.fixture(scope="module")
def bombs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bombs")
    for name, write in BOMBS.items():
        write(folder / name)
    return folder


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_one_line_before_it_takes_memory(bombs, monkeypatch, name):
    monkeypatch.setenv(SETTING, str(ALLOWED))
    size = (bombs / name).stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            decode_image(bombs / name, 2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{bombs / name}: ") and "\n" not in str(caught.value)
    assert peak < 4 * ALLOWED * MB + 2 * size


def test_the_setting_allows_more_and_says_what_it_takes(bombs, monkeypatch):
    with pytest.raises(InputError, match=rf"takes 17 MB once it is decoded, and 8 are allowed; .*{SETTING}"):
        monkeypatch.setenv(SETTING, "8")
        decode_image(bombs / "scaled.nii.gz", 3)
    monkeypatch.setenv(SETTING, "17")
    assert decode_image(bombs / "scaled.nii.gz", 3).array.shape == (1024, 1024, 2)
    for wrong in ("", "0", "-1", "much", "1e9", "9" * 5000, "²"):
        monkeypatch.setenv(SETTING, wrong)
        with pytest.raises(InputError, match=f"{SETTING} is .*give megabytes"):
            decode_image(bombs / "scaled.nii.gz", 3)


def test_a_codestream_says_its_size():
    pictures = {
        "JPEG": codestream_of(Image.fromarray(NOISE), "JPEG"),
        "JPEG2000": codestream_of(Image.fromarray(NOISE), "JPEG2000", no_jp2=True),
    }
    for content in pictures.values():
        assert codestream_shape(content) == NOISE.shape
        for length in range(0, 64):
            with contextlib.suppress(struct.error):  # a cut one is refused as damaged
                assert codestream_shape(content[:length]) in (None, NOISE.shape)


def codestream_of(image, format, **how):
    stream = io.BytesIO()
    image.save(stream, format, **how)
    return stream.getvalue()


def test_an_image_of_no_pixels_is_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((0, 48), np.float32), np.eye(4)), tmp_path / "a.nii")
    np.save(tmp_path / "a.npy", np.zeros((0, 48)))
    for name in ("a.nii", "a.npy"):
        with pytest.raises(InputError, match=r"has the shape \(0, 48\), so no pixels"):
            decode_image(tmp_path / name, 2)


def flips(content, count, first):
    """Copies of a file's bytes, each with one bit turned at places that are spread over it, from `first` on."""
    for place in np.linspace(first, len(content) - 1, count).astype(int):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        yield bytes(damaged)


NOISE = np.random.default_rng(0).integers(0, 200, (24, 24), np.uint8)
CHECKED = {
    "a.nii.gz": (lambda path: nibabel.save(nibabel.Nifti1Image(NOISE, np.eye(4)), path), 10),
    "a.png": (lambda path: Image.fromarray(NOISE).save(path), 8),
    "a.nrrd": (lambda path: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(NOISE), str(path), True), b"\n\n"),
    "a.tif": (lambda path: Image.fromarray(NOISE).save(path, compression="tiff_adobe_deflate"), 8),
    "a.mha": (lambda path: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(NOISE), str(path), True), b"LOCAL\n"),
}
"""Formats with a checksum of the pixels: how to write one, and where what it is of begins."""


@pytest.mark.parametrize("name", CHECKED)
def test_a_turned_bit_is_seen_where_the_format_has_a_checksum(tmp_path, name):
    write, first = CHECKED[name]
    write(tmp_path / name)
    content, before = (tmp_path / name).read_bytes(), decode_labels(tmp_path / name).array
    first = content.index(first) + len(first) if isinstance(first, bytes) else first
    damaged, refused = tmp_path / f"damaged-{name}", 0
    for bad in flips(content, 40, first):
        damaged.write_bytes(bad)
        try:
            found = decode_image(damaged, 2).array
        except InputError:
            refused += 1
            continue
        np.testing.assert_array_equal(found, before)
    assert refused > 30


@pytest.mark.parametrize("name", CHECKED)
def test_a_cut_file_is_refused(tmp_path, name):
    CHECKED[name][0](tmp_path / name)
    content, before, refused = (tmp_path / name).read_bytes(), decode_labels(tmp_path / name).array, 0
    for length in np.linspace(1, len(content) - 1, 20).astype(int):
        (tmp_path / f"cut-{name}").write_bytes(content[:length])
        try:
            found = decode_image(tmp_path / f"cut-{name}", 2).array
        except InputError:
            refused += 1
            continue
        np.testing.assert_array_equal(found, before)  # what is cut is after the pixels and their checksum
    assert refused > 17


def test_deflated_dicom_is_read_whole(tmp_path):
    write_dicom(tmp_path / "a.dcm", NOISE)
    plain = decode_image(tmp_path / "a.dcm", 2).array
    data = pydicom.dcmread(tmp_path / "a.dcm")
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    data.save_as(tmp_path / "b.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(decode_image(tmp_path / "b.dcm", 2).array, plain)
