"""`table.csv` of a cohort: subjects, spacing and covariates by the name of the image."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segue.cohort.io import split_suffix
from segue.cohort.io.limits import bounded_text
from segue.errors import InputError
from segue.text import one_line, shortened

SEPARATORS = ",;\t"
NAME_COLUMNS = ("name", "id")
SPACING = ("spacing_0", "spacing_1", "spacing_2")
EXCESS = "\0excess"  # what a row has beyond its header's columns
NOT_KNOWN = frozenset({"", "na", "n/a", "nan", "null", "none"})
"""Cells, in lower case, that say that a value is not known."""

Codes = Mapping[str, Mapping[str, float]]
"""By covariate, the number of each of its words: {"sex": {"M": 0, "F": 1}}."""


@dataclass(frozen=True)
class TableRow:
    """The row of one image; a covariate is NaN where the table has none."""

    subject: str | None = None
    spacing: tuple[float, ...] | None = None
    covariates: dict[str, float] = field(default_factory=dict)


class CohortTable:
    """A table that is read once, and whose rows are checked one at a time.

    Columns: `name` (or `id`), the file's name, with or without its suffix; optionally `subject`; optionally
    `spacing_0`, `spacing_1` (and `spacing_2`), mm per pixel of the file along its axes, which have precedence over
    the file's own; and the covariates. Columns are separated by a comma, a semicolon or a tab. Rows of other
    images are ignored.

    Args:
        path: of the table; where there is none, and no covariate is asked for, rows are empty.
        dims: the number of space axes. covariates: columns to read. codes: numbers for the words in them.

    Raises:
        InputError: it is no table, or a column is missing or given twice.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "table.csv"
    >>> _ = path.write_text("name;subject;sex\\np1_a.png;p1;F\\n")
    >>> CohortTable(path, dims=2, covariates=("sex",), codes={"sex": {"M": 0.0, "F": 1.0}}).row("p1_a")
    TableRow(subject='p1', spacing=None, covariates={'sex': 1.0})
    """

    def __init__(self, path: Path, *, dims: int, covariates: Sequence[str] = (), codes: Codes | None = None) -> None:
        self.path, self.covariates, self.codes = path, tuple(covariates), codes or {}
        self.exists = path.exists() or path.is_symlink()
        if self.exists:
            self.rows, self.columns = read_rows(path, (*SPACING[:dims], *self.covariates))
        elif covariates:
            raise InputError(f"{path}: no such file, but covariate {covariates[0]!r} is asked for; add the table")
        else:
            self.rows, self.columns = {}, ()
        self.spacing = spacing_columns(path, self.columns, dims)

    def row(self, name: str, *, complete: bool = True) -> TableRow:
        """The row of an image.

        Args:
            complete: whether a covariate that is not known is refused.

        Raises:
            InputError: there is none, there are several, or a cell does not hold what it should.
        """
        if not (self.covariates or self.spacing or "subject" in self.columns):  # nothing of it is used
            return TableRow()
        found = self.rows.get(name, [])
        if len(found) > 1:
            raise InputError(f"{self.path}: has several rows for {name!r}; keep one")
        if not found and (complete or "subject" in self.columns or self.spacing):
            raise InputError(f"{self.path}: has no row for {name!r}; add one")
        cells = found[0] if found else {}
        if EXCESS in cells:
            raise InputError(f"{self.path}: the row of {name!r} has more cells than columns; quote text with commas")
        subject = None
        if "subject" in self.columns and not (subject := cells["subject"]):
            raise InputError(f"{self.path}: the subject of {name!r} is empty; fill it in")
        values = {column: self._covariate(name, column, cells.get(column, "")) for column in self.covariates}
        if complete and (unknown := [column for column, value in values.items() if math.isnan(value)]):
            cell = f"{cells.get(unknown[0], '')!r}; give a number, or say cohort.missing: drop or mean"
            raise InputError(f"{self.path}: {unknown[0]!r} of {name!r} is {cell}")
        return TableRow(subject, self._spacing(name, cells), values)

    def _covariate(self, name: str, column: str, cell: str) -> float:
        """A number, or NaN where the cell says that it is not known."""
        codes = self.codes.get(column)
        if codes is not None and cell in codes:
            return float(codes[cell])
        if cell.lower() in NOT_KNOWN:
            return math.nan
        if codes is not None:
            given, known = shortened(cell), shortened(", ".join(codes))
            raise InputError(f"{self.path}: {column!r} of {shortened(name)!r} is {given!r}, not one of {known}")
        return number(self.path, name, column, cell)

    def _spacing(self, name: str, cells: Mapping[str, str]) -> tuple[float, ...] | None:
        if not self.spacing:
            return None
        spacing = tuple(number(self.path, name, column, cells[column]) for column in self.spacing)
        if min(spacing) <= 0:
            raise InputError(f"{self.path}: the spacing of {name!r} is {spacing}; give mm per pixel, above 0")
        return spacing


def spacing_columns(path: Path, columns: Sequence[str], dims: int) -> tuple[str, ...]:
    """The columns of the spacing: one an axis, or none.

    >>> spacing_columns(Path("table.csv"), ["name", "spacing_0"], 2)
    Traceback (most recent call last):
    segue.errors.InputError: table.csv: has spacing_0 alone; a grid of 2 axes has spacing_0, spacing_1
    """
    wanted = SPACING[:dims]
    present = tuple(column for column in wanted if column in columns)
    if present and present != wanted:
        raise InputError(f"{path}: has {', '.join(present)} alone; a grid of {dims} axes has {', '.join(wanted)}")
    return present


def read_rows(path: Path, used: Sequence[str]) -> tuple[dict[str, list[dict[str, str]]], tuple[str, ...]]:
    """The rows of a table by the image's name, all cells as text, and its columns.

    Args:
        used: columns that are read, beside those of the name and the subject.
    """
    try:
        text = bounded_text(path)
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator_of(text)))
    except csv.Error as error:
        reason = one_line(error)
        raise InputError(f"{path}: is not a CSV table ({reason}); export it again in UTF-8 with a header") from error
    if not lines:
        raise InputError(f"{path}: is not a CSV table (it is empty); export it again in UTF-8 with a header")
    header = [column.strip() for column in lines[0]]
    key = next((column for column in NAME_COLUMNS if column in header), None)
    if key is None:
        raise InputError(f"{path}: has no column 'name' (nor 'id') among {shortened(str(header), most=300)}; add it")
    check_columns(path, header, (key, "subject", *used))
    rows: dict[str, list[dict[str, str]]] = {}
    for cells in lines[1:]:
        row = dict.fromkeys(header, "") | dict(zip(header, map(str.strip, cells), strict=False))
        row |= {EXCESS: ",".join(cells[len(header) :])} if any(cells[len(header) :]) else {}
        rows.setdefault(split_suffix(row[key])[0], []).append(row)
    return rows, tuple(header)


def separator_of(text: str) -> str:
    """The separator of a table's columns: the one with which its header names images, and has most columns.

    >>> separator_of("name;age;remark, if any"), separator_of("name")
    (';', ',')
    """
    header = text.split("\n", 1)[0].strip()

    def columns(separator: str) -> tuple[bool, int]:
        found = [column.strip(' "') for column in header.split(separator)]
        return any(key in found for key in NAME_COLUMNS), len(found)

    return max(SEPARATORS, key=columns)


def check_columns(path: Path, header: Sequence[str], used: Sequence[str]) -> None:
    """Refuse a column that is needed and missing, and one that is used and there twice."""
    counts, among = Counter(header), shortened(str(list(header)), most=300)
    for column in used:
        if counts[column] > 1:
            raise InputError(f"{path}: has {counts[column]} columns {column!r}; keep one")
        if column not in ("subject", *SPACING) and not counts[column]:
            raise InputError(f"{path}: has no column for covariate {column!r} among {among}; add it")


def number(path: Path, name: str, column: str, text: str) -> float:
    """A cell as a number.

    >>> number(Path("table.csv"), "p1", "age", "63,7")
    Traceback (most recent call last):
    segue.errors.InputError: table.csv: 'age' of 'p1' is '63,7', with a decimal comma; write a decimal point
    """
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if math.isfinite(found) and "_" not in text:
        return found
    text, name, column = (shortened(one) for one in (text, name, column))
    if re.fullmatch(r"[-+]?\d+,\d+", text):
        raise InputError(f"{path}: {column!r} of {name!r} is {text!r}, with a decimal comma; write a decimal point")
    raise InputError(f"{path}: {column!r} of {name!r} is {text!r}; give a number (words: cohort.codes)")
