"""TIFF: grey or colour; several pages are a volume."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from segue.cohort.io.itk import itk_array, itk_shape
from segue.cohort.io.limits import inflate_all
from segue.cohort.io.luminance import luminance
from segue.cohort.io.reader import Pixels, Reader
from segue.errors import InputError

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES = 256, 257, 258, 259, 262, 274, 277
"""TIFF's numbers of tags."""
PIXEL_BLOCKS = ((273, 279), (324, 325))
"""Tags of the places and lengths of strips, and of tiles."""
DEFLATED_BLOCKS = (8, 32946)
"""Compressions that are zlib's."""
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
"""Photometric interpretations that are named here."""


def is_tiff(head: bytes) -> bool:
    """By the order of its bytes and the format's number (42; BigTIFF has 43)."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def tiff_shape(path: Path) -> tuple[int, ...]:
    """(height, width), and the pages last where there are several."""
    width, height, *pages = itk_shape(path, "TIFFImageIO")
    return (height, width, *(n for n in pages if n > 1))


def tags_of_pages(path: Path) -> list[dict[int, Any]]:
    """The tags of each page."""
    pages, places = [], set[int]()
    with path.open("rb") as stream:
        head = stream.read(8)
        tags = ImageFileDirectory_v2(head + stream.read(8) if head[2:4] in (b"+\0", b"\0+") else head)
        while (place := tags.next) and place not in places:  # a file may name a page again
            places.add(place)
            stream.seek(place)
            tags.load(stream)
            pages.append(dict(tags))
    return pages


def check_blocks(path: Path, page: dict[int, Any]) -> None:
    """Refuse a page whose strips or tiles are cut off, or were deflated to something else: a checksum ends them."""
    size, coded = path.stat().st_size, page.get(COMPRESSION, 1)
    blocks = [pair for key, of in PIXEL_BLOCKS for pair in zip(page.get(key, ()), page.get(of, ()), strict=True)]
    held = sum(count for _, count in blocks)
    promised = page.get(WIDTH, 0) * page.get(HEIGHT, 0) * sum(page.get(BITS, (1,))) // 8
    if any(place + count > size for place, count in blocks) or (coded == 1 and held < promised):
        raise InputError(f"{path}: is cut off: its pixels go beyond its end; copy it again")
    for place, count in blocks if coded in DEFLATED_BLOCKS else []:
        inflate_all(path, place, most=count)


def read_tiff(path: Path, *, labels: bool) -> Pixels:
    """Values as stored, of 8, 16 or 32 bits, whole or real; colour becomes luminance (ITU-R 601). No spacing is read.

    Raises:
        InputError: a mask is in colour; there are fewer than 8 bits, a palette, white is 0, or the picture is turned.
    """
    pages = tags_of_pages(path)
    tags = pages[0]
    photometric, bits = tags.get(PHOTOMETRIC), tags.get(BITS, (1,))[0]
    if photometric not in (BLACK_IS_ZERO, RGB):
        found = "white as 0" if photometric == WHITE_IS_ZERO else "a palette or print colours"
        raise InputError(f"{path}: has {found}; save it as grey, black as 0")
    if bits < 8:
        raise InputError(f"{path}: has {bits} bits a pixel; save it with 8 or 16")
    if tags.get(ORIENTATION, 1) != 1:
        raise InputError(f"{path}: is shown turned, by its orientation {tags[ORIENTATION]}; save it upright")
    coloured = tags.get(SAMPLES, 1) > 1
    if labels and coloured:
        raise InputError(f"{path}: is in colour or has alpha, but a mask has one channel; save it as 8-bit grey labels")
    for page in pages:
        check_blocks(path, page)
    array = itk_array(path, "TIFFImageIO")
    grey = luminance(array) if coloured else array
    return Pixels(np.moveaxis(grey, 0, -1) if grey.ndim == 3 else grey)


TIFF = Reader("TIFF", (".tif", ".tiff"), is_tiff, tiff_shape, read_tiff)
