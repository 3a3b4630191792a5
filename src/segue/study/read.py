"""Read a study from its YAML file and the command line, and check it as a whole before anything runs."""

import copy
import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from segue.baselines import BASELINES
from segue.causal.graph import causal_graph
from segue.errors import InputError, nearest
from segue.mechanisms import MECHANISMS
from segue.nets.hvae import check_shape
from segue.nets.segmentor import check_groups, check_segmentor
from segue.nets.weights import NETWORK
from segue.phantom import STRUCTURES as PHANTOM_STRUCTURES
from segue.study.derived import as_judged, names_of, variables, with_settings
from segue.study.networks import SegmentorSettings
from segue.study.schema import Cohort, Study
from segue.text import one_line
from segue.training.guides import GUIDES


def load_study(path: Path, overrides: Iterable[str] = ()) -> Study:
    """Read, override (`--hvae.latent 4`) and check a study; InputError says what is wrong, and where.

    >>> load_study(Path("studies/coronary-phantom.yaml"), ["--hvae.budget.steps", "2000"]).hvae.budget.steps
    2000
    """
    return study_of(read_study(path), overrides, where=str(path))


def read_study(path: Path) -> dict[str, Any]:
    """What a study's file says, unchecked."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such study; give a YAML file, e.g. studies/coronary-phantom.yaml")
    return read_mapping(path, f"a study is a mapping with keys {', '.join(keys(Study))}")


def read_mapping(path: Path, mend: str) -> dict[str, Any]:
    """The mapping of a YAML file.

    Args:
        mend: what to say where it holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: {mend}")
    return content


def study_of(content: dict[str, Any], overrides: Iterable[str] = (), *, where: str) -> Study:
    """Override and check what a study's file says; `where` is what messages call it."""
    check_keys(content, Study, where=where)
    arguments = list(overrides)
    for argument in arguments:
        if argument.startswith("--"):
            check_option(argument[2:].split("=")[0])
    content, arguments = with_partition_options(content, arguments)
    parser = study_parser()
    try:
        parsed = parser.parse_args(["--config", yaml.safe_dump(content, sort_keys=False), *arguments])
        made = parser.instantiate_classes(parsed)
    except (ArgumentError, ValueError, TypeError) as error:
        raise InputError(f"{where}: {one_line(error)}") from None
    try:
        study = with_settings(Study(**{key: made[key] for key in keys(Study)}))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    check(study, where)
    return study


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
            section[key] = yaml.safe_load(value if equals else next(given, ""))
        except (TypeError, yaml.YAMLError):
            raise InputError(f"{option}: cannot be set; give it a value, and check {'.'.join(sections)}") from None
    return content, rest


def study_parser(usage: str | None = None, description: str | None = None) -> ArgumentParser:
    """The typed tree that YAML and command line share."""
    parser = ArgumentParser(exit_on_error=False, prog="segue", usage=usage, description=description)
    parser.add_argument("--config", action="config", help="the study's YAML file")
    parser.add_class_arguments(Study, None)
    return parser


def check(study: Study, where: str) -> None:
    """Check what types cannot express."""
    check_cohort(study.cohort, where)
    check_names(study, where)
    check_networks(study, where)
    check_variants(study, where)
    check_pretraining(study, where)
    check_judged_regions(study, where)
    check_causes(study, where)


def check_cohort(cohort: Cohort, where: str) -> None:
    """The source of the images, their grid and their splits."""
    if (cohort.folder is None) == (cohort.phantom is None):
        raise InputError(f"{where}: give either cohort.folder or cohort.phantom")
    if cohort.phantom is not None and len(cohort.size) != 2:
        raise InputError(f"{where}: cohort.size is {list(cohort.size)}: the phantom has two axes, give two numbers")
    if cohort.phantom is not None and tuple(cohort.structures) != PHANTOM_STRUCTURES:
        known = ", ".join(PHANTOM_STRUCTURES)
        raise InputError(f"{where}: cohort.structures of the phantom are {known}, in this order")
    if cohort.intensity[0] >= cohort.intensity[1]:
        raise InputError(f"{where}: cohort.intensity is {cohort.intensity}: give the lower value first")
    if cohort.percentiles is not None and not 0 <= cohort.percentiles[0] < cohort.percentiles[1] <= 100:
        raise InputError(f"{where}: cohort.percentiles is {cohort.percentiles}: give two of 0 to 100, in order")
    if cohort.folds < 0 or cohort.folds == 1 or not 0 <= cohort.fold <= cohort.folds:
        raise InputError(f"{where}: cohort.folds is {cohort.folds}: give 2 or more, or 0: none; fold is from 1")
    for split in ("guide", "judge", "test"):
        if cohort.split.get(split, 0) <= 0:
            raise InputError(f"{where}: cohort.split gives no subjects to {split!r}")
    if not math.isclose(sum(cohort.split.values()), 1, abs_tol=1e-6):
        raise InputError(f"{where}: cohort.split adds up to {sum(cohort.split.values()):g}: make it 1")


def check_names(study: Study, where: str) -> None:
    """Names that refer to others, and names of folders."""
    cohort = study.cohort
    for structure, name in study.variables.items():
        if structure not in cohort.structures:
            raise InputError(f"{where}: variables.{structure} is no structure{nearest(structure, cohort.structures)}")
        if name not in study.partitions:
            raise InputError(f"{where}: variables.{structure}: {name} is no partition{nearest(name, study.partitions)}")
    for key, named in (("panel", study.panel), ("finetune.variants", study.finetune.variants)):
        for name in named:
            if not re.fullmatch(r"[\w-]+", name):
                raise InputError(f"{where}: {key}: {name!r} names a folder: give letters, digits, _ and -")


def check_pretraining(study: Study, where: str) -> None:
    """Initial weights and validation."""
    hvae = study.hvae
    if hvae.start is not None and not (hvae.start / NETWORK).is_file():
        raise InputError(f"{where}: hvae.start: {hvae.start} holds no {NETWORK}; give runs/STUDY/pretrain/map")
    if hvae.validate_every < 0 or (hvae.validate_every and not study.cohort.split.get("validation")):
        raise InputError(f"{where}: hvae.validate_every: give steps, and cohort.split a share for validation; or 0")


def check_judged_regions(study: Study, where: str) -> None:
    """The regions in which answers are judged, if they are others than the study's own."""
    names = variables(study).names
    for name in study.evaluate.partitions:
        if name not in study.partitions:
            close = nearest(name, study.partitions)
            raise InputError(f"{where}: evaluate.partitions: {name} is no partition of the study{close}")
    if variables(as_judged(study)).names != names:
        raise InputError(f"{where}: evaluate.partitions: give them the regions of the study's own, by the same names")


def check_networks(study: Study, where: str) -> None:
    """The networks' budgets and shapes."""
    segmentors = {"segmentor": study.segmentor, "judge": study.judge}
    segmentors |= {f"panel.{name}": member for name, member in study.panel.items()}
    budgets = {key: one.budget for key, one in segmentors.items()}
    budgets |= {key: getattr(study, key).budget for key in ("regressor", "hvae", "finetune")}
    for key, budget in budgets.items():
        if budget.steps < 1 or budget.batch_size < 2 or budget.lr <= 0:
            raise InputError(f"{where}: {key}.budget: give at least 1 step, batches of 2, and an lr above 0")
    for key, one in segmentors.items():
        if one.masks is not None and not 0 < one.masks <= 1:
            raise InputError(f"{where}: {key}.masks is {one.masks:g}: give a share above 0, up to 1")
    hvae, size = study.hvae, study.cohort.size
    shape = {"widths": hvae.widths, "depths": hvae.depths, "finest": hvae.finest, "reach": hvae.reach}
    fits: dict[str, Callable[[], None]] = {
        **{key: fits_segmentor(one, size) for key, one in segmentors.items()},
        "regressor": partial(check_groups, study.regressor.width),
        "hvae": partial(check_shape, size=size, **shape),  # type: ignore[arg-type]
    }
    for key, fit in fits.items():
        try:
            fit()
        except ValueError as error:
            raise InputError(f"{where}: {key}: {error}") from None


def check_variants(study: Study, where: str) -> None:
    """The kinds of mechanism and guides, and the numbers of the study's own methods."""
    if study.mechanism not in MECHANISMS:
        raise InputError(f"{where}: mechanism: {study.mechanism} is not known{nearest(study.mechanism, MECHANISMS)}")
    for name in study.baselines:
        if name not in BASELINES:
            raise InputError(f"{where}: baselines: {name} is no baseline{nearest(name, BASELINES)}")
    named = [(f"variants.{name}.guide", variant.guide) for name, variant in study.finetune.variants.items()]
    named += [("guides", guide) for guide in study.finetune.guides if guide != "none"]
    for key, guide in named:
        if guide not in GUIDES:
            raise InputError(f"{where}: finetune.{key}: {guide} is no guide{nearest(guide, GUIDES)}")
    for name, variant in study.finetune.variants.items():
        weights = (variant.outside, variant.painting, variant.smoothness)
        if variant.at_once < 1 or min(*weights, variant.shrinkage, variant.blur, variant.corrections) < 0:
            mend = "give at_once from 1; outside, painting, smoothness, shrinkage, blur and corrections from 0"
            raise InputError(f"{where}: finetune.variants.{name}: {mend}")
        if not variant.moves and (variant.moves_only or variant.painting or variant.smoothness):
            mend = "moves_only, painting and smoothness are of a variant that moves; give it moves: true"
            raise InputError(f"{where}: finetune.variants.{name}: {mend}")
        if variant.panel and not (study.panel and variant.corrections):
            mend = "the ensemble measures for corrections only; give the study a panel, and the variant corrections"
            raise InputError(f"{where}: finetune.variants.{name}.panel: {mend}")


def check_causes(study: Study, where: str) -> None:
    """The graph, and what is said of its mechanisms."""
    try:
        causal_graph(study.graph, names_of(study))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    scm = study.scm
    for structure, limit in scm.absent.items():
        if structure not in study.variables:
            raise InputError(f"{where}: scm.absent: {structure} is not measured{nearest(structure, study.variables)}")
        if not limit >= 0:
            raise InputError(f"{where}: scm.absent.{structure} is {limit:g}: give an area, 0 or more")
    for name in scm.categorical:
        if name not in study.cohort.covariates:
            known = study.cohort.covariates or ("the study has none",)
            raise InputError(f"{where}: scm.categorical: {name} is no covariate{nearest(name, known)}")
    if scm.epochs < 1 or scm.batch_size < 2 or not scm.lr > 0 or not 0 < scm.held_out < 1 or scm.bins < 0:
        mend = "give epochs from 1, batches from 2, bins from 0, an lr above 0, and held_out between 0 and 1"
        raise InputError(f"{where}: scm: {mend}")


def fits_segmentor(settings: SegmentorSettings, size: tuple[int, ...]) -> Callable[[], None]:
    return partial(check_segmentor, settings.arch, settings.width, settings.patch, size)


def keys(kind: type) -> list[str]:
    return [f.name for f in dataclasses.fields(kind)]


def check_keys(content: dict[str, Any], kind: type, *, where: str, prefix: str = "") -> None:
    """Refuse unknown keys, naming the nearest valid one."""
    hints = typing.get_type_hints(kind)
    for key, value in content.items():
        if key not in hints:
            raise InputError(f"{where}: unknown key {prefix}{key}{nearest(str(key), keys(kind))}")
        for inner in dataclasses_in(hints[key]):
            named = typing.get_origin(hints[key]) is dict and isinstance(value, dict)
            entries = value.items() if named else [("", value)]
            for name, entry in entries:
                if isinstance(entry, dict):
                    check_keys(entry, inner, where=where, prefix=f"{prefix}{key}." + (f"{name}." if name else ""))


def check_option(option: str) -> None:
    """Refuse an unknown `--key.sub`, naming the nearest valid one."""
    kind: type | None = Study
    for depth, part in enumerate(parts := option.split(".")):
        if kind is None:
            return
        hints = typing.get_type_hints(kind)
        if part not in hints:
            stem = "".join(f"{p}." for p in parts[:depth])
            raise InputError(f"unknown option --{option}{nearest(part, keys(kind), stem='--' + stem)}")
        inner = dataclasses_in(hints[part])
        kind = inner[0] if inner and typing.get_origin(hints[part]) is not dict else None


def dataclasses_in(hint: Any) -> list[type]:
    """The dataclass that a hint holds: itself, in an optional, or as a mapping's values."""
    if dataclasses.is_dataclass(hint):
        return [hint]  # type: ignore[list-item]
    if typing.get_origin(hint) in (dict, types.UnionType, typing.Union):
        return [inner for argument in typing.get_args(hint) for inner in dataclasses_in(argument)]
    return []
