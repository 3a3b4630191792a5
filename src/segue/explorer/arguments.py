"""What programs and pages may send: each value's type and bounds, checked before anything is computed."""

import sys
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from segue.errors import InputError
from segue.explorer.limit import MAX_BODY_BYTES

MAX_TEXT, MAX_CHANGE, MAX_NAMES = 1024, 64, 1000


def change_sent(value: object) -> float | int | str:
    """A value of a request as it is; what a text says is read where requests are."""
    if isinstance(value, str) and len(value) <= MAX_CHANGE:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return value
    raise ValueError("give a finite number, or a change such as '+20%'")


Word = Annotated[str, Field(max_length=MAX_TEXT)]
Changes = Annotated[dict[Word, Annotated[float | int | str, PlainValidator(change_sent)]], Field(max_length=MAX_NAMES)]
Names = Annotated[list[Word], Field(max_length=MAX_NAMES)]


class Arguments(BaseModel):
    """Nothing is converted: `"no"` is no truth value, and NaN is no number."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class NoArguments(Arguments):
    """`/variables`"""


class SearchArguments(Arguments):
    """`/images`"""

    search: Word = ""
    limit: Annotated[int, Field(ge=0, le=100_000)] = 100


class RequestArguments(Arguments):
    """`/counterfactual`"""

    do: Changes
    image: Word = ""
    file: Annotated[str, Field(max_length=MAX_BODY_BYTES)] = ""
    name: Word = ""
    slice: Annotated[int, Field(ge=-1, le=1 << 20)] = -1
    given: Annotated[dict[Word, float], Field(max_length=MAX_NAMES)] | None = None
    methods: Word = ""
    propagate: bool = True
    hold: Names | None = None


class SweepArguments(Arguments):
    """`/sweep`"""

    variable: Word
    low: float
    high: float
    image: Word
    frames: Annotated[int, Field(ge=2, le=64)] = 9
    do: Changes | None = None
    method: Word = ""
    propagate: bool = True
    hold: Names | None = None


ENDPOINTS: dict[str, type[Arguments]] = {
    "variables": NoArguments,
    "images": SearchArguments,
    "counterfactual": RequestArguments,
    "sweep": SweepArguments,
}
"""By name, the arguments of what programs may call, in their order."""


class PageValue(Arguments):
    """What a part of the page sends; what else it sends is not read."""

    model_config = ConfigDict(extra="ignore")


class PageRequest(PageValue):
    """The sliders: of which image, and what is asked of it."""

    key: Word = ""
    do: Changes = {}


class PageLink(PageValue):
    """The address of the page; see `templates/link.js`."""

    image: Word | None = None
    do: Changes = {}
    methods: Names = []
    follow: bool = True


class PagePlace(PageValue):
    """The image that was clicked, by its place in the cohort; or the page of images."""

    index: int = 0
    page: Annotated[int, Field(ge=0, le=1 << 30)] = 0


class PageRow(PageValue):
    """The row of the table that was clicked."""

    image: Word


class PageVoxel(PageValue):
    """Where the planes of a volume meet; None: where it changed most."""

    place: Annotated[list[int], Field(min_length=3, max_length=3)] | None = None


Given = TypeVar("Given", bound=Arguments)


def refused(kind: type[Arguments], given: object) -> str:
    """Why arguments are refused, in one sentence; empty if they are not.

    >>> refused(RequestArguments, {"do": {}, "propagate": "no"})
    "propagate: input should be a valid boolean, but it is 'no'"
    >>> refused(RequestArguments, {"do": {"lumen@mid": float("nan")}, "image": "p1"})
    "do, lumen@mid: give a finite number, or a change such as '+20%', but it is nan"
    """
    try:
        kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ", ".join(str(part)[:MAX_TEXT] for part in first["loc"]) or "the request"
        said = first["msg"].removeprefix("Value error, ")
        said = said[0].lower() + said[1:]
        return f"{where}: {said}" + ("" if first["type"] == "missing" else f", but it is {first['input']!r:.80}")
    return ""


def read_part(kind: type[Given], given: object) -> Given:
    """What a part of the page sends; None stands for nothing.

    Raises:
        InputError: it is something else, because the page is old or was changed.
    """
    given = {} if given is None else given
    if said := refused(kind, given):
        raise InputError(f"{said}; load the page again")
    return kind.model_validate(given)
