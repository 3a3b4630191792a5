"""Whether the values of a MetaImage or NRRD file are whole. ITK gives whatever is in memory where they are not."""

import bz2
import re
from pathlib import Path
from typing import NamedTuple

from segue.cohort.io.limits import inflate_all, read_to_end
from segue.errors import InputError
from segue.text import shortened

__all__ = ["StatedValues", "check_complete", "find_values"]

HEADER_BYTES = 1 << 16
SIGN = re.compile(rb":=|[:=]")  # between a key and its value; NRRD's := is of keys that mean nothing to it
TEXT_ENCODINGS = ("ascii", "text", "txt", "hex")
SKIPS = ("headersize", "lineskip", "byteskip")
"""Keys that say that the values begin later."""


class StatedValues(NamedTuple):
    """What a header says of the values, by its keys; their file, and where they begin in it."""

    keys: dict[str, str]
    file: Path
    start: int


def find_values(path: Path) -> StatedValues:
    """Where the values of a file are.

    Raises:
        InputError: they are in another folder, or the header says something twice.
    """
    keys, end = header_keys(path)
    where = keys.get("elementdatafile", keys.get("datafile", "LOCAL"))
    if any(mark in where for mark in ("/", "\\", "%", "LIST")):
        named = f"{shortened(where)!r}; save header and values as one file (.mha, .nrrd)"
        raise InputError(f"{path}: its values are in {named}")  # an upload could read whatever is on the machine
    return StatedValues(keys, path, end) if where.upper() == "LOCAL" else StatedValues(keys, path.parent / where, 0)


def check_complete(path: Path, values: StatedValues, wanted: int) -> None:
    """Refuse values that are cut off, or not as they were compressed.

    Args:
        wanted: bytes of the values, by the header.

    Raises:
        InputError: what is wrong. zlib.error, EOFError, OSError: the compressed values are damaged.
    """
    keys, file, start = values
    encoding = keys.get("encoding", "gzip" if keys.get("compresseddata", "").lower() == "true" else "raw").lower()
    if encoding in TEXT_ENCODINGS or keys.get("binarydata", "").lower() == "false":
        return
    moved = any(keys.get(key, "0") not in ("0", "") for key in SKIPS)
    if encoding == "raw":
        held = wanted if moved else file.stat().st_size - start
        enough = held >= wanted
    else:
        held = packed_length(path, file, start, encoding, int(keys.get("compresseddatasize", 0)))
        enough = held == wanted and not moved
    if not enough:
        raise InputError(f"{path}: holds {held:,} bytes of values, and its header promises {wanted:,}; copy it again")


def packed_length(path: Path, file: Path, start: int, encoding: str, stated: int) -> int:
    """The bytes to which compressed values inflate; they are read to their end, where their checksum is.

    Args:
        stated: bytes that are compressed, by the header; 0 where it does not say so.
    """
    if encoding in ("bz2", "bzip2"):
        with file.open("rb") as stream, bz2.BZ2File(stream) as inflated:
            stream.seek(start)
            return read_to_end(path, inflated)
    length, read = inflate_all(file, start)
    if stated and not read <= stated <= file.stat().st_size - start:
        raise InputError(f"{path}: has {read:,} compressed bytes, and its header says {stated:,}; copy it again")
    return length


def header_keys(path: Path) -> tuple[dict[str, str], int]:
    """What a header says, by its keys in lower case without blanks, and where it ends."""
    with path.open("rb") as stream:
        content = stream.read(HEADER_BYTES)
    nrrd, place, keys = content.startswith(b"NRRD"), 0, dict[str, str]()
    while place < len(content):
        line, _, _ = content[place:].partition(b"\n")
        place += len(line) + 1
        if nrrd and not line.strip():
            break
        if line.startswith((b"#", b"NRRD")) or (sign := SIGN.search(line)) is None or sign[0] == b":=":
            continue
        key = "".join(line[: sign.start()].decode(errors="replace").split()).lower()
        if key in keys:
            raise InputError(f"{path}: its header says {shortened(key)} twice; keep one of them")
        keys[key] = line[sign.end() :].decode(errors="replace").strip()
        if key == "elementdatafile":
            break
    return keys, min(place, len(content))
