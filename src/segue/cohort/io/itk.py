"""MetaImage and NRRD, read by SimpleITK, in NIfTI's axes and directions; and what else SimpleITK decodes."""

import re
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from jaxtyping import Float, Shaped

from segue.cohort.io.reader import Pixels, Reader
from segue.errors import InputError

TO_RAS = np.array([-1.0, -1.0, 1.0])  # left and posterior are positive in ITK, negative in NIfTI
ELSEWHERE = re.compile(rb"^\s*(?:ElementDataFile\s*=|data ?file\s*:)[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
"""Where a header says that the values are in another file."""


def is_metaimage(head: bytes) -> bool:
    """By the keys at the start of its header, which is text."""
    return bool(re.match(rb"\s*(?:ObjectType|NDims|Comment)\s*=", head))


def is_nrrd(head: bytes) -> bool:
    """By the format's signature."""
    return head.startswith(b"NRRD000")


def opened(path: Path, format: str) -> Any:
    """SimpleITK's reader of a file in one of its formats, whatever the file is called."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(format)
    reader.SetFileName(str(path))
    return reader


def itk_array(path: Path, format: str) -> Shaped[np.ndarray, "*space"]:
    """Values in ITK's order: slices, rows, columns, and channels last where there are several."""
    import SimpleITK

    return SimpleITK.GetArrayFromImage(opened(path, format).Execute())


def itk_shape(path: Path, format: str) -> tuple[int, ...]:
    """x, y (, z), from the header alone."""
    reader = opened(path, format)
    reader.ReadImageInformation()
    return tuple(int(n) for n in reader.GetSize())


def read_volume(path: Path, format: str) -> Pixels:
    """Values in the order x, y (, z), with spacing and affine in mm.

    Raises:
        InputError: it has several values a pixel, or its values are in another folder.
    """
    import SimpleITK

    check_values_here(path)
    image = opened(path, format).Execute()
    if image.GetNumberOfComponentsPerPixel() != 1:
        count = image.GetNumberOfComponentsPerPixel()
        raise InputError(f"{path}: has {count} values a pixel, not grey values; export it as one channel")
    affine = itk_affine(image)
    array = SimpleITK.GetArrayFromImage(image).transpose()
    return Pixels(array, tuple(float(mm) for mm in image.GetSpacing()), nibabel.aff2axcodes(affine), affine)


def check_values_here(path: Path) -> None:
    """Refuse a header that points to a file in another folder: an upload could read whatever is on the machine."""
    with path.open("rb") as stream:
        named = ELSEWHERE.search(stream.read(1 << 16).split(b"\n\n")[0])
    where = named[1].decode(errors="replace").strip() if named else ""
    if any(mark in where for mark in ("/", "\\", "%", "LIST")):
        raise InputError(f"{path}: its values are in {where!r}; save header and values as one file (.mha, .nrrd)")


def itk_affine(image: Any) -> Float[np.ndarray, "4 4"]:
    """From (x, y, z) to mm in NIfTI's directions; an image of two axes lies in the plane of the first two."""
    dims = min(image.GetDimension(), 3)
    affine = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(image.GetDimension(), -1)[:dims, :dims]
    affine[:dims, :dims] = directions * np.array(image.GetSpacing())[:dims]
    affine[:dims, 3] = np.array(image.GetOrigin())[:dims]
    affine[:3] *= TO_RAS[:, None]
    return affine


METAIMAGE = Reader(
    "MetaImage", (".mha", ".mhd"), is_metaimage,
    lambda path: itk_shape(path, "MetaImageIO"), lambda path, labels: read_volume(path, "MetaImageIO"),
)  # fmt: skip
NRRD = Reader(
    "NRRD", (".nrrd", ".nhdr"), is_nrrd,
    lambda path: itk_shape(path, "NrrdImageIO"), lambda path, labels: read_volume(path, "NrrdImageIO"),
)  # fmt: skip
