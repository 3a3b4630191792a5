"""MetaImage and NRRD, read by SimpleITK, in NIfTI's axes and directions; and what else SimpleITK decodes."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from segue.cohort.io.itk_values import check_complete, find_values
from segue.cohort.io.limits import check_decoded
from segue.cohort.io.reader import Pixels, Reader
from segue.errors import InputError

TO_RAS = np.array([-1.0, -1.0, 1.0])  # left and posterior are positive in ITK, negative in NIfTI


def is_metaimage(head: bytes) -> bool:
    """By the keys at the start of its header, which is text."""
    return bool(re.match(rb"\s*(?:ObjectType|NDims|Comment)\s*=", head))


def is_nrrd(head: bytes) -> bool:
    """By the format's signature."""
    return head.startswith(b"NRRD000")


def opened(path: Path, format: str) -> Any:
    """SimpleITK's reader of a file in one of its formats, whatever the file is called; its header is read.

    Raises:
        InputError: it is too large once it is decoded.
    """
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(format)
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    shape = tuple(int(n) for n in reader.GetSize())
    check_decoded(path, shape, reader.GetNumberOfComponents() * component_bytes(reader))
    return reader


def component_bytes(reader: Any) -> int:
    """The bytes of one channel of a pixel."""
    import SimpleITK

    return int(SimpleITK.Image([1, 1], reader.GetPixelID()).GetSizeOfPixelComponent())


def itk_array(path: Path, format: str) -> Shaped[np.ndarray, "*space"]:
    """Values in ITK's order: slices, rows, columns, and channels last where there are several."""
    import SimpleITK

    return SimpleITK.GetArrayFromImage(opened(path, format).Execute())


def itk_shape(path: Path, format: str) -> tuple[int, ...]:
    """x, y (, z), from the header alone."""
    return tuple(int(n) for n in opened(path, format).GetSize())


def read_volume(path: Path, format: str) -> Pixels:
    """Values in the order x, y (, z), with spacing and affine in mm.

    Raises:
        InputError: it has several values a pixel, or its values are in another folder.
    """
    import SimpleITK

    values, reader = find_values(path), opened(path, format)
    channels, component = reader.GetNumberOfComponents(), component_bytes(reader)
    check_complete(path, values, math.prod(reader.GetSize()) * channels * component)
    image = reader.Execute()
    if image.GetNumberOfComponentsPerPixel() != 1:
        count = image.GetNumberOfComponentsPerPixel()
        raise InputError(f"{path}: has {count} values a pixel, not grey values; export it as one channel")
    affine = itk_affine(image)
    array = SimpleITK.GetArrayFromImage(image).transpose()
    import nibabel

    return Pixels(array, tuple(float(mm) for mm in image.GetSpacing()), nibabel.aff2axcodes(affine), affine)


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
