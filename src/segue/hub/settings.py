"""model.json of an exported model: read, and every entry checked, before anything is built of it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from segue.bounds import check_bounds
from segue.errors import InputError
from segue.hub.locate import EXPORTED
from segue.sealed import SUM, read_json, read_mapping_of, sha256

FORMAT = "segue-model-1"
EXPORT_AGAIN = "copy it again, or export the run again"
MOST_TEXT, MOST_ENTRIES = 1 << 12, 1 << 10


def is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MOST_TEXT


def is_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST_ENTRIES and all(map(is_text, value))


def is_mapping(value: Any) -> bool:
    return isinstance(value, dict) and len(value) <= MOST_ENTRIES and all(map(is_text, value))


def is_count(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def is_size(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (2, 3) and all(map(is_count(1, 1 << 14), value))


def is_area(value: Any) -> bool:
    return value is None or (is_number(0, 1_000_000)(value) and value > 0)


def is_spacing(value: Any) -> bool:
    sides = isinstance(value, list) and len(value) in (2, 3) and all(map(is_area, value)) and None not in value
    return value is None or sides


def is_intensity(value: Any) -> bool:
    return isinstance(value, list | dict) and 0 < len(value) <= 8


ENTRIES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "study": (is_text, "a text"),
    "method": (is_text, "a text"),
    "segue": (is_text, "a version"),
    "unit": (is_text, "a text"),
    "conditioning": (is_text, "a text"),
    "size": (is_size, "two or three numbers of pixels"),
    "channels": (is_count(1, 64), "1 to 64"),
    "intensity": (is_intensity, "a range or a rule"),
    "pixel_area": (is_area, "an area or null"),
    "structures": (is_texts, "a list of names"),
    "covariates": (is_texts, "a list of names"),
    "variables": (is_mapping, "a mapping"),
    "partitions": (is_mapping, "a mapping"),
    "networks": (is_mapping, "a mapping"),
    "files": (is_mapping, "a mapping"),
    "shrinkage": (is_number(0, 2), "0 to 2"),
}
LATER: dict[str, tuple[Callable[[Any], bool], str]] = {
    "mechanism": (is_text, "a text"),
    "axes": (lambda value: value is None or is_text(value), "a text or null"),
    "marks": (is_text, "a file's name"),
    "percentiles": (lambda value: value is None or isinstance(value, list), "two numbers or null"),
    "deformation": (is_mapping, "a mapping"),
    "blur": (is_number(0, 100), "0 to 100"),
    "floor": (is_count(0, 1000), "0 to 1000"),
    "corrections": (is_count(0, 100), "0 to 100"),
    "measures": (is_mapping, "a mapping"),
    "spacing": (is_spacing, "two or three lengths or null"),
}
"""Entries that older folders do not have."""


def read_settings(folder: Path) -> dict[str, Any]:
    """model.json, once it and every file that it names are known to be as they were written, and within bounds.

    Raises:
        InputError: they are not.
    """
    path = folder / EXPORTED
    if (found := read_mapping_of(path, EXPORT_AGAIN).get("format", FORMAT)) != FORMAT:  # of which nothing else is known
        raise InputError(
            f"{path}: its format is {str(found)[:60]!r}, this version of segue reads {FORMAT!r}; install its own"
        )
    settings = read_json(path, keys=["format", SUM], mend=EXPORT_AGAIN)
    check_bounds(settings, str(path))
    check_entries(path, settings)
    for name, digest in settings["files"].items():
        file = folder / name
        if Path(name).name != name:
            raise InputError(f"{path}: names {name!r}, a file that is not in its folder; {EXPORT_AGAIN}")
        if not file.is_file():
            raise InputError(f"{file}: is missing; {EXPORT_AGAIN}")
        if digest != sha256(file):
            raise InputError(f"{file}: is damaged (its checksum is another); {EXPORT_AGAIN}")
    return settings


def check_entries(path: Path, settings: Mapping[str, Any]) -> None:
    """Refuse entries that are missing, of another type, or out of bounds."""
    for key, (fits, wanted) in {**ENTRIES, **LATER}.items():
        if key not in settings and key in LATER:
            continue
        if key not in settings or not fits(settings[key]):
            found = f"is {str(settings[key])[:60]!r}" if key in settings else "is missing"
            raise InputError(f"{path}: {key} {found}, not {wanted}; {EXPORT_AGAIN}")
    panel = settings["networks"].get("panel", [])
    if not isinstance(panel, list) or len(panel) > 64:
        raise InputError(f"{path}: networks.panel is no list of networks; {EXPORT_AGAIN}")
