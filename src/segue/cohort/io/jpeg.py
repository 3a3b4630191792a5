"""JPEG: intensities alone, because its compression changes labels."""

from pathlib import Path

import numpy as np
from PIL import Image

from segue.cohort.io.png import checked_picture
from segue.cohort.io.reader import Pixels, Reader
from segue.errors import InputError


def is_jpeg(head: bytes) -> bool:
    """By the format's first marker."""
    return head.startswith(b"\xff\xd8\xff")


def jpeg_shape(path: Path) -> tuple[int, ...]:
    """(height, width)"""
    with Image.open(path, formats=["JPEG"]) as image:
        return image.height, image.width


def read_jpeg(path: Path, *, labels: bool) -> Pixels:
    """Grey values of 8 bits; colour becomes luminance (ITU-R 601).

    Raises:
        InputError: it is a mask, in print colours (CMYK), or turned by its EXIF orientation.
    """
    if labels:
        raise InputError(f"{path}: is a JPEG, whose compression changes labels; save masks as PNG or NIfTI")
    with checked_picture(path, "JPEG") as image:
        if image.mode not in ("L", "RGB"):
            raise InputError(f"{path}: is in {image.mode} colours; save it as grey or RGB")
        return Pixels(np.asarray(image.convert("L")))


JPEG = Reader("JPEG", (".jpg", ".jpeg"), is_jpeg, jpeg_shape, read_jpeg)
