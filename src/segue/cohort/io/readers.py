"""The file formats that are read, and what format a file has."""

import gzip
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from segue.cohort.io.dicom import DICOM
from segue.cohort.io.itk import METAIMAGE, NRRD
from segue.cohort.io.jpeg import JPEG
from segue.cohort.io.nifti import GZIP, NIFTI
from segue.cohort.io.npy import NPY
from segue.cohort.io.png import PNG
from segue.cohort.io.reader import Reader
from segue.cohort.io.tiff import TIFF
from segue.errors import InputError

READERS: list[Reader] = [
    PNG,
    NIFTI,
    DICOM,
    JPEG,
    TIFF,
    NPY,
    METAIMAGE,
    NRRD,
]
"""The formats of images, masks and label maps; a JPEG is no mask."""
OTHER_PICTURES = (".hdr", ".img", ".mnc", ".npz", ".mat", ".h5", ".hdf5", ".vti", ".zarr", ".heic", ".svs", ".czi")
"""Suffixes of files that hold images and are not read, beside the formats that Pillow knows."""

HEAD = 600  # bytes that tell a format: more than a NIfTI-2 header


def split_suffix(name: str, readers: Sequence[Reader] = READERS) -> tuple[str, str]:
    """Stem and suffix of a file's name; the suffix is "" where none of the `readers` has it.

    >>> split_suffix("p01.slice3.NII.gz"), split_suffix("photo.bmp")
    (('p01.slice3', '.nii.gz'), ('photo.bmp', ''))
    """
    for suffix in suffixes_of(readers):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


def reader_of(path: Path, readers: Sequence[Reader] = READERS) -> Reader:
    """The reader for a file: by its content, whatever it is called, or else by its suffix.

    Raises:
        InputError: there is none.

    >>> reader_of(Path("scan.nii.gz")).name
    'NIfTI'
    """
    known = suffix_by_content(path, readers) if path.is_file() else ""
    suffix = known or split_suffix(path.name, readers)[1]
    for reader in readers:
        if suffix in reader.suffixes:
            return reader
    raise InputError(f"{path}: not a format that is read; convert it to {format_names(readers)}")


def suffix_by_content(path: Path, readers: Sequence[Reader] = READERS) -> str:
    """The suffix of the format that a file's first bytes have; "" where none of the `readers` knows them.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "scan.txt"
    >>> _ = file.write_bytes(bytes(128) + b"DICM")
    >>> suffix_by_content(file)
    '.dcm'
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    packed = head.startswith(GZIP)
    if packed:
        try:
            with gzip.open(path) as unpacked:
                head = unpacked.read(HEAD)
        except (OSError, EOFError, zlib.error):
            return ""
    suffixes = [suffix for reader in readers if reader.sniff(head) for suffix in reader.suffixes]
    return next((suffix for suffix in suffixes if suffix.endswith(".gz") == packed), "")


def image_files(folder: Path) -> dict[str, Path]:
    """The image files of a folder by stem, in the order of the stems; hidden files and other formats are passed over.

    A file without one of the known suffixes is an image by its content (IM0001, 1.2.840.113619); its stem is its name.

    Raises:
        InputError: there are none, or two have one stem.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.png", "a.nii.gz", "notes.txt"):
    ...     (folder / name).touch()
    >>> _ = (folder / "IM0001").write_bytes(bytes(128) + b"DICM")
    >>> [(stem, path.name) for stem, path in image_files(folder).items()]
    [('IM0001', 'IM0001'), ('a', 'a.nii.gz'), ('b', 'b.png')]
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem, suffix = split_suffix(path.name)
        if path.name.startswith(".") or not (suffix or (path.is_file() and suffix_by_content(path))):
            continue
        if stem in files:
            raise InputError(f"{path}: has the same name as {files[stem].name}; keep one of them")
        files[stem] = path
    if not files:
        raise InputError(f"{folder}: holds no images; add files ending in {', '.join(suffixes_of(READERS))}")
    return dict(sorted(files.items()))


def passed_over(folder: Path) -> dict[str, int]:
    """How many pictures of a folder are in formats that are not read, by suffix; hidden files aside.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.png", "notes.txt", "b.hdr"):
    ...     (folder / name).touch()
    >>> (folder / "c.BMP").write_bytes(b"BM" + bytes(60)) and passed_over(folder)
    {'.bmp': 1, '.hdr': 1}
    """
    Image.init()
    pictures = {suffix for suffix in Image.EXTENSION if suffix != ".pdf"} | set(OTHER_PICTURES)
    others = (
        path.suffix.lower()
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.suffix.lower() in pictures and not split_suffix(path.name)[1]
    )
    return dict(sorted(Counter(others).items()))


def suffixes_of(readers: Sequence[Reader]) -> list[str]:
    """All suffixes of some readers.

    >>> suffixes_of(READERS)
    ['.png', '.nii.gz', '.nii', '.dcm', '.dicom', '.ima', '.jpg', '.jpeg', '.tif', '.tiff', '.npy', '.mha', ...]
    """
    return [suffix for reader in readers for suffix in reader.suffixes]


def format_names(readers: Sequence[Reader] = READERS) -> str:
    """The names of formats, for a message.

    >>> format_names()
    'PNG, NIfTI, DICOM, JPEG, TIFF, NumPy, MetaImage or NRRD'
    """
    *first, last = (reader.name for reader in readers)
    return f"{', '.join(first)} or {last}"
