"""The requests for every image of a cohort: a plan in YAML, checked completely before anything runs.

A plan has exactly one of the keys of `PLAN_FORMS`, and optionally `propagate`, `hold` and `shard`. Every form maps the
id of an image to its requests. They depend on the plan and the id only.
"""

import hashlib
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from segue.causal.request import Intervention, Request, known_variable
from segue.errors import InputError, nearest
from segue.text import one_line
from segue.yaml_text import read_yaml

RequestText = Mapping[str, str]
"""One request: by variable, a value, change or quantile as text. Empty: the null request."""

REQUESTS_FILE = "requests.csv"  # the name of the table beside a resolved plan
MAX_REQUESTS = 10_000  # per image; a grid of several variables can easily be larger than intended


@runtime_checkable
class Requests(Protocol):
    """The requests of one form of plan.

    Attributes:
        most: the largest number of requests for one image.
    """

    @property
    def most(self) -> int: ...

    def of(self, id: str) -> tuple[RequestText, ...]:
        """The requests for an image; () if there are none."""
        ...

    def plain(self) -> dict[str, Any]:
        """The plan as YAML, with its defaults."""
        ...


@dataclass(frozen=True)
class SameRequests:
    """The same requests for each image."""

    requests: tuple[RequestText, ...]

    @property
    def most(self) -> int:
        return len(self.requests)

    def of(self, id: str) -> tuple[RequestText, ...]:
        return self.requests

    def plain(self) -> dict[str, Any]:
        return {"interventions": [dict(do) for do in self.requests]}


@dataclass(frozen=True)
class RandomRequests:
    """`count` requests per image; each sets a random variable to a random quantile of its training values.

    The draw depends on the seed and the image's id, not on the rest of the cohort.
    """

    count: int
    seed: int
    variables: tuple[str, ...]

    @property
    def most(self) -> int:
        return self.count

    def of(self, id: str) -> tuple[RequestText, ...]:
        name = int.from_bytes(hashlib.sha256(id.encode()).digest()[:16])
        random = np.random.default_rng((self.seed, name))
        chosen = random.integers(len(self.variables), size=self.count)
        levels = random.random(self.count)
        return tuple({self.variables[v]: f"q{q:.4f}"} for v, q in zip(chosen, levels, strict=True))

    def plain(self) -> dict[str, Any]:
        return {"random": {"count": self.count, "seed": self.seed, "variables": list(self.variables)}}


@dataclass(frozen=True)
class TableRequests:
    """Requests by the image's id, from the CSV file `table`; other images have none."""

    table: Path
    rows: Mapping[str, tuple[RequestText, ...]]

    @property
    def most(self) -> int:
        return max(map(len, self.rows.values()))

    def of(self, id: str) -> tuple[RequestText, ...]:
        return self.rows.get(id, ())

    def plain(self) -> dict[str, Any]:
        return {"table": REQUESTS_FILE}


@dataclass(frozen=True)
class Plan:
    """The requests, how effects follow, and how many consecutive images form a shard.

    Attributes:
        propagate, hold: see `Model.counterfactual`.
        shard: images; None: chosen by their size.
    """

    requests: Requests
    shard: int | None = None
    propagate: bool = True
    hold: tuple[str, ...] = ()

    def requests_of(self, id: str) -> list[Request]:
        """The requests for an image; [] where it is not asked for."""
        return [Request(do, self.propagate, self.hold) for do in self.requests.of(id)]


def read_plan(path: Path, variables: tuple[str, ...]) -> Plan:
    """Read and check a plan about `variables`.

    Raises:
        InputError: one line that names the file, the key and the mend.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "plan.yaml"
    >>> _ = path.write_text("each: {values: [+1sd, -1sd]}")
    >>> plan = read_plan(path, ("lumen@mid", "lumen@distal"))
    >>> plan.requests.of("any id")[0], plan.requests.most
    ({'lumen@mid': '+1sd'}, 4)
    """
    path = Path(path)
    content = read_content(path)
    given = [key for key in PLAN_FORMS if key in content]
    if len(given) != 1:
        found = " and ".join(given) or "no request"
        raise InputError(f"{path}: gives {found}; give exactly one of {', '.join(PLAN_FORMS)}")
    shard, propagate, hold = content.get("shard"), content.get("propagate", True), content.get("hold", [])
    if shard is not None and not is_whole(shard, least=1):
        raise InputError(f"{path}: shard is {shard!r}; give a number of images, 1 or more")
    if not isinstance(propagate, bool):
        raise InputError(f"{path}: propagate is {propagate!r}; give true or false")
    try:
        held = named_variables(hold, variables) if hold else ()
    except InputError as error:
        raise InputError(f"{path}: hold: {error}") from None
    try:
        return Plan(PLAN_FORMS[given[0]](content[given[0]], variables, path.parent), shard, propagate, held)
    except InputError as error:
        raise InputError(f"{path}: {given[0]}: {error}") from None


def read_content(path: Path) -> dict[str, Any]:
    """The content of a plan, with known keys."""
    if not path.is_file():
        raise InputError(f"{path}: no such plan; give a YAML file, e.g. `each: {{variables: all, values: [+1sd]}}`")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: a plan is a mapping with one of the keys {', '.join(PLAN_FORMS)}")
    known = (*PLAN_FORMS, "propagate", "hold", "shard")
    if unknown := [key for key in content if key not in known]:
        raise InputError(f"{path}: unknown key {unknown[0]}{nearest(str(unknown[0]), known)}")
    return content


def from_interventions(content: Any, variables: tuple[str, ...], folder: Path) -> SameRequests:
    """`[{lumen@mid: "+20%"}, {lumen@mid: 4.2, lumen@distal: "-1sd"}]`: these requests for every image."""
    if not isinstance(content, list) or not content or not all(isinstance(one, dict) for one in content):
        raise InputError(f"give a list of mappings, e.g. [{{{variables[0]}: +20%}}]")
    check_count(len(content))
    return SameRequests(tuple(checked(one, variables) for one in content))


def from_grid(content: Any, variables: tuple[str, ...], folder: Path) -> SameRequests:
    """`{lumen@mid: ["-20%", "+20%"], lumen@distal: [3, 4]}`: all combinations; the last variable varies fastest."""
    lists = isinstance(content, dict) and all(isinstance(values, list) and values for values in content.values())
    if not lists or not content:
        raise InputError(f"give a mapping of variables to lists of values, e.g. {{{variables[0]}: [-20%, +20%]}}")
    check_count(math.prod(len(values) for values in content.values()))
    combined = itertools.product(*content.values())
    return SameRequests(tuple(checked(dict(zip(content, values, strict=True)), variables) for values in combined))


def from_each(content: Any, variables: tuple[str, ...], folder: Path) -> SameRequests:
    """`{variables: all, values: ["+1sd", "-1sd"]}`: one variable at a time, each with every value."""
    content = keyed(content, ("variables", "values"), required=("values",))
    names, values = named_variables(content.get("variables", "all"), variables), content["values"]
    if not isinstance(values, list) or not values:
        raise InputError("values: give a list, e.g. [+1sd, -1sd]")
    check_count(len(names) * len(values))
    return SameRequests(tuple(checked({name: value}, variables) for name in names for value in values))


def from_random(content: Any, variables: tuple[str, ...], folder: Path) -> RandomRequests:
    """`{count: 9, seed: 0, variables: all}`: for each image, random variables at random quantiles."""
    content = keyed(content, ("count", "seed", "variables"), required=("count",))
    count, seed = content["count"], content.get("seed", 0)
    if not is_whole(count, least=1):
        raise InputError(f"count is {count!r}; give a number of requests, 1 or more")
    if not is_whole(seed, least=0):
        raise InputError(f"seed is {seed!r}; give a whole number, 0 or more")
    check_count(count)
    return RandomRequests(count, seed, named_variables(content.get("variables", "all"), variables))


def from_table(content: Any, variables: tuple[str, ...], folder: Path) -> TableRequests:
    """`requests.csv` beside the plan: a column id, then variables; an empty cell requests nothing."""
    if not isinstance(content, str):
        raise InputError("give the name of a CSV file")
    path = folder / content
    try:
        frame = pl.read_csv(path, infer_schema=False)  # as text: the ids 007 and 7 are two
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({one_line(error)}); give a table with a header") from None
    names = [column for column in frame.columns if column != "id"]
    if len(names) == len(frame.columns) or not len(frame) or frame["id"].null_count():
        raise InputError(f"{path}: give a column id and a row for each request, each with the id of its image")
    for name in names:
        known_variable(name, variables)
    rows: dict[str, list[RequestText]] = {}
    for number, row in enumerate(frame.iter_rows(named=True), start=2):
        asked = {name: row[name].strip() for name in names if (row[name] or "").strip()}
        try:
            rows.setdefault(row["id"], []).append(checked(asked, variables))
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error}") from None
    listed = TableRequests(path, {id: tuple(requests) for id, requests in rows.items()})
    check_count(listed.most)
    return listed


PLAN_FORMS: dict[str, Callable[[Any, tuple[str, ...], Path], Requests]] = {
    "interventions": from_interventions,
    "grid": from_grid,
    "each": from_each,
    "random": from_random,
    "table": from_table,
}


def checked(do: Mapping[Any, Any], variables: tuple[str, ...]) -> RequestText:
    """The request, if its variables exist and its values can be parsed."""
    for name, value in do.items():
        known_variable(str(name), variables)
        Intervention.parse(str(name), str(value))
    return {str(name): str(value) for name, value in do.items()}


def named_variables(content: Any, variables: tuple[str, ...]) -> tuple[str, ...]:
    """The variables that a plan names: `all`, or a list."""
    if content == "all":
        return variables
    if not isinstance(content, list) or not content:
        raise InputError(f"variables is {content!r}; give all, or a list of names")
    return tuple(known_variable(str(name), variables) for name in content)


def keyed(content: Any, known: tuple[str, ...], *, required: tuple[str, ...]) -> dict[str, Any]:
    """The mapping, if it has known keys only and all required ones."""
    if not isinstance(content, dict):
        raise InputError(f"give a mapping with the keys {', '.join(known)}")
    if unknown := [key for key in content if key not in known]:
        raise InputError(f"unknown key {unknown[0]}{nearest(str(unknown[0]), known)}")
    if missing := [key for key in required if key not in content]:
        raise InputError(f"{missing[0]} is missing; add it")
    return content


def is_whole(value: Any, *, least: int) -> bool:
    """Whether a value is a whole number, `least` or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_count(requests: int) -> None:
    """Refuse more requests per image than `MAX_REQUESTS`."""
    if requests > MAX_REQUESTS:
        raise InputError(f"makes {requests:,} requests an image; ask for {MAX_REQUESTS:,} at most")
