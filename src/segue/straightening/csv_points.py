"""Points from a text table: columns x, y, z in mm, separated by commas, semicolons, tabs or spaces.

Lines that begin with `#` may state `proximal: first` and `space: LPS`; so may columns of these names, with the same
word in every row. Other columns are passed over.
"""

import re
from pathlib import Path

import numpy as np

from segue.cohort.io.limits import bounded_text
from segue.errors import InputError
from segue.straightening.stated import Stated
from segue.text import shortened

STATEMENT = re.compile(r"#\s*(proximal|space)\s*[:=]\s*(\w+)", re.IGNORECASE)


def read_csv(path: Path, part: int | None = None) -> Stated:
    """The points of a table.

    Raises:
        InputError: it is no text, has no columns x, y and z, or a row that is no point.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "line.csv"
    >>> _ = file.write_text("# proximal: last\\nx,y,z\\n1,2,3\\n1,2,4\\n")
    >>> read_csv(file).points.tolist(), read_csv(file).proximal
    ([[1.0, 2.0, 3.0], [1.0, 2.0, 4.0]], 'last')
    """
    if part is not None:
        raise InputError(f"{path}: a table has one line; leave out --part")
    lines = bounded_text(path).splitlines()
    comments = [line for line in lines if line.lstrip().startswith("#")]
    rows = [cells(line) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    names = [name.lower() for name in rows[0]] if rows else []
    if not {"x", "y", "z"} <= set(names):
        first = shortened(", ".join(names)) or "nothing"
        raise InputError(f"{path}: begins with {first}; give a header with columns x, y, z")
    columns = [names.index(axis) for axis in "xyz"]
    points = np.array([point(path, i, row, columns) for i, row in enumerate(rows[1:], 2)]).reshape(-1, 3)
    said = {key.lower(): value for line in comments for key, value in STATEMENT.findall(line)}
    said |= {key: word for key in ("proximal", "space") if (word := word_in(path, key, names, rows[1:])) is not None}
    space = said.get("space")
    return Stated(points, said.get("proximal", "").lower() or None, space and space.upper())


def cells(line: str) -> list[str]:
    """The cells of a row."""
    separator = next((mark for mark in (";", "\t", ",") if mark in line), None)
    return [cell.strip().strip('"') for cell in line.split(separator)]


def point(path: Path, number: int, row: list[str], columns: list[int]) -> list[float]:
    """x, y, z of the `number`-th row."""
    try:
        found = [float(row[column]) for column in columns]
    except (ValueError, IndexError):
        found = [np.nan]
    if not np.isfinite(found).all():
        given = shortened(", ".join(row))
        raise InputError(f"{path}: row {number} is {given}; give x, y and z in mm, with decimal points")
    return found


def word_in(path: Path, key: str, names: list[str], rows: list[list[str]]) -> str | None:
    """The one word of the column `key`, if there is such a column."""
    if key not in names:
        return None
    at = names.index(key)
    words = {row[at] for row in rows if at < len(row)}
    if len(words) != 1:
        raise InputError(f"{path}: column {key} holds {len(words)} different words; give the same in every row")
    return words.pop()
