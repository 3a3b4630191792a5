"""`table.csv` of a cohort: subjects, spacing and covariates by the name of the image."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from segue.errors import InputError


@dataclass(frozen=True)
class TableRow:
    """The row of one image."""

    subject: str | None = None
    spacing: tuple[float, ...] | None = None
    covariates: dict[str, float] = field(default_factory=dict)


def read_table(
    path: Path, *, names: list[str], dims: int, covariates: tuple[str, ...] = ()
) -> dict[str, TableRow]:
    """Read the rows of the named images; {} where there is no table and no covariate is asked for.

    Columns: `name` (or `id`), the file's name without its suffix; optionally `subject`; optionally `spacing_0`,
    `spacing_1` (and `spacing_2`), mm per pixel of the file along rows, columns (and slices), which have precedence over
    the file's own; and the covariates, which are numbers. Rows of other images are ignored.

    Raises:
        InputError: a row or column is missing, given twice, or not a number.
    """
    if not path.exists():
        if covariates:
            raise InputError(
                f"{path}: no such file, but covariate {covariates[0]!r} is asked for; add the table"
            )
        return {}
    rows = _rows_by_name(path, covariates)
    for name in names:
        if name not in rows:
            raise InputError(f"{path}: has no row for {name!r}; add one")
    return {name: _row(path, name, rows[name], dims, covariates) for name in names}


def _rows_by_name(path: Path, covariates: tuple[str, ...]) -> dict[str, dict[str, str | None]]:
    try:
        # As text, because as numbers the names 007 and 7 would be the same.
        frame = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: is not a CSV table ({reason}); export it again in UTF-8 with a header"
        ) from error
    frame = frame.rename({column: column.strip() for column in frame.columns})
    key = next((column for column in ("name", "id") if column in frame.columns), None)
    if key is None:
        raise InputError(f"{path}: has no column 'name' (nor 'id') among {frame.columns}; add it")
    for column in covariates:
        if column not in frame.columns:
            raise InputError(f"{path}: has no column for covariate {column!r} among {frame.columns}; add it")
    repeated = frame.filter(pl.col(key).is_duplicated())
    if len(repeated):
        raise InputError(f"{path}: has several rows for {repeated[key][0]!r}; keep one")
    return {row[key]: row for row in frame.iter_rows(named=True)}


def _row(path: Path, name: str, row: dict[str, str | None], dims: int, covariates: tuple[str, ...]) -> TableRow:
    subject = None
    if "subject" in row:
        subject = (row["subject"] or "").strip()
        if not subject:
            raise InputError(f"{path}: the subject of {name!r} is empty; fill it in")
    values = {column: _number(path, name, column, row[column]) for column in covariates}
    return TableRow(subject, _spacing(path, name, row, dims), values)


def _spacing(path: Path, name: str, row: dict[str, str | None], dims: int) -> tuple[float, ...] | None:
    columns = [f"spacing_{axis}" for axis in range(dims)]
    present = [column for column in columns if column in row]
    if not present:
        return None
    if present != columns:
        raise InputError(
            f"{path}: has {', '.join(present)} alone; a grid of {dims} axes has {', '.join(columns)}"
        )
    spacing = tuple(_number(path, name, column, row[column]) for column in columns)
    if min(spacing) <= 0:
        raise InputError(f"{path}: the spacing of {name!r} is {spacing}; give mm per pixel, above 0")
    return spacing


def _number(path: Path, name: str, column: str, text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{path}: {column!r} of {name!r} is {text or ''!r}; give a number")
    return number
