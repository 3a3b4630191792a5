"""Read a study from its YAML file and the command line, and check it as a whole before anything runs."""

import copy
import dataclasses
import json
import types
import typing
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, set_loader

from segue.bounds import check_bounds
from segue.errors import InputError, nearest
from segue.study.check import check_study
from segue.study.derived import plain, with_settings
from segue.study.schema import Study
from segue.study.shipped import study_file
from segue.text import one_line, shortened
from segue.yaml_text import load_yaml, read_yaml

set_loader("yaml", load_yaml, (InputError,))  # options on the command line are read as the file is

MOVED = {"cohort.percentiles": "write --cohort.intensity '{percentiles: [1, 99], per: image, usual: [0, 255]}'"}
"""Options of earlier versions, and what stands in their place."""


def load_study(path: Path, overrides: Iterable[str] = ()) -> Study:
    """Read, override (`--hvae.latent 4`) and check a study; InputError says what is wrong, and where.

    >>> load_study(Path("studies/coronary-phantom.yaml"), ["--hvae.budget.steps", "2000"]).hvae.budget.steps
    2000
    """
    return study_of(read_study(path), overrides, where=str(path))


def read_study(path: Path) -> dict[str, Any]:
    """What a study's file says, unchecked."""
    path = study_file(path)
    if not path.is_file():
        raise InputError(f"{path}: no such study; give a YAML file, e.g. studies/coronary-phantom.yaml")
    return with_marks_beside(read_mapping(path, f"a study is a mapping with keys {', '.join(keys(Study))}"), path)


def with_marks_beside(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """A study's content, its `cohort.marks` where it lies: beside the study's file, or else as it is written.

    >>> study = study_file("studies:oct-coronary")
    >>> with_marks_beside({"cohort": {"marks": "oct-coronary-marks.png"}}, study)["cohort"]["marks"] == str(
    ...     study.parent / "oct-coronary-marks.png")
    True
    """
    cohort = content.get("cohort")
    if not isinstance(cohort, dict) or not isinstance(name := cohort.get("marks"), str):
        return content
    beside = path.parent / name
    return content | {"cohort": cohort | {"marks": str(beside)}} if beside.is_file() else content


def read_mapping(path: Path, mend: str) -> dict[str, Any]:
    """The mapping of a YAML file.

    Args:
        mend: what to say where it holds something else.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: {mend}")
    return content


def study_of(content: dict[str, Any], overrides: Iterable[str] = (), *, where: str) -> Study:
    """Override and check what a study's file says; `where` is what messages call it."""
    content = with_rule(with_named_measures(with_named_baselines(content)))
    check_keys(content, Study, where=where)
    arguments = list(overrides)
    for argument, following in pairwise([*arguments, ""]):
        if argument.startswith("--"):
            option, equals, value = argument[2:].partition("=")
            check_option(option, value if equals else following)
    content, arguments = with_partition_options(content, arguments)
    parser = study_parser()
    try:
        parsed = parser.parse_args(["--config", json.dumps(content), *arguments])
        made = parser.instantiate_classes(parsed)
    except (ArgumentError, ValueError, TypeError) as error:
        raise InputError(f"{where}: {one_line(error)}") from None
    study = Study(**{key: made[key] for key in keys(Study)})
    check_bounds(plain(study), where)
    try:
        study = with_settings(study)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    check_study(study, where)
    return study


def with_rule(content: dict[str, Any]) -> dict[str, Any]:
    """A study's content, its `cohort.percentiles` as `cohort.intensity` says it now: runs of before have that key.

    >>> with_rule({"cohort": {"intensity": [0, 255], "percentiles": [1, 99]}})
    {'cohort': {'intensity': {'percentiles': [1, 99], 'per': 'image', 'usual': [0, 255]}}}
    """
    cohort = content.get("cohort")
    if not isinstance(cohort, dict) or "percentiles" not in cohort:
        return content
    rest = {key: value for key, value in cohort.items() if key != "percentiles"}
    if (levels := cohort["percentiles"]) is not None:
        rest["intensity"] = {"percentiles": levels, "per": "image", "usual": cohort.get("intensity", [0, 255])}
    return content | {"cohort": rest}


def with_named_baselines(content: dict[str, Any]) -> dict[str, Any]:
    """A study's content, its `baselines` with their settings: runs of before have a list of names.

    >>> with_named_baselines({"baselines": []}), with_named_baselines({"baselines": ["warp"]})
    ({'baselines': {}}, {'baselines': {'warp': {}}})
    """
    names = content.get("baselines")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return content
    return content | {"baselines": {name: {} for name in names}}


def with_named_measures(content: dict[str, Any]) -> dict[str, Any]:
    """A study's content, its `measures` with their settings: those without any may be a list of names.

    >>> with_named_measures({"measures": {"lumen": ["area", "stenosis"]}})
    {'measures': {'lumen': {'area': {}, 'stenosis': {}}}}
    """
    measures = content.get("measures")
    if not isinstance(measures, dict):
        return content
    return content | {"measures": {structure: with_settings_each(given) for structure, given in measures.items()}}


def with_settings_each(given: Any) -> Any:
    """A list of names as a mapping to no settings; a name without settings has none."""
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        return {name: {} for name in given}
    return {key: value or {} for key, value in given.items()} if isinstance(given, dict) else given


def with_partition_options(content: dict[str, Any], arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The content with the options `--partitions.NAME.KEY VALUE` in it, and the other options.

    The parser does not know the keys of partitions, and would replace all of a partition by the one key.
    """
    content, rest, given = copy.deepcopy(content), [], iter(arguments)
    for argument in given:
        option, equals, value = argument.partition("=")
        *sections, key = option.removeprefix("--").split(".")
        if not option.startswith("--") or "partitions" not in sections[:-1]:
            rest.append(argument)
            continue
        section: Any = content
        for name in sections:
            section = section.setdefault(name, {}) if isinstance(section, dict) else None
        try:
            section[key] = load_yaml(value if equals else next(given, ""))
        except (TypeError, InputError):
            raise InputError(f"{option}: cannot be set; give it a value, and check {'.'.join(sections)}") from None
    return content, rest


def study_parser(usage: str | None = None, description: str | None = None) -> ArgumentParser:
    """The typed tree that YAML and command line share."""
    parser = ArgumentParser(exit_on_error=False, prog="segue", usage=usage, description=description)
    parser.add_argument("--config", action="config", help="the study's YAML file")
    parser.add_class_arguments(Study, None)
    return parser


def keys(kind: type) -> list[str]:
    return [f.name for f in dataclasses.fields(kind)]


def check_keys(content: dict[str, Any], kind: type, *, where: str, prefix: str = "") -> None:
    """Refuse unknown keys, naming the nearest valid one."""
    hints = typing.get_type_hints(kind)
    for key in content:
        if key not in hints:
            raise InputError(f"{where}: unknown key {prefix}{key}{nearest(str(key), keys(kind))}")
    for key, value in content.items():
        for inner in dataclasses_in(hints[key]):
            named = typing.get_origin(hints[key]) is dict and isinstance(value, dict)
            entries = value.items() if named else [("", value)]
            for name, entry in entries:
                section = f"{prefix}{key}" + (f".{name}" if name else "")
                if isinstance(entry, dict):
                    check_keys(entry, inner, where=where, prefix=f"{section}.")
                elif entry is not None or not optional(hints[key]):  # the parser takes text for the path of a file
                    found = "empty" if entry is None else shortened(str(entry))
                    mend = f"it is a section: give its keys, {some_keys(inner)}"
                    raise InputError(f"{where}: {section} is {found}; {mend}")


def some_keys(kind: type) -> str:
    """The first keys of a section.

    >>> from segue.study.networks import Budget
    >>> some_keys(Budget)
    'such as steps and batch_size'
    """
    return f"such as {' and '.join(keys(kind)[:2])}"


def optional(hint: Any) -> bool:
    """Whether None is a value of a type.

    >>> optional(int | None), optional(dict[str, int])
    (True, False)
    """
    return types.NoneType in typing.get_args(hint)


def check_option(option: str, value: str) -> None:
    """Refuse an unknown `--key.sub`, naming the nearest valid one, and text where a section's keys are set."""
    if mend := MOVED.get(option):
        raise InputError(f"--{option} is no option any more: {mend}")
    hint: Any = Study
    for depth, part in enumerate(parts := option.split(".")):
        if typing.get_origin(hint) is dict:  # of any names
            hint = typing.get_args(hint)[1]
            continue
        if not (inner := dataclasses_in(hint)):
            return
        hints = typing.get_type_hints(inner[0])
        if part not in hints:
            stem = "".join(f"{p}." for p in parts[:depth])
            raise InputError(f"unknown option --{option}{nearest(part, keys(inner[0]), stem='--' + stem)}")
        hint = hints[part]
    if dataclasses_in(hint) and value != "null" and value[:1].isalnum():
        raise InputError(f"--{option} is a section, which takes no text: set a key of it, --{option}.KEY VALUE")


def dataclasses_in(hint: Any) -> list[type]:
    """The dataclass that a hint holds: itself, in an optional, or as a mapping's values."""
    if dataclasses.is_dataclass(hint):
        return [hint]  # type: ignore[list-item]
    if typing.get_origin(hint) in (dict, types.UnionType, typing.Union):
        return [inner for argument in typing.get_args(hint) for inner in dataclasses_in(argument)]
    return []
