"""PNG: grey, palette or colour, of 1 to 16 bits."""

import struct
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from segue.cohort.io.itk import itk_array
from segue.cohort.io.limits import check_decoded
from segue.cohort.io.luminance import luminance
from segue.cohort.io.reader import Pixels, Reader
from segue.errors import InputError

GREY, PALETTE, GREY_ALPHA = 0, 3, 4
"""Colour types of PNG that are named here; the others are colour."""


def is_png(head: bytes) -> bool:
    """By the format's signature."""
    return head.startswith(b"\x89PNG\r\n\x1a\n")


def png_shape(path: Path) -> tuple[int, ...]:
    """(height, width)"""
    with Image.open(path, formats=["PNG"]) as image:
        return image.height, image.width


def read_png(path: Path, *, labels: bool) -> Pixels:
    """Grey values; colour becomes luminance (ITU-R 601), which masks cannot have.

    Labels are as stored at every depth; in a palette, the indices are the labels. Intensities of 1, 2 and 4 bits are
    spread over 0 to 255, as PNG means them: a program that saves space may store an 8-bit image so. Those of 16 bits
    are as stored.

    Raises:
        InputError: a mask is in colour, the file holds several images, is turned by its EXIF orientation or has 16 bits
            with alpha, or there are more pixels than Pillow takes for safe.
    """
    with path.open("rb") as stream:
        head = stream.read(26)
    if not is_png(head) or len(head) < 26:
        raise InputError(f"{path}: cannot be decoded (by its content it is no PNG file); export it again")
    depth, colour = struct.unpack(">BB", head[24:])
    if labels and colour not in (GREY, PALETTE):
        raise InputError(f"{path}: is in colour or has alpha, but a mask has one channel; save it as 8-bit grey labels")
    if depth == 16 and colour == GREY_ALPHA:
        raise InputError(f"{path}: has 16 bits and alpha, of which half would be lost; save it without alpha")
    with checked_picture(path, "PNG") as image:
        if depth == 16 and colour != GREY:
            return Pixels(luminance(itk_array(path, "PNGImageIO")))  # Pillow keeps the upper byte
        return Pixels(labels_of(image, depth) if labels else grey_of(image))


def labels_of(image: Image.Image, depth: int) -> Shaped[np.ndarray, "height width"]:
    """Values as stored: Pillow spreads grey of 2 and 4 bits over 0 to 255."""
    values = np.asarray(image)
    if image.mode == "L" and depth < 8:
        return values // (255 // (2**depth - 1))
    return values.astype(np.uint8) if image.mode == "1" else values


def grey_of(image: Image.Image) -> Shaped[np.ndarray, "height width"]:
    """Intensities of a picture that Pillow has opened, by PNG's meaning of few bits.

    >>> grey_of(Image.fromarray(np.array([[True, False]]))).tolist()
    [[255, 0]]
    """
    if image.mode in ("1", "P", "RGB", "RGBA", "LA"):
        return np.asarray(image.convert("RGB" if image.mode == "P" else image.mode).convert("L"))
    return np.asarray(image)


def checked_picture(path: Path, format: str) -> Image.Image:
    """An open picture in one of Pillow's formats; it is loaded.

    Raises:
        InputError: it is one of several in the file, is shown turned, or is too large to be decoded safely.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=[format]) as image:
                image.verify()  # the checksums of PNG: decoding reads over those of the pixels
            image = Image.open(path, formats=[format])
            wide = 4 if image.mode[0] in "IF" else 1
            check_decoded(path, (image.height, image.width), wide * len(image.getbands()))
            count, turned = getattr(image, "n_frames", 1), image.getexif().get(0x0112, 1)
            image.load()
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{path}: has too many pixels to be decoded safely; shrink it or store it as NIfTI"
        ) from error
    if count > 1:
        raise InputError(f"{path}: holds {count} pictures; save one a file")
    if turned != 1:
        raise InputError(f"{path}: is shown turned, by its EXIF orientation {turned}; save it upright, without EXIF")
    return image


PNG = Reader("PNG", (".png",), is_png, png_shape, read_png)
