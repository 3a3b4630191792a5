"""One request of many images of the cohort: a table that says where it was met."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import polars as pl

from segue.anatomy import said_value
from segue.causal.request import Do
from segue.errors import InputError
from segue.explorer.arguments import PageRequest, refused
from segue.explorer.asking import Answer, ask
from segue.explorer.download import DownloadFile
from segue.explorer.markup import filled
from segue.explorer.models import Explored
from segue.explorer.panel import title
from segue.quoting import csv_text
from segue.report.columns import MISSING
from segue.text import in_digits, typeset, with_sign

MOST_IMAGES = 500
MAX_WRITTEN = 2000


class CohortCell(NamedTuple):
    """What the browser sorts by, and what is read."""

    value: str | float
    said: str

    @classmethod
    def of(cls, value: float | None, say: Callable[[float], str] = in_digits) -> "CohortCell":
        """A number, or that there is none."""
        return cls(MISSING, MISSING) if value is None else cls(float(f"{value:.4g}"), typeset(say(value)))


@dataclass(frozen=True)
class CohortRequest:
    """A request as it is written for images of different anatomy: changes, not values of one of them.

    >>> CohortRequest.read("lumen@mid=+20%, lumen@distal=-1sd", "segue", True, 10).do
    {'lumen@mid': '+20%', 'lumen@distal': '-1sd'}
    """

    do: Do
    method: str
    propagate: bool
    images: int

    @classmethod
    def read(cls, written: str, method: str, propagate: bool, images: int) -> "CohortRequest":
        """Read `variable=change, variable=change`.

        Raises:
            InputError: it is not of this form, or asks nothing.
        """
        if len(written) > MAX_WRITTEN:
            raise InputError(f"the request has {len(written)} characters; {MAX_WRITTEN} at most are read")
        pairs = [part.partition("=") for part in written.split(",") if part.strip()]
        if not pairs or not all(name.strip() and change.strip() for name, _, change in pairs):
            raise InputError(f"request {written!r}: write variable=change, for example lumen@mid=+20%")
        if not 1 <= images <= MOST_IMAGES:
            raise InputError(f"{images} images: give a number from 1 to {MOST_IMAGES}")
        do = {name.strip(): change.strip() for name, _, change in pairs}
        if said := refused(PageRequest, {"do": do}):
            raise InputError(said)
        return cls(do, method, propagate, images)


def columns_of(explored: Explored) -> list[str]:
    """The table's columns; errors by the judge where there is one."""
    measured = "judge" if explored.judge is not None else "guide"
    return ["image", "variable", "factual", "requested", f"achieved ({measured})", "error (sd)", "reach (%)", "verdict"]


def answer_cohort(explored: Explored, asked: CohortRequest) -> list[list[CohortCell]]:
    """One row for each image and variable of the request, in the cohort's order.

    Raises:
        InputError: there are no images, or the request cannot be answered.
    """
    if explored.source is None:
        raise InputError("this model has no images; give --cohort")
    rows: list[list[CohortCell]] = []
    for index in range(min(asked.images, len(explored.source.ids))):
        case = explored.choose(index).case
        answer = ask(explored, case, asked.do, [asked.method], propagate=asked.propagate)
        rows += [row_of(case.id, answer, name) for name in asked.do]
    return rows


def cohort_html(columns: list[str], rows: list[list[CohortCell]]) -> str:
    """The table as HTML; the browser sorts it."""
    file = DownloadFile("cohort.csv", table_csv(columns, rows))
    return filled("cohort.html.j2", columns=columns, rows=rows, file=file)


def table_csv(columns: list[str], rows: list[list[CohortCell]]) -> bytes:
    """The table as CSV, with the values that it is sorted by.

    >>> table_csv(["image", "reach (%)"], [[CohortCell("=1", "=1"), CohortCell.of(None)]])
    b"image,reach (%)\\n'=1,\\n"
    """
    values = [[None if cell.value == MISSING else cell.value for cell in row] for row in rows]
    return csv_text(pl.DataFrame(values, schema=columns, orient="row", infer_schema_length=None)).encode()


def row_of(image: str, answer: Answer, name: str) -> list[CohortCell]:
    """Factual and achieved values by the same segmentor: the judge, or the guide where there is no judge."""
    one = answer.readings[0]
    before, after = (answer.judge, one.judge) if one.judge else (answer.factual, one.guide)
    error = (after[name] - answer.requested[name]) / answer.sd[name] if name in after else None
    say, values = partial(said_value, name), (before.get(name), answer.requested[name], after.get(name))
    reach = None if one.verdict.reach is None else round(100 * one.verdict.reach, 1)
    areas = [CohortCell.of(value, say) for value in values]
    numbers = [*areas, CohortCell.of(error, with_sign), CohortCell.of(reach, "{:.1f}".format)]
    first, word = [CohortCell(text, text) for text in (image, title(name))], one.verdict.word_of(name)
    return [*first, *numbers, CohortCell(word, word)]
