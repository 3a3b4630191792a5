"""Every format at every depth, against what a second library put into the file: values, spacing, geometry, refusals."""

import gzip
import struct
import zlib

import nibabel
import numpy as np
import pytest
import SimpleITK
from dicom_file import write_dicom
from PIL import Image

from segue.cohort import read_image
from segue.cohort.io import decode_image, decode_labels, image_files, passed_over
from segue.errors import InputError

SHAPE = (4, 6)


def counting(most, kind, shape=SHAPE):
    """Values from 0 to the largest, all of them whole."""
    return np.linspace(0, most, np.prod(shape)).round().reshape(shape).astype(kind)


def write_png(path, rows, *, depth, colour, palette=None):
    """A PNG by its specification: `rows` are (height, samples of a row) as they are to be packed."""
    if depth < 8:
        bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
        lines = [np.packbits(line.reshape(-1)).tobytes() for line in bits]
    else:
        lines = [line.astype(">u2" if depth == 16 else np.uint8).tobytes() for line in rows]

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    head = struct.pack(">IIBBBBB", rows.shape[1] // samples, rows.shape[0], depth, colour, 0, 0, 0)
    content = chunk(b"IHDR", head) + (chunk(b"PLTE", bytes(palette)) if palette else b"")
    content += chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_png_of_every_depth(tmp_path, depth):
    """Labels are as stored; intensities of few bits are spread over 0 to 255, as the specification (13.12) means."""
    stored = counting(2**depth - 1, np.uint16)
    path = write_png(tmp_path / "a.png", stored, depth=depth, colour=0)
    np.testing.assert_array_equal(decode_labels(path).array, stored)
    grey = stored if depth >= 8 else stored * (255 // (2**depth - 1))
    np.testing.assert_array_equal(decode_image(path, 2).array, grey)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_png_of_every_depth(tmp_path, depth):
    """Labels are the indices; an image is the luminance of the palette's colours."""
    stored = counting(2**depth - 1, np.uint8)
    colours = np.random.default_rng(depth).integers(0, 256, (2**depth, 3))
    path = write_png(tmp_path / "a.png", stored, depth=depth, colour=3, palette=colours.ravel().tolist())
    np.testing.assert_array_equal(decode_labels(path).array, stored)
    expected = colours[stored] @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(decode_image(path, 2).array, expected, atol=0.51)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("colour", "samples"), [(2, 3), (6, 4)])
def test_colour_png_is_luminance_at_its_full_depth(tmp_path, depth, colour, samples):
    stored = np.random.default_rng(0).integers(0, 2**depth, (*SHAPE, samples))
    path = write_png(tmp_path / "a.png", stored.reshape(SHAPE[0], -1), depth=depth, colour=colour)
    expected = stored[..., :3] @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(decode_image(path, 2).array, expected, atol=0.51 if depth == 8 else 1.5)
    with pytest.raises(InputError, match=r"a\.png: is in colour or has alpha"):
        decode_labels(path)


def test_grey_png_with_alpha(tmp_path):
    stored = np.stack([counting(255, np.uint8), np.full(SHAPE, 9, np.uint8)], axis=-1).reshape(SHAPE[0], -1)
    path = write_png(tmp_path / "a.png", stored, depth=8, colour=4)
    np.testing.assert_array_equal(decode_image(path, 2).array, counting(255, np.uint8))
    with pytest.raises(InputError, match="16 bits and alpha"):
        decode_image(write_png(tmp_path / "b.png", stored, depth=16, colour=4), 2)


PICTURES = [".tif", ".npy"]
KINDS = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32]
LOWEST = {np.int8: -100, np.int16: -2000, np.int32: -70000, np.float32: -1.5}


def write_array(path, array):
    """In any of the formats of arrays: `array` is rows, columns (, slices)."""
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".tif":
        pages = np.moveaxis(array, -1, 0) if array.ndim == 3 else array
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(pages), str(path))
    else:
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array.T), str(path))
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".tif", ".npy", ".mha", ".nrrd"])
@pytest.mark.parametrize("shape", [SHAPE, (*SHAPE, 3)])
def test_arrays_come_back_as_stored(tmp_path, kind, suffix, shape):
    stored = counting(90, np.float64, shape).astype(kind) + kind(LOWEST.get(kind, 0))
    path = write_array(tmp_path / f"a{suffix}", stored)
    found = decode_image(path, len(shape)).array
    np.testing.assert_array_equal(found, stored)
    assert found.dtype == kind
    if kind is not np.float32:
        np.testing.assert_array_equal(decode_labels(path, len(shape)).array, stored)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64, np.uint16, np.float32, np.float64])
def test_nifti_comes_back_as_stored(tmp_path, kind):
    stored = counting(90, np.float64, (4, 6, 3)).astype(kind)
    nibabel.save(nibabel.Nifti1Image(stored, np.eye(4), dtype=kind), tmp_path / "a.nii")
    np.testing.assert_array_equal(decode_image(tmp_path / "a.nii", 3).array, stored)


@pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nrrd"])
@pytest.mark.parametrize("dims", [2, 3])
def test_geometry_of_metaimage_and_nrrd_is_that_of_the_same_image_as_nifti(tmp_path, suffix, dims):
    """ITK writes the same image as NIfTI, which nibabel reads."""
    image = SimpleITK.GetImageFromArray(counting(1000, np.int16, (5, 4, 3)[3 - dims :]))
    image.SetSpacing((0.5, 0.75, 3.0)[:dims])
    image.SetOrigin((-10.0, 20.0, 5.0)[:dims])
    if dims == 3:
        turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
        image.SetDirection((turn * np.sign(np.linalg.det(turn))).ravel().tolist())
    for name in (f"a{suffix}", "a.nii"):
        SimpleITK.WriteImage(image, str(tmp_path / name))
    found, reference = decode_image(tmp_path / f"a{suffix}", dims), nibabel.load(tmp_path / "a.nii")
    np.testing.assert_array_equal(found.array, np.asarray(reference.dataobj).reshape(found.array.shape))
    np.testing.assert_allclose(found.spacing, reference.header.get_zooms()[:dims], rtol=1e-6)
    np.testing.assert_allclose(found.affine[:3, :dims], reference.affine[:3, :dims], atol=1e-5)
    np.testing.assert_allclose(found.affine[:dims, 3], reference.affine[:dims, 3], atol=1e-5)


def test_jpeg_is_read_as_images_and_refused_as_masks(tmp_path):
    grey = np.add.outer(np.arange(32), np.arange(40)).astype(np.uint8) * 3
    Image.fromarray(grey).save(tmp_path / "a.jpg", quality=95)
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(tmp_path / "b.jpeg", quality=95)
    for name in ("a.jpg", "b.jpeg"):
        assert np.abs(decode_image(tmp_path / name, 2).array.astype(float) - grey).max() <= 4
        with pytest.raises(InputError, match=rf"{name}: is a JPEG, whose compression changes labels"):
            decode_labels(tmp_path / name)
    Image.fromarray(np.zeros((4, 4, 4), np.uint8), mode="CMYK").save(tmp_path / "c.jpg")
    with pytest.raises(InputError, match="CMYK"):
        decode_image(tmp_path / "c.jpg", 2)


@pytest.mark.parametrize("format", ["png", "jpg"])
def test_a_picture_that_is_shown_turned_is_refused(tmp_path, format):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / f"a.{format}", exif=exif)
    with pytest.raises(InputError, match="EXIF orientation 6; save it upright"):
        decode_image(tmp_path / f"a.{format}", 2)


def test_pictures_in_motion_are_refused(tmp_path):
    frames = [Image.fromarray(np.full((4, 6), value, np.uint8)) for value in (10, 20)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="holds 2 pictures"):
        decode_image(tmp_path / "a.png", 2)


def test_tiff_in_colour_is_luminance_and_what_is_ambiguous_is_refused(tmp_path):
    colour = np.random.default_rng(0).integers(0, 65536, (*SHAPE, 3)).astype(np.uint16)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(colour, isVector=True), str(tmp_path / "a.tif"))
    np.testing.assert_allclose(decode_image(tmp_path / "a.tif", 2).array, colour @ [0.299, 0.587, 0.114], atol=1.5)
    with pytest.raises(InputError, match="in colour"):
        decode_labels(tmp_path / "a.tif")
    grey = Image.fromarray(counting(255, np.uint8))
    grey.convert("1").save(tmp_path / "bits.tif")
    grey.convert("P").save(tmp_path / "palette.tif")
    grey.save(tmp_path / "white.tif", tiffinfo={262: 0})
    grey.save(tmp_path / "turned.tif", tiffinfo={274: 3})
    for name, said in (("bits", "1 bits"), ("palette", "palette"), ("white", "white as 0"), ("turned", "turned")):
        with pytest.raises(InputError, match=said):
            decode_image(tmp_path / f"{name}.tif", 2)


def test_a_header_that_points_elsewhere_is_refused(tmp_path):
    (tmp_path / "a.mha").write_text(
        "ObjectType = Image\nNDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\nElementDataFile = /etc/hostname\n"
    )
    (tmp_path / "a.nrrd").write_text(
        "NRRD0004\ntype: uchar\ndimension: 2\nsizes: 2 2\nencoding: raw\ndata file: ../secret.raw\n"
    )
    for name in ("a.mha", "a.nrrd"):
        with pytest.raises(InputError, match="save header and values as one file"):
            decode_image(tmp_path / name, 2)


@pytest.mark.parametrize("suffix", [".png", ".nii", ".nii.gz", ".dcm", ".jpg", ".tif", ".npy", ".mha", ".nrrd"])
@pytest.mark.parametrize("name", ["IM0001", "scan.IMA", "wrong.png"])
def test_a_file_is_read_by_its_content_whatever_it_is_called(tmp_path, suffix, name):
    stored, right = counting(200, np.uint8), tmp_path / f"right{suffix}"
    if suffix in (".png", ".jpg"):
        Image.fromarray(stored).save(right)
    elif suffix.startswith(".nii"):
        nibabel.save(nibabel.Nifti1Image(stored, np.eye(4)), right)
    elif suffix == ".dcm":
        write_dicom(right, stored)
    else:
        write_array(right, stored)
    (tmp_path / "other").mkdir()
    renamed = right.rename(tmp_path / "other" / name)
    assert list(image_files(tmp_path / "other").values()) == [renamed]
    right.write_bytes(renamed.read_bytes())
    one, other = (decode_image(path, 2) for path in (right, renamed))
    np.testing.assert_array_equal(one.array, other.array)
    assert one.spacing == other.spacing


def test_pictures_that_are_not_read_are_counted(tmp_path):
    for name in ("a.png", "b.BMP", "c.bmp", "d.gif", "e.txt", "f.jpg", ".g.bmp", "Thumbs.db"):
        (tmp_path / name).touch()
    assert passed_over(tmp_path) == {".bmp": 2, ".gif": 1}


def nifti(path, array=None, *, pixdim=(), **header):
    """A NIfTI file whose header is changed after it is written, as nibabel itself would not write it."""
    image = nibabel.Nifti1Image(np.ones((4, 6), np.float32) if array is None else array, np.diag([0.5, 0.5, 1, 1]))
    for key, value in header.items():
        image.header[key] = value
    nibabel.save(image, path)
    raw = bytearray(path.read_bytes())
    for axis, value in enumerate(pixdim):
        raw[80 + 4 * axis : 84 + 4 * axis] = struct.pack("<f", value)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("pixdim", [(0, 0), (float("nan"), 0.5), (0.5, 0.5), (0.503, 0.5)])
def test_where_pixdim_says_nothing_the_sform_holds(tmp_path, pixdim):
    spacing = read_image(nifti(tmp_path / "a.nii", pixdim=pixdim), SHAPE)[1]
    assert spacing == pytest.approx((0.5, 0.5), rel=0.01)


@pytest.mark.parametrize("pixdim", [(1, 1), (0.52, 0.5), (-0.5, 0.5)])
def test_pixdim_and_sform_that_disagree_are_refused(tmp_path, pixdim):
    with pytest.raises(InputError, match=r"a\.nii: .* by pixdim and \(0\.5, 0\.5\) by the sform"):
        decode_image(nifti(tmp_path / "a.nii", pixdim=pixdim), 2)


@pytest.mark.parametrize("codes", [{"sform_code": 0}, {"sform_code": 0, "qform_code": 1}])
@pytest.mark.parametrize("pixdim", [(0, 0), (-0.5, 0.5), (float("nan"), 1)])
def test_without_a_sform_pixdim_has_to_be_right(tmp_path, codes, pixdim):
    path = nifti(tmp_path / "a.nii", pixdim=pixdim)
    raw = bytearray(path.read_bytes())
    raw[252:256] = struct.pack("<hh", codes.get("qform_code", 0), 0)
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"a\.nii: the header's spacing is"):
        decode_image(path, 2)


def test_without_codes_a_nifti_does_not_say_where_it_lies(tmp_path):
    path = nifti(tmp_path / "a.nii", pixdim=(0.5, 0.7))
    raw = bytearray(path.read_bytes())
    raw[252:256] = struct.pack("<hh", 0, 0)
    path.write_bytes(raw)
    found = decode_image(path, 2)
    assert found.affine is None and found.axes is None and found.spacing == pytest.approx((0.5, 0.7))


@pytest.mark.parametrize("slope", [0.0, float("nan")])
def test_a_slope_that_is_none_is_not_applied(tmp_path, slope):
    path = nifti(tmp_path / "a.nii", counting(50, np.int16))
    raw = bytearray(path.read_bytes())
    raw[112:120] = struct.pack("<ff", slope, 0.0)
    path.write_bytes(raw)
    np.testing.assert_array_equal(decode_image(path, 2).array, counting(50, np.int16))


def test_values_beyond_single_precision_are_refused(tmp_path):
    array = np.ones(SHAPE)
    array[0] = -np.finfo(np.float64).max
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=r"a\.nii\.gz: holds values that are not finite in single precision"):
        decode_image(tmp_path / "a.nii.gz", 2)


@pytest.mark.parametrize("kind", [np.complex64, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])])
def test_complex_and_colour_nifti_are_refused_in_a_line(tmp_path, kind):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 6, 1), kind), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(InputError, match=r"^.*a\.nii: holds .*, not grey values; export it as one channel$"):
        decode_image(tmp_path / "a.nii", 2)


def test_a_compressed_file_with_the_name_of_another_is_read(tmp_path):
    packed = nifti(tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii").write_bytes(gzip.compress(packed))
    np.testing.assert_array_equal(decode_image(tmp_path / "b.nii", 2).array, np.ones(SHAPE))
