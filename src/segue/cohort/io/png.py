"""PNG: grey, palette or colour, of 8 or 16 bits."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from segue.cohort.io.reader import Pixels, Reader
from segue.errors import InputError

ONE_CHANNEL = ("1", "L", "P", "I", "I;16", "I;16B")
"""Pillow's modes of images that can be masks; in a palette (P), the indices are the labels."""


def is_png(head: bytes) -> bool:
    """By the format's signature."""
    return head.startswith(b"\x89PNG\r\n\x1a\n")


def png_shape(path: Path) -> tuple[int, ...]:
    """(height, width)"""
    with Image.open(path, formats=["PNG"]) as image:
        return image.height, image.width


def read_png(path: Path, *, labels: bool) -> Pixels:
    """Grey values as stored; colour becomes luminance (ITU-R 601), which masks cannot have.

    Raises:
        InputError: a mask is in colour, or there are more pixels than Pillow takes for safe.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=["PNG"]) as image:
                image.load()
                if labels and image.mode not in ONE_CHANNEL:
                    raise InputError(
                        f"{path}: is {image.mode}, but a mask has one channel; save it as 8-bit grey labels"
                    )
                if not labels and image.mode in ("P", "RGB", "RGBA", "LA"):
                    return Pixels(np.asarray(image.convert("L")))
                return Pixels(np.asarray(image))
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{path}: has too many pixels to be decoded safely; shrink it or store it as NIfTI"
        ) from error


PNG = Reader("PNG", (".png",), is_png, png_shape, read_png)
