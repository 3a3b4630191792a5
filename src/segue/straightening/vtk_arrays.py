"""The arrays of VTK's XML files: as text, in base64, appended, compressed or not."""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from segue.errors import InputError

TYPES = {
    "Float32": "f4", "Float64": "f8", "Int8": "i1", "UInt8": "u1", "Int16": "i2", "UInt16": "u2", "Int32": "i4",
    "UInt32": "u4", "Int64": "i8", "UInt64": "u8",
}  # fmt: skip
ZLIB = "vtkZLibDataCompressor"
MOST_NUMBERS = 64 << 20  # bytes of an array


@dataclass(frozen=True)
class ArrayLayout:
    """How a file stores numbers. `order`: of bytes, as in numpy. `head`: the type of lengths. `appended`: the section
    after the XML, which is `raw` or base64."""

    order: str
    head: np.dtype
    compressed: bool
    appended: bytes
    raw: bool

    @classmethod
    def of(cls, attributes: Mapping[str, str], appended: bytes, *, raw: bool) -> "ArrayLayout":
        """From the attributes of VTKFile."""
        if (compressor := attributes.get("compressor", "")) not in ("", ZLIB):
            raise InputError(f"is compressed by {compressor}; save it with zlib, or uncompressed")
        order = ">" if attributes.get("byte_order") == "BigEndian" else "<"
        head = np.dtype(order + TYPES[attributes.get("header_type", "UInt32")])
        return cls(order, head, bool(compressor), appended if raw else appended.strip(), raw)


def array_of(element: Element, layout: ArrayLayout) -> np.ndarray:
    """The numbers of a DataArray, flat."""
    kind = np.dtype(layout.order + TYPES[element.attrib["type"]])
    if element.get("format") == "ascii":
        return np.array((element.text or "").split()).astype(kind)
    if element.get("format") == "appended":
        stored, raw = layout.appended[int(element.attrib["offset"]) :], layout.raw
    else:
        stored, raw = (element.text or "").strip().encode(), False
    content = inflated(Stored(stored, raw), layout) if layout.compressed else plain_bytes(Stored(stored, raw), layout)
    return np.frombuffer(content, kind)


class Stored(NamedTuple):
    """Bytes as stored, raw or in base64; a block of base64 begins and ends with a group of four characters."""

    text: bytes
    raw: bool

    def first(self, count: int) -> bytes:
        """The first bytes of the block."""
        content = self.text[:count] if self.raw else base64.b64decode(self.text[: encoded(count)])[:count]
        if len(content) != count:
            raise InputError("ends before its last number; save it again")
        return content

    def after(self, count: int) -> "Stored":
        """What follows a block of so many bytes."""
        return Stored(self.text[count if self.raw else encoded(count) :], self.raw)


def encoded(count: int) -> int:
    """Characters that `count` bytes take in base64.

    >>> encoded(4)
    8
    """
    return -(-count // 3) * 4


def plain_bytes(stored: Stored, layout: ArrayLayout) -> bytes:
    """One block: its length, and so many bytes."""
    size = layout.head.itemsize
    length = int(np.frombuffer(stored.first(size), layout.head)[0])
    return stored.first(size + length)[size:]


def inflated(stored: Stored, layout: ArrayLayout) -> bytes:
    """A block with the number of parts, their size and that of the last one, and each one's compressed size; then a
    block with the parts."""
    size = layout.head.itemsize
    parts = int(np.frombuffer(stored.first(size), layout.head)[0])
    lengths = np.frombuffer(stored.first((3 + parts) * size), layout.head)[3:].astype(int)
    content = stored.after((3 + parts) * size).first(int(lengths.sum()))
    if lengths.min(initial=0) < 0:
        raise InputError("has a part of less than 0 bytes; save it again")
    ends, found = lengths.cumsum(), bytearray()
    for end, length in zip(ends, lengths, strict=True):
        part = zlib.decompressobj()
        found += part.decompress(content[end - length : end], MOST_NUMBERS + 1 - len(found))
        if not part.eof:
            raise InputError(f"has a damaged part, or more than {MOST_NUMBERS >> 20} MB of numbers; save it again")
    return bytes(found)
