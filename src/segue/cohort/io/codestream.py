"""The size that compressed pixels of a DICOM file state themselves: decoders believe it, not the file's header."""

import struct
from pathlib import Path
from typing import Any

from segue.errors import InputError

__all__ = ["check_codestreams", "codestream_shape"]

JPEG2000, JPEG = b"\xff\x4f\xff\x51", b"\xff\xd8"
"""How a codestream begins: of JPEG 2000 with the marker of its size, of JPEG and JPEG-LS with that of an image."""
NO_FRAME = (0xC4, 0xC8, 0xCC)
"""Markers between those of frames (0xC0 to 0xCF; JPEG-LS 0xF7) that are none."""


def check_codestreams(path: Path, dataset: Any) -> None:
    """Refuse compressed frames of another size than the header's: 16 x 16 pixels could be 65535 x 65535.

    Args:
        dataset: with its pixels, which are not decoded here.
    """
    from pydicom.encaps import generate_frames

    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    rows, columns, count = int(dataset.Rows), int(dataset.Columns), int(dataset.get("NumberOfFrames", 1) or 1)
    for frame in generate_frames(dataset.PixelData, number_of_frames=count):
        found = codestream_shape(frame)
        if found not in (None, (rows, columns)):
            raise InputError(f"{path}: holds pixels of {found}, and its header says {(rows, columns)}; export it again")


def codestream_shape(content: bytes) -> tuple[int, int] | None:
    """(rows, columns) by a codestream's own header; None where it has none that is known, as of run lengths.

    JPEG: ITU-T T.81, B.2.2; JPEG 2000: ITU-T T.800, A.5.1.

    >>> codestream_shape(JPEG + bytes.fromhex("ffc0 0011 08 0010 0020"))
    (16, 32)
    """
    if (place := content[:4096].find(JPEG2000)) >= 0:
        right, down, left, up = struct.unpack(">IIII", content[place + 8 : place + 24])
        return down - up, right - left
    place = len(JPEG)
    while content.startswith(JPEG) and content[place : place + 1] == b"\xff" and len(content) >= place + 9:
        marker, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4])
        if (0xC0 <= marker <= 0xCF and marker not in NO_FRAME) or marker == 0xF7:
            rows, columns = struct.unpack(">HH", content[place + 5 : place + 9])
            return rows, columns
        place += 2 + length
    return None
