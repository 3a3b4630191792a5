"""What to ask of every image of a cohort: a plan in YAML, checked as a whole before anything runs.

A plan has exactly one of the keys of `FORMS`, and perhaps `propagate`, `hold` and `shard`. Every form comes down to one
question, "which requests for the image of this id?", whose answer depends on the plan and the id alone.
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
import yaml

from segue.causal.request import Intervention, Request, known_variable
from segue.errors import InputError, nearest
from segue.text import one_line

Do = Mapping[str, str]
"""One request: by variable, what is asked of it, as text. Empty: the image itself."""

REQUESTS = "requests.csv"  # the table's name beside a resolved plan
MOST = 10_000  # requests an image; a grid of many variables is easily beyond what anyone means


@runtime_checkable
class Requests(Protocol):
    """What a form of plan answers.

    Attributes:
        most: of all images, the largest number of requests.
    """

    @property
    def most(self) -> int: ...

    def of(self, id: str) -> tuple[Do, ...]:
        """The requests for an image; () where it is not asked for."""
        ...

    def plain(self) -> dict[str, Any]:
        """The plan's YAML, defaults filled in."""
        ...


@dataclass(frozen=True)
class Everyone:
    """The same requests for each image."""

    requests: tuple[Do, ...]

    @property
    def most(self) -> int:
        return len(self.requests)

    def of(self, id: str) -> tuple[Do, ...]:
        return self.requests

    def plain(self) -> dict[str, Any]:
        return {"interventions": [dict(do) for do in self.requests]}


@dataclass(frozen=True)
class Drawn:
    """`count` requests an image, each one drawn variable set to a drawn quantile of its training values.

    The draw depends on the seed and the image's id, not on the cohort around it.
    """

    count: int
    seed: int
    variables: tuple[str, ...]

    @property
    def most(self) -> int:
        return self.count

    def of(self, id: str) -> tuple[Do, ...]:
        name = int.from_bytes(hashlib.sha256(id.encode()).digest()[:16])
        random = np.random.default_rng((self.seed, name))
        chosen = random.integers(len(self.variables), size=self.count)
        levels = random.random(self.count)
        return tuple({self.variables[v]: f"q{q:.4f}"} for v, q in zip(chosen, levels, strict=True))

    def plain(self) -> dict[str, Any]:
        return {"random": {"count": self.count, "seed": self.seed, "variables": list(self.variables)}}


@dataclass(frozen=True)
class Listed:
    """Requests by the image's id, from the CSV file `table`; images that it does not name are left out."""

    table: Path
    rows: Mapping[str, tuple[Do, ...]]

    @property
    def most(self) -> int:
        return max(map(len, self.rows.values()))

    def of(self, id: str) -> tuple[Do, ...]:
        return self.rows.get(id, ())

    def plain(self) -> dict[str, Any]:
        return {"table": REQUESTS}


@dataclass(frozen=True)
class Plan:
    """The requests, what follows from them, and how many consecutive images are worked on together.

    Attributes:
        propagate, hold: as of `Model.counterfactual`.
        shard: None: as many as suit their size.
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
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such plan; give a YAML file, e.g. `each: {{variables: all, values: [+1sd]}}`")
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a plan is a mapping with one of the keys {', '.join(FORMS)}")
    known = (*FORMS, "propagate", "hold", "shard")
    if unknown := [key for key in content if key not in known]:
        raise InputError(f"{path}: unknown key {unknown[0]}{nearest(str(unknown[0]), known)}")
    given = [key for key in FORMS if key in content]
    if len(given) != 1:
        raise InputError(f"{path}: gives {' and '.join(given) or 'no request'}; give exactly one of {', '.join(FORMS)}")
    shard = content.get("shard")
    if shard is not None and not whole(shard, least=1):
        raise InputError(f"{path}: shard is {shard!r}; give a number of images, 1 or more")
    propagate, hold = content.get("propagate", True), content.get("hold", [])
    if not isinstance(propagate, bool):
        raise InputError(f"{path}: propagate is {propagate!r}; give true or false")
    try:
        held = chosen(hold, variables) if hold else ()
    except InputError as error:
        raise InputError(f"{path}: hold: {error}") from None
    try:
        return Plan(FORMS[given[0]](content[given[0]], variables, path.parent), shard, propagate, held)
    except InputError as error:
        raise InputError(f"{path}: {given[0]}: {error}") from None


def interventions(content: Any, variables: tuple[str, ...], folder: Path) -> Everyone:
    """`[{lumen@mid: "+20%"}, {lumen@mid: 4.2, lumen@distal: "-1sd"}]`: each for every image."""
    if not isinstance(content, list) or not content or not all(isinstance(one, dict) for one in content):
        raise InputError(f"give a list of mappings, e.g. [{{{variables[0]}: +20%}}]")
    limit(len(content))
    return Everyone(tuple(checked(one, variables) for one in content))


def grid(content: Any, variables: tuple[str, ...], folder: Path) -> Everyone:
    """`{lumen@mid: ["-20%", "+20%"], lumen@distal: [3, 4]}`: all combinations, the last variable varying fastest."""
    lists = isinstance(content, dict) and all(isinstance(values, list) and values for values in content.values())
    if not lists or not content:
        raise InputError(f"give a mapping of variables to lists of values, e.g. {{{variables[0]}: [-20%, +20%]}}")
    limit(math.prod(len(values) for values in content.values()))
    combined = itertools.product(*content.values())
    return Everyone(tuple(checked(dict(zip(content, values, strict=True)), variables) for values in combined))


def each(content: Any, variables: tuple[str, ...], folder: Path) -> Everyone:
    """`{variables: all, values: ["+1sd", "-1sd"]}`: one variable at a time, each with every value."""
    content = keyed(content, ("variables", "values"), required=("values",))
    names, values = chosen(content.get("variables", "all"), variables), content["values"]
    if not isinstance(values, list) or not values:
        raise InputError("values: give a list, e.g. [+1sd, -1sd]")
    limit(len(names) * len(values))
    return Everyone(tuple(checked({name: value}, variables) for name in names for value in values))


def random(content: Any, variables: tuple[str, ...], folder: Path) -> Drawn:
    """`{count: 9, seed: 0, variables: all}`: by image, drawn variables set to drawn quantiles."""
    content = keyed(content, ("count", "seed", "variables"), required=("count",))
    count, seed = content["count"], content.get("seed", 0)
    if not whole(count, least=1):
        raise InputError(f"count is {count!r}; give a number of requests, 1 or more")
    if not whole(seed, least=0):
        raise InputError(f"seed is {seed!r}; give a whole number, 0 or more")
    limit(count)
    return Drawn(count, seed, chosen(content.get("variables", "all"), variables))


def table(content: Any, variables: tuple[str, ...], folder: Path) -> Listed:
    """`requests.csv` beside the plan: a column id, then variables; an empty cell is left as it is in fact."""
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
    rows: dict[str, list[Do]] = {}
    for number, row in enumerate(frame.iter_rows(named=True), start=2):
        asked = {name: row[name].strip() for name in names if (row[name] or "").strip()}
        try:
            rows.setdefault(row["id"], []).append(checked(asked, variables))
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error}") from None
    listed = Listed(path, {id: tuple(requests) for id, requests in rows.items()})
    limit(listed.most)
    return listed


FORMS: dict[str, Callable[[Any, tuple[str, ...], Path], Requests]] = {
    "interventions": interventions, "grid": grid, "each": each, "random": random, "table": table
}  # fmt: skip


def checked(do: Mapping[Any, Any], variables: tuple[str, ...]) -> Do:
    """A request whose variables exist and whose values can be read."""
    for name, value in do.items():
        known_variable(str(name), variables)
        Intervention.parse(str(name), str(value))
    return {str(name): str(value) for name, value in do.items()}


def chosen(content: Any, variables: tuple[str, ...]) -> tuple[str, ...]:
    """`all`, or a list of names."""
    if content == "all":
        return variables
    if not isinstance(content, list) or not content:
        raise InputError(f"variables is {content!r}; give all, or a list of names")
    return tuple(known_variable(str(name), variables) for name in content)


def keyed(content: Any, known: tuple[str, ...], *, required: tuple[str, ...]) -> dict[str, Any]:
    """A mapping with known keys."""
    if not isinstance(content, dict):
        raise InputError(f"give a mapping with the keys {', '.join(known)}")
    if unknown := [key for key in content if key not in known]:
        raise InputError(f"unknown key {unknown[0]}{nearest(str(unknown[0]), known)}")
    if missing := [key for key in required if key not in content]:
        raise InputError(f"{missing[0]} is missing; add it")
    return content


def whole(value: Any, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def limit(requests: int) -> None:
    if requests > MOST:
        raise InputError(f"makes {requests:,} requests an image; ask for {MOST:,} at most")
