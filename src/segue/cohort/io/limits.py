"""What keeps a foreign file from taking the machine, or from passing for another.

Sizes are read from headers before anything is decoded. Streams are counted while they inflate, and read to their end,
where their checksum is. What a decoder raises is said in one line.
"""

import math
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segue.errors import InputError
from segue.text import one_line, shortened

__all__ = ["SETTING", "bounded_text", "check_decoded", "decoding", "inflate_all", "most_bytes", "read_to_end"]

SETTING, USUAL_MB = "SEGUE_MAX_DECODED_MB", 512
"""The environment variable with the most megabytes (2^20 bytes) that one file may hold once it is decoded."""
LONGEST_SIDE = 1 << 15  # pixels; a change of grid takes time and memory in proportion to the longest side
BLOCK = 1 << 20  # bytes that are inflated at a time
MOST_TEXT = 64 << 20  # bytes of a table
ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS


def most_bytes() -> int:
    """The bytes that one file may hold once it is decoded.

    Raises:
        InputError: the setting is no number of megabytes.

    >>> most_bytes() >> 20
    512
    """
    stated = os.environ.get(SETTING, str(USUAL_MB))
    if not (stated.isascii() and stated.isdigit() and len(stated) <= 9 and int(stated) > 0):
        raise InputError(f"{SETTING} is {shortened(stated)!r}: give megabytes, such as {USUAL_MB}")
    return int(stated) << 20


def check_decoded(path: Path, shape: Sequence[int], pixel_bytes: int, further: int = 0) -> None:
    """Refuse an image without pixels, and one that is too large once it is decoded.

    Args:
        shape: in the file's header, channels aside. pixel_bytes: of a decoded pixel, all channels.
        further: bytes that are read beside the pixels.

    >>> check_decoded(Path("a.png"), (40_000, 30_000), 1)
    Traceback (most recent call last):
    segue.errors.InputError: a.png: has a side of 40000 pixels; 32,768 at most are taken: crop it
    >>> check_decoded(Path("a.nii"), (0, 48), 4)
    Traceback (most recent call last):
    segue.errors.InputError: a.nii: has the shape (0, 48), so no pixels; export it again
    """
    if not shape or min(shape) < 1:
        raise InputError(f"{path}: has the shape {tuple(shape)}, so no pixels; export it again")
    if max(shape) > LONGEST_SIDE:
        raise InputError(f"{path}: has a side of {max(shape)} pixels; {LONGEST_SIDE:,} at most are taken: crop it")
    if (total := math.prod(shape) * pixel_bytes + further) > most_bytes():
        raise InputError(f"{path}: {too_large(total)}")


def too_large(total: int) -> str:
    """The message about a file that is too large once it is decoded."""
    more = f"takes {-(-total >> 20):,} MB once it is decoded, and {most_bytes() >> 20:,} are allowed"
    return f"{more}; crop it, or allow more by {SETTING}"


def read_to_end(path: Path, stream: Any, read: int = 0) -> int:
    """Read what is left of a decompressing stream, so that its checksum is compared; nothing is kept.

    Args:
        read: bytes that it has given already.

    Returns:
        The bytes of the whole stream.
    """
    while block := stream.read(BLOCK):
        if (read := read + len(block)) > most_bytes():
            raise InputError(f"{path}: {too_large(read)}")
    return read


def inflate_all(path: Path, start: int, *, most: int | None = None, wbits: int = ZLIB_OR_GZIP) -> tuple[int, int]:
    """Inflate what a file holds from `start` on, for its checksum and its length; nothing is kept.

    Args:
        most: compressed bytes that are read. wbits: as of zlib; usually both zlib and gzip are taken.

    Returns:
        The bytes once they are inflated, and those that are compressed.

    Raises:
        InputError: there are more than is allowed. zlib.error, EOFError: they are damaged, or cut off.
    """
    inflate, total, read = zlib.decompressobj(wbits), 0, 0
    with path.open("rb") as stream:
        stream.seek(start)
        while not inflate.eof:
            if not (given := inflate.unconsumed_tail):
                given = stream.read(BLOCK if most is None else min(BLOCK, most - read))
                read += len(given)
            if not given:
                raise EOFError("compressed values are cut off")
            total += len(inflate.decompress(given, BLOCK))
            if total > most_bytes():
                raise InputError(f"{path}: {too_large(total)}")
    return total, read - len(inflate.unused_data)


def bounded_text(path: Path) -> str:
    """The text of a table or of settings.

    Raises:
        InputError: it cannot be read, is no text in UTF-8, or is too long.

    >>> bounded_text(Path("nowhere.csv"))
    Traceback (most recent call last):
    segue.errors.InputError: nowhere.csv: cannot be read (No such file or directory); check the path and its permissions
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_TEXT + 1)
        if len(content) > MOST_TEXT:
            raise InputError(f"{path}: has more than {MOST_TEXT >> 20} MB of text; is it the right file?")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text in UTF-8 ({one_line(error)}); export it again in UTF-8") from None


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Whatever a decoder raises about a file becomes one line.

    >>> import struct
    >>> with decoding(Path("a.png")):
    ...     raise struct.error("unpack requires a buffer of 4 bytes")
    Traceback (most recent call last):
    segue.errors.InputError: a.png: cannot be decoded (error: unpack requires a buffer of 4 bytes); export it again
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a damaged file makes a decoder raise nearly anything
        reason = shortened(f"{type(error).__name__}: {one_line(error)}", most=200)
        raise InputError(f"{path}: cannot be decoded ({reason}); export it again") from error
