"""Files of answers: what a page saves, read and checked against the key of its kit."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from segue.errors import InputError
from segue.files import write_text
from segue.readers.key import KitKey, ShownAnswer, ShownCase
from segue.text import one_line

QUESTIONS = {
    "happened": "Did what was asked happen?",
    "only_there": "Did nothing else change?",
    "plausible": "Could the result be real?",
}
"""Of the second part, each answered from 1 to 5."""
ANSWER_COLUMNS = ("kit", "reader", "case", "choice", "confidence", *QUESTIONS, "seconds")
CHOICES = ("real", "edited")
SCALE = range(1, 6)
SCALE_LEVELS = 2 * len(SCALE)
"""Of the first part's scale: 0 is surely real, 9 is surely edited."""
LARGEST_FILE = 2**20  # bytes; a page saves some ten thousand

AnswerRow = Mapping[str, str]


class Answers(NamedTuple):
    """What one reader answered.

    Attributes:
        first: by reading, its level on the scale of the first part (see `SCALE_LEVELS`).
        second: by answer shown, one rating a question. seconds: of each reading and answer, where they are known.
    """

    reader: str
    first: dict[ShownCase, int]
    second: dict[ShownAnswer, tuple[int, ...]]
    seconds: list[float]


def level(choice: str, confidence: int) -> int:
    """Where a choice and its confidence stand on the scale of the first part.

    >>> level("real", 5), level("real", 1), level("edited", 1), level("edited", 5)
    (0, 4, 5, 9)
    """
    return len(SCALE) - confidence if choice == CHOICES[0] else len(SCALE) - 1 + confidence


def read_all(paths: Sequence[Path], key: KitKey) -> list[Answers]:
    """The answers of several readers, in the order of the key.

    Raises:
        InputError: as of `read_answers`, or two files are of one reader.
    """
    found: dict[str, tuple[Path, Answers]] = {}
    for path in paths:
        answers = read_answers(path, key)
        if answers.reader in found:
            raise InputError(f"{path}: is of {answers.reader}, as is {found[answers.reader][0]}; give one of them")
        found[answers.reader] = path, answers
    return [found[reader][1] for reader in key.sheets if reader in found]


def read_answers(path: Path, key: KitKey) -> Answers:
    """The answers in a file.

    Raises:
        InputError: it is no such file, of another kit, not complete, or a value is not one of the scale.
    """
    rows = read_answer_rows(path)
    if other := {row["kit"] for row in rows} - {key.kit}:
        raise InputError(f"{path}: is of kit {min(other)!r}, not of {key.kit!r}; give answers to this kit")
    readers = {row["reader"] for row in rows}
    if len(readers) > 1 or not readers <= set(key.sheets):
        given, known = ", ".join(sorted(readers)), ", ".join(key.sheets)
        raise InputError(f"{path}: is of reader {given!r}; give one file a reader, of {known}")
    (reader,) = readers
    sheet, by_id = key.sheets[reader], rows_by_id(path, rows)
    ids = [one.id for one in sheet.first] + [one.id for one in sheet.second]
    if unknown := [id for id in by_id if id not in ids]:
        raise InputError(f"{path}: {reader} has no case {unknown[0]!r}; do not change the file that the page saved")
    if missing := [id for id in ids if id not in by_id]:
        raise InputError(
            f"{path}: lacks {len(missing)} of {len(ids)} cases, e.g. {missing[0]!r}; let {reader} finish the page"
        )
    return Answers(
        reader,
        {one: first_level(path, by_id[one.id]) for one in sheet.first},
        {one: tuple(rating(path, by_id[one.id], name) for name in QUESTIONS) for one in sheet.second},
        [seconds for row in rows if (seconds := duration_of(path, row)) is not None],
    )


def read_answer_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV table with a page's columns; a spreadsheet may have saved it with other separators."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise InputError(f"{path}: has more than {LARGEST_FILE >> 20} MiB; give the CSV file that the page saved")
        text = content.decode("utf-8-sig")
        head = text.split("\n", 1)[0]
        lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
        rows = [{name: (row[name] or "").strip() for name in row if isinstance(name, str)} for row in lines]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: is not a CSV table ({one_line(error)}); give the file that the page saved"
        ) from None
    if absent := [name for name in ANSWER_COLUMNS if name not in (lines.fieldnames or ())]:
        raise InputError(f"{path}: has no column {absent[0]!r}; give the CSV file that the page saved")
    if not rows:
        raise InputError(f"{path}: has no rows; give the CSV file that the page saved")
    return rows


def rows_by_id(path: Path, rows: Iterable[AnswerRow]) -> dict[str, AnswerRow]:
    """The rows by their case, each of which has one."""
    found: dict[str, AnswerRow] = {}
    for row in rows:
        if row["case"] in found:
            raise InputError(f"{path}: has case {row['case']!r} twice; do not change the file that the page saved")
        found[row["case"]] = row
    return found


def first_level(path: Path, row: AnswerRow) -> int:
    """The answer of the first part."""
    if row["choice"] not in CHOICES:
        raise InputError(f"{path}: choice of case {row['case']!r} is {row['choice']!r}; it is real or edited")
    return level(row["choice"], rating(path, row, "confidence"))


def rating(path: Path, row: AnswerRow, name: str) -> int:
    """A cell on the scale from 1 to 5."""
    if row[name] not in map(str, SCALE):
        raise InputError(f"{path}: {name} of case {row['case']!r} is {row[name]!r}; it is a number from 1 to 5")
    return int(row[name])


def duration_of(path: Path, row: AnswerRow) -> float | None:
    """How long a case was looked at; None where it is not said."""
    try:
        return float(row["seconds"]) if row["seconds"] else None
    except ValueError:
        raise InputError(f"{path}: seconds of case {row['case']!r} is {row['seconds']!r}; it is a number") from None


def save_answers(path: Path, key: KitKey, reader: str, levels: Mapping[int, int]) -> None:
    """Write answers to the first part, by case, as a page saves them.

    Args:
        levels: of each case (see `SCALE_LEVELS`); it is the same each time the case is read.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, ANSWER_COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    for one in key.sheets[reader].first:
        edited = levels[one.case] >= len(SCALE)
        confidence = levels[one.case] - len(SCALE) + 1 if edited else len(SCALE) - levels[one.case]
        cells = {"choice": CHOICES[edited], "confidence": str(confidence)}
        table.writerow({"kit": key.kit, "reader": reader, "case": one.id, **cells})
    write_text(path, text.getvalue())
