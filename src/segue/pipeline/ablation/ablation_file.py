"""An ablation's file: a study, and what is changed of it for each value of a factor; all is checked before it runs."""

import copy
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.errors import InputError, nearest
from segue.files import check_name, slug
from segue.study.read import read_mapping, read_study, study_of
from segue.study.schema import Study
from segue.study.shipped import study_file

FOLDER = "ablations"
"""Under the study's folder of runs."""
KEYS = ("name", "factor", "notes", "study", "changes", "values")
NEEDED = ("name", "study", "values")
ENTRY = ("value", "changes")


@dataclass(frozen=True)
class Ablation:
    """A factor and the studies that differ in it.

    Attributes:
        factor: what is varied, in words. notes: how to read the result.
        studies: by value as it is shown, in the file's order.
    """

    name: str
    factor: str
    notes: str
    studies: dict[str, Study]

    @property
    def directory(self) -> Path:
        """Of what came out: beside the runs."""
        return next(iter(self.studies.values())).runs / self.name


def load_ablation(path: Path, overrides: Iterable[str] = ()) -> Ablation:
    """Read an ablation and the study of each of its values.

    The file has a `name`, a `study` (a path, from the file's own folder), and `values`: a list of a `value` and its
    `changes`, new values of the study's keys (`hvae.latent: 4`); perhaps `changes` that all values share, the `factor`
    in words, and `notes`.

    Args:
        overrides: of every study, as the command line has them (`--cohort.folder DATA`).

    Raises:
        InputError: something is wrong with the file, or with one of the studies; the message says which.
    """
    path = study_file(path)
    if not path.is_file():
        raise InputError(f"{path}: no such ablation; give a YAML file, e.g. studies/ablations/regions.yaml")
    content = read_mapping(path, f"an ablation is a mapping with keys {', '.join(KEYS)}")
    check_entry_keys(content, KEYS, NEEDED, where=str(path))
    for key in ("name", "study", "factor", "notes"):
        if not isinstance(content.get(key, ""), str):
            raise InputError(f"{path}: {key} is {content[key]!r}: give text")
    check_name(name := content["name"], f"{path}: name")
    if not isinstance(content["values"], list) or not content["values"]:
        raise InputError(f"{path}: values is to be a list of a value and its changes: - {{value: 8, changes: {{...}}}}")
    base = changed(read_study(path.parent / content["study"]), content.get("changes"), where=str(path))
    given, studies = list(overrides), dict[str, Study]()
    for i, entry in enumerate(content["values"], start=1):
        where = f"{path}: values, entry {i}"
        if not isinstance(entry, dict):
            raise InputError(f"{where}: is {entry!r}: give a value and its changes, {{value: 8, changes: {{...}}}}")
        check_entry_keys(entry, ENTRY, ("value",), where=where)
        value, run = str(entry["value"]), f"{name}-{slug(str(entry['value']))}"
        if run in {study.name for study in studies.values()}:
            raise InputError(f"{where}: the run of value {value!r} has the name of another, {run}: rename the value")
        study = study_of(changed(base, entry.get("changes"), where=where), [*given, "--name", run], where=where)
        studies[value] = dataclasses.replace(study, runs=study.runs / FOLDER)
    if len({study.precision for study in studies.values()}) > 1:
        raise InputError(f"{path}: its values differ in precision, which all are to share; write an ablation for each")
    return Ablation(name, content.get("factor", name), content.get("notes", ""), studies)


def check_entry_keys(content: Mapping[str, Any], known: Iterable[str], needed: Iterable[str], *, where: str) -> None:
    """Refuse unknown keys and missing ones."""
    for key in content:
        if key not in known:
            raise InputError(f"{where}: unknown key {key}{nearest(str(key), known)}")
    for key in needed:
        if content.get(key) is None:
            raise InputError(f"{where}: has no {key}; add it")


def changed(content: Mapping[str, Any], changes: Any, *, where: str) -> dict[str, Any]:
    """A copy of what a study's file says, with `changes` by key: `hvae.latent` is the key `latent` of `hvae`."""
    if not isinstance(changes or {}, Mapping):
        raise InputError(f"{where}: changes is {changes!r}: give keys of the study with values, {{hvae.latent: 4}}")
    found = copy.deepcopy(dict(content))
    for key, value in (changes or {}).items():
        *sections, last = str(key).split(".")
        section = found
        for depth, part in enumerate(sections, start=1):
            section = section.setdefault(part, {})
            if not isinstance(section, dict):
                above = ".".join(sections[:depth])
                raise InputError(f"{where}: changes: {key}: {above} is {section!r}, which has no keys; change {above}")
        section[last] = copy.deepcopy(value)
    return found
