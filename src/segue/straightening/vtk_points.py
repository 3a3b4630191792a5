"""The points of a line in VTK polydata: XML (`.vtp`) in all its encodings, and legacy `.vtk` in ASCII.

After "VTK File Formats" (docs.vtk.org). VTK itself is a large dependency for three arrays.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float, Int

from segue.errors import InputError
from segue.straightening.stated import Stated
from segue.straightening.vtk_arrays import ArrayLayout, array_of

APPENDED = re.compile(rb"<AppendedData[^<>]*>\s*_")


def read_vtk(path: Path, part: int | None = None) -> Stated:
    """The points of the line `part`, in the line's order.

    Raises:
        InputError: the file is damaged or of another kind, or has several lines and none is named.
    """
    content = path.read_bytes()
    try:
        points, lines = legacy(content) if content.startswith(b"# vtk") else xml(content)
        chosen = choose(path, lines, part)
        return Stated(points[chosen])
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except Exception as error:  # a damaged file makes a parser raise nearly anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise InputError(f"{path}: cannot be read as VTK polydata ({reason}); save it again") from None


def choose(path: Path, lines: Sequence[Int[np.ndarray, " _"]], part: int | None) -> Int[np.ndarray, " _"]:
    """One of the lines."""
    if not lines:
        raise InputError(f"{path}: has no lines, only points; save the centreline as a polyline")
    if part is None and len(lines) > 1:
        raise InputError(f"{path}: has {len(lines)} lines; choose one with --part 0 to {len(lines) - 1}")
    if not 0 <= (part or 0) < len(lines):
        raise InputError(f"{path}: has {len(lines)} lines, no line {part}; give --part 0 to {len(lines) - 1}")
    return lines[part or 0]


def split_lines(connectivity: Int[np.ndarray, " n"], offsets: Int[np.ndarray, " line"]) -> list[Int[np.ndarray, " _"]]:
    """The point numbers of each line; `offsets` are the ends of the lines.

    >>> [line.tolist() for line in split_lines(np.array([3, 1, 0, 2]), np.array([3, 4]))]
    [[3, 1, 0], [2]]
    """
    return np.split(connectivity, offsets)[:-1]


def xml(content: bytes) -> tuple[Float[np.ndarray, "point 3"], list[Int[np.ndarray, " _"]]]:
    """Points and lines of a `.vtp` file."""
    appended = b""
    if found := APPENDED.search(content):  # raw bytes are no XML
        end = content.rindex(b"</AppendedData>")
        appended = content[found.end() : end]
        content = content[: found.end() - 1] + content[end:]
    root = ElementTree.fromstring(content)
    if root.get("type") != "PolyData":
        raise InputError(f"is VTK {root.get('type')}, not PolyData; save the centreline as polydata")
    pieces = root.findall("PolyData/Piece")
    if len(pieces) != 1:
        raise InputError(f"has {len(pieces)} pieces; save it as one")
    section = root.find("AppendedData")
    layout = ArrayLayout.of(root.attrib, appended, raw=section is not None and section.get("encoding") == "raw")
    (points,) = pieces[0].findall("Points/DataArray")
    named = {array.get("Name"): array for array in pieces[0].findall("Lines/DataArray")}
    connectivity, offsets = (array_of(named[name], layout).astype(int) for name in ("connectivity", "offsets"))
    return array_of(points, layout).astype(float).reshape(-1, 3), split_lines(connectivity, offsets)


def legacy(content: bytes) -> tuple[Float[np.ndarray, "point 3"], list[Int[np.ndarray, " _"]]]:
    """Points and lines of a legacy file, of version 5.1 or before."""
    head, _, body = content.partition(b"DATASET")
    if b"ASCII" not in head.split():
        raise InputError("is a binary legacy file; save it as .vtp, or as ASCII")
    kind, *words = body.decode("ascii").split()
    if kind != "POLYDATA":
        raise InputError(f"is VTK {kind}, not POLYDATA; save the centreline as polydata")
    count = int(words[words.index("POINTS") + 1])
    points = numbers_after(words, words.index("POINTS") + 3, 3 * count, float).reshape(-1, 3)
    if "LINES" not in words:
        return points, []
    at = words.index("LINES")
    one, other = int(words[at + 1]), int(words[at + 2])
    if words[at + 3] == "OFFSETS":
        offsets = numbers_after(words, at + 5, one, int)
        return points, split_lines(numbers_after(words, at + 7 + one, other, int), offsets[1:])
    flat, lines = numbers_after(words, at + 3, other, int), []
    while len(flat):
        if flat[0] < 1:
            raise InputError(f"has a line of {flat[0]} points; save it again")
        lines.append(flat[1 : 1 + flat[0]])
        flat = flat[1 + flat[0] :]
    return points, lines


def numbers_after(words: list[str], at: int, count: int, kind: type) -> np.ndarray:
    """`count` numbers from the `at`-th word on."""
    if len(words) < at + count:
        raise InputError("ends before its last number; save it again")
    return np.array(words[at : at + count]).astype(kind)
