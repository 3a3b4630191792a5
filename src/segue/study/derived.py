"""What follows from a study: its variables, its folds, its mechanisms' kinds, and what it says as text."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from segue.anatomy import (
    MEASUREMENTS,
    Partition,
    Variables,
    make_partition,
    measurement_of,
    partition_settings,
)
from segue.errors import InputError
from segue.files import slug
from segue.mechanisms import MECHANISMS
from segue.study.networks import SegmentorSettings
from segue.study.schema import Cohort, Study
from segue.yaml_text import dump_yaml

NAMED = 60  # letters of a name that a marked name keeps


def variables(study: Study) -> Variables:
    """The study's measured variables.

    >>> from segue.study.read import load_study
    >>> study = load_study(Path("studies/coronary-phantom.yaml"))
    >>> variables(study).names[:3]
    ('lumen@proximal', 'lumen@mid', 'lumen@distal')
    """
    made = {}
    for name, settings in study.partitions.items():
        with naming(f"partitions.{name}"):
            made[name] = make_partition(**settings)
            check_partition(made[name], study.cohort)
    found = Variables(
        structures=tuple(study.cohort.structures),
        partitions={structure: made[name] for structure, name in study.variables.items()},
        measures=study.measures,
    )
    for one in found.listed:
        if (axis := getattr(one.measurement, "axis", None)) is not None and not 0 <= axis < len(study.cohort.size):
            mend = f"{axis} is no axis of the images; give 0 to {len(study.cohort.size) - 1}"
            raise InputError(f"measures.{one.structure}.{one.measurement.key}.axis: {mend}")
    return found


def folds_of(study: Study) -> list[Study]:
    """The studies of a cross-validation, one a fold, in its own folder; [] where the study is none.

    >>> from segue.study.read import load_study
    >>> study = load_study(Path("studies/coronary-phantom.yaml"), ["--cohort.folds", "3"])
    >>> [fold.name for fold in folds_of(study)]
    ['fold-1', 'fold-2', 'fold-3']
    """
    cohort = study.cohort
    if cohort.fold:
        return []
    return [
        dataclasses.replace(
            study, name=f"fold-{i}", runs=study.directory, cohort=dataclasses.replace(cohort, fold=i)
        )
        for i in range(1, cohort.folds + 1)
    ]


def as_judged(study: Study) -> Study:
    """The study in whose regions answers are asked for and judged: its own, but for `evaluate.partitions`.

    >>> from segue.study.read import load_study
    >>> study = load_study(Path("studies/coronary-phantom.yaml"))
    >>> as_judged(study).partitions == study.partitions
    True
    """
    return dataclasses.replace(study, partitions=study.partitions | study.evaluate.partitions)


def consulted(study: Study) -> dict[str, SegmentorSettings]:
    """The study's panel, if any of its methods asks it: for corrections, or as its guide.

    >>> from segue.study.read import load_study
    >>> study = load_study(Path("studies/coronary-phantom.yaml"))
    >>> list(consulted(study))
    ['second', 'third', 'fourth']
    """
    guides = {*study.finetune.guides, *(variant.guide for variant in study.finetune.variants.values())}
    used = "ensemble" in guides or any(variant.panel for variant in study.finetune.variants.values())
    return study.panel if used else {}


def further(study: Study) -> tuple[str, ...]:
    """The kinds of mechanism that are trained beside the study's own: those that it has an optional section of.

    >>> from segue.study.read import load_study
    >>> further(load_study(Path("studies/coronary-phantom.yaml")))
    ()
    """
    optional = {field.name for field in dataclasses.fields(study) if field.default is None}
    sections = optional & MECHANISMS.keys() - {study.mechanism}
    return tuple(sorted(kind for kind in sections if getattr(study, kind) is not None))


def answering(study: Study, kind: str) -> dict[str, Any]:
    """The settings of a mechanism that answers depend on and pre-training does not.

    >>> from segue.study.read import load_study
    >>> answering(load_study(Path("studies/coronary-phantom.yaml")), "hvae")
    {}
    """
    return {key: getattr(getattr(study, kind), key) for key in MECHANISMS[kind].answering}


def with_settings(study: Study) -> Study:
    """The study, its partitions as `partition_settings` has them: the same however they were written.

    >>> from segue.study.read import load_study
    >>> study = load_study(Path("studies/coronary-phantom.yaml"))
    >>> with_settings(study).partitions["thirds"]["axis"]
    1
    """
    settled: dict[str, dict[str, Any]] = {}
    for key, partitions in (("partitions", study.partitions), ("evaluate.partitions", study.evaluate.partitions)):
        settled[key] = {}
        for name, given in partitions.items():
            with naming(f"{key}.{name}"):
                settled[key][name] = partition_settings(given)
    judged = dataclasses.replace(study.evaluate, partitions=settled["evaluate.partitions"])
    return dataclasses.replace(study, partitions=settled["partitions"], evaluate=judged)


@contextmanager
def naming(section: str) -> Iterator[None]:
    """Have the messages about a partition say where in the study it stands.

    >>> with naming("partitions.thirds"):
    ...     raise InputError("partition.axis: give 0 or 1")
    Traceback (most recent call last):
    segue.errors.InputError: partitions.thirds: axis: give 0 or 1
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{section}: {str(error).removeprefix('partition.')}") from None


def check_partition(part: Partition, cohort: Cohort) -> None:
    """Refuse an axis that images do not have, and a structure that masks do not have.

    >>> thirds = make_partition(kind="axis", axis=1, regions=["left", "right"])
    >>> check_partition(thirds, Cohort({"lumen": 1}, size=(32, 96)))
    """
    for name, key in part.reads.items():
        if name not in cohort.structures:
            known = ", ".join(cohort.structures)
            raise InputError(f"partition.{key}: {name!r} is no structure; choose from {known}")
    blank = torch.zeros(1, *cohort.size)
    part.weights(part.frame(blank, *[blank] * len(part.reads)), cohort.size)


def names_of(study: Study) -> tuple[str, ...]:
    """All variables, the measured ones first, then covariates: the order of every table and tensor of parents.

    >>> from segue.study.read import load_study
    >>> study = load_study(Path("studies/coronary-phantom.yaml"))
    >>> names_of(study)[-1]
    'noncalcified_plaque@distal'
    """
    return (*variables(study).names, *study.cohort.covariates)


def kinds_of(study: Study, levels: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """The kind of each variable's mechanism, as `SCM` takes it.

    Args:
        levels: of each categorical covariate.

    >>> from segue.study.read import load_study
    >>> study = load_study(Path("studies/coronary-phantom.yaml"))
    >>> kinds_of(study, {})["lumen@mid"]
    {'kind': 'continuous'}
    """
    kinds: dict[str, dict[str, Any]] = {}
    for name in names_of(study):
        structure = name.split("@")[0]
        if name in study.scm.categorical:
            kinds[name] = {"kind": "categorical", "levels": list(levels[name])}
        elif structure in study.scm.absent and "@" in name and measurement_of(name) is MEASUREMENTS["area"]:
            kinds[name] = {"kind": "censored", "limit": study.scm.absent[structure]}
        else:
            kinds[name] = {"kind": "continuous"}
    return kinds


def plain(value: Any) -> Any:
    """Dataclasses, paths and tuples as what JSON and YAML can say.

    >>> plain({"folder": Path("runs"), "size": (32, 96)})
    {'folder': 'runs', 'size': [32, 96]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def asked(value: Any) -> Any:
    """`plain`, without fields that stand at a default which asks for nothing (None, 0, False, no entries).

    A stage's fingerprint is made of this: a version of segue that has a new key, off by default, changes none.

    >>> from segue.study.networks import Budget
    >>> asked(Budget(steps=10))
    {'steps': 10, 'batch_size': 32, 'lr': 0.001}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        entries = {f: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {f.name: asked(entry) for f, entry in entries.items() if entry or entry != default(f)}
    if isinstance(value, dict):
        return {k: asked(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [asked(v) for v in value]
    return plain(value)


def default(field: dataclasses.Field[Any]) -> Any:
    """What a field is when nothing is said of it; `MISSING` where something must be.

    >>> default(dataclasses.fields(Cohort)[2])
    (0.0, 255.0)
    """
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def fingerprint(content: Any) -> str:
    """SHA-256 of a tree of settings.

    >>> fingerprint({"images": 10})[:8]
    '71f26ac7'
    """
    return hashlib.sha256(json.dumps(plain(content), sort_keys=True, default=str).encode()).hexdigest()


def named_by(name: str, content: Any) -> str:
    """The name of a result's folder: what the user calls it, and a fingerprint of what it is of.

    >>> named_by("St. Mary's", {"images": 10})
    'St.-Mary-s-71f26ac7'
    """
    return "-".join(filter(None, [slug(name)[:NAMED], fingerprint(content)[:8]]))


def to_yaml(study: Study) -> str:
    """The study with every default filled in.

    >>> from segue.study.read import load_study
    >>> study = load_study(Path("studies/coronary-phantom.yaml"))
    >>> to_yaml(study).splitlines()[0]
    'name: coronary-phantom'
    """
    return dump_yaml(json.loads(json.dumps(plain(study))))


def for_others(study: Study) -> Study:
    """The study for people elsewhere: of a folder or of marks with an absolute path its name alone.

    >>> from segue.study.read import load_study
    >>> study = load_study(Path("studies/chest-zones.yaml"))
    >>> moved = dataclasses.replace(study, cohort=dataclasses.replace(study.cohort, folder=Path("/home/ada/chest")))
    >>> for_others(moved).cohort.folder
    PosixPath('chest')
    """
    cohort = study.cohort
    folder, marks = (Path(path.name) if path and path.is_absolute() else path for path in (cohort.folder, cohort.marks))
    return dataclasses.replace(study, cohort=dataclasses.replace(cohort, folder=folder, marks=marks))
