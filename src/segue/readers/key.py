"""The key of a kit: the truth behind the pages. It is one JSON file, which readers must not have."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from segue.errors import InputError
from segue.files import write_text
from segue.text import one_line

PAGES, TRUTH, KEY = "pages", "truth", "key.json"
VERSION = 1
REAL = "real"
"""The kind of a case that is not edited."""
STAND_IN = "automatic-stand-in"
"""The name of the reader that is no human."""


class ShownCase(NamedTuple):
    """A picture of the first part under the random id that one reader sees: the case, and whether it is read again."""

    id: str
    case: int
    again: bool


class ShownAnswer(NamedTuple):
    """An answer of the second part under the random id that one reader sees."""

    id: str
    request: int
    method: str


@dataclass(frozen=True)
class Sheet:
    """What one reader sees, in order."""

    first: tuple[ShownCase, ...]
    second: tuple[ShownAnswer, ...]


@dataclass(frozen=True)
class KitKey:
    """The truth of a kit.

    Attributes:
        kit: its id, a hash of all the rest. study: name. unit: of values. methods: in the order of the tables.
        cases: of the first part; each has its `kind`, a method or "real". requests: of the second part.
        sheets: by reader.
    """

    kit: str
    study: str
    unit: str
    methods: tuple[str, ...]
    cases: tuple[Mapping[str, Any], ...]
    requests: tuple[Mapping[str, Any], ...]
    sheets: Mapping[str, Sheet]

    def of_kind(self, *kinds: str) -> list[int]:
        """The cases of some kinds."""
        return [i for i, case in enumerate(self.cases) if case["kind"] in kinds]


def write_key(path: Path, key: KitKey) -> None:
    """Write the key as JSON."""
    write_text(path, json.dumps({"segue_readers": VERSION, **asdict(key)}, indent=1))


def read_key(path: Path) -> KitKey:
    """Read the key of a kit.

    Raises:
        InputError: there is none, or it is not one.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        if given.pop("segue_readers") != VERSION:
            raise InputError(f"{path}: is a key of another version of segue; analyse with the one that made it")
        sheets = {
            name: Sheet(
                tuple(ShownCase(*one) for one in given_sheet["first"]),
                tuple(ShownAnswer(*one) for one in given_sheet["second"]),
            )
            for name, given_sheet in given.pop("sheets").items()
        }
        given |= {name: tuple(given[name]) for name in ("methods", "cases", "requests")}
        return KitKey(sheets=sheets, **given)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the folder that `segue readers make` wrote") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is not the key of a kit ({one_line(error)}); make the kit again") from None
