"""A study: one YAML file, checked as a whole before anything runs, onto frozen dataclasses.

Dataclasses stop here: the stages hand plain keyword arguments to everything inside.
"""

import dataclasses
import difflib
import json
import math
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser

from segue.anatomy import Variables, make_partition
from segue.causal.parents import Conditioning
from segue.cohort.phantom import STRUCTURES as PHANTOM_STRUCTURES
from segue.errors import InputError
from segue.nets.hvae import check_shape
from segue.nets.segmentor import SegmentorArch, check_groups, check_segmentor
from segue.training.cft import GuideKind
from segue.training.loop import Precision


@dataclass(frozen=True)
class Phantom:
    """A simulated coronary cohort: how many images, and the seed that fixes them all."""

    images: int = 2000
    seed: int = 0


@dataclass(frozen=True)
class Cohort:
    """Where the images come from.

    Args:
        structures: name of each structure and its label in the masks.
        size: the study's grid; images are resized to it.
        intensity: the two raw values that become -1 and +1 (for an 8-bit PNG 0 and 255; for CT a window in HU).
        folder: a folder of images/ and masks/ (and perhaps table.csv). Either this or `phantom`.
        phantom: a simulated cohort instead of a folder.
        subject_pattern: regular expression that takes the subject from a file's name.
        covariates: columns of table.csv that are parents of the image too.
        split: share of the subjects in each split: guide (also trains the image model), judge, validation, test.
        seed: of the split.
    """

    structures: dict[str, int]
    size: tuple[int, ...]
    intensity: tuple[float, float] = (0.0, 255.0)
    folder: Path | None = None
    phantom: Phantom | None = None
    subject_pattern: str | None = None
    covariates: tuple[str, ...] = ()
    split: dict[str, float] = field(
        default_factory=lambda: {"guide": 0.5, "judge": 0.2, "validation": 0.05, "test": 0.25}
    )
    seed: int = 0


@dataclass(frozen=True)
class Partition:
    """Where: regions along an axis of the image, along a structure's extent, from a label map, or the whole.

    Args:
        axis: the axis that is cut (0 = rows).
        regions: names, in the axis' direction.
        cuts: fractions at which the axis or extent is cut; equal parts by default.
        softness: width of a soft edge as a fraction of the axis or extent; 0 is hard.
        margin: for `extent`: cover only the structure's box across the axis, grown by this fraction of the image.
        file: for `label_map`.
    """

    kind: Literal["axis", "extent", "whole", "label_map"]
    axis: int = 0
    regions: tuple[str, ...] = ("whole",)
    cuts: tuple[float, ...] | None = None
    softness: float = 0.0
    margin: float | None = None
    file: Path | None = None


@dataclass(frozen=True)
class Augment:
    """Random changes to training images: degrees, fractions of the image, fractions of the intensity range / 2."""

    rotate: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    flip_axes: tuple[int, ...] = ()
    contrast: float = 0.0
    brightness: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True)
class Budget:
    """How long and how fast a network trains."""

    steps: int
    batch_size: int = 32
    lr: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class Segmentor:
    """A segmentor: one of two unlike MONAI networks."""

    arch: SegmentorArch
    budget: Budget
    width: int = 32
    augment: Augment = Augment()


@dataclass(frozen=True)
class Regressor:
    """The guide of Reg-CFT."""

    budget: Budget
    width: int = 32
    augment: Augment = Augment()


@dataclass(frozen=True)
class Hvae:
    """The image model. `conditioning` lists how parents enter; each is trained (map is segue's, broadcast is usual)."""

    budget: Budget
    conditioning: tuple[Conditioning, ...] = ("map",)
    widths: tuple[int, ...] = (64, 96, 128, 128)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    latent: int = 8
    finest: int = 1
    reach: int = 3
    head: int = 32
    free_bits: float = 0.05
    beta_warmup: float = 0.2
    augment: Augment = Augment()


@dataclass(frozen=True)
class Finetune:
    """Counterfactual fine-tuning.

    Args:
        guides: none (No-CFT), regressor (Reg-CFT), structure (Seg-CFT), region (Pos-Seg-CFT).
        damping: weight of the constraint's quadratic term. rate: the multiplier's step. multiplier: its start.
        clip: gradient norm; its gradients are 10 to 100 times those of the ELBO, and a clip at 1 strangles it.
    """

    budget: Budget
    guides: tuple[GuideKind, ...] = ("none", "regressor", "structure", "region")
    damping: float = 10.0
    rate: float = 0.05
    multiplier: float = 0.1
    clip: float = 50.0


@dataclass(frozen=True)
class Evaluate:
    """Judging: test images, posterior samples to average (1 = the posterior's mean), figure rows, bootstrap."""

    images: int = 200
    particles: int = 1
    rows: int = 4
    bootstrap: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Study:
    """One reproducible piece of work.

    Args:
        name: results land in runs/<name>.
        partitions: named partitions.
        variables: the partition that measures each structure.
        runs: the folder of all runs.
        precision: of training; auto is bf16 where the hardware has it. What is measured is always float32.
    """

    name: str
    cohort: Cohort
    partitions: dict[str, Partition]
    variables: dict[str, str]
    segmentor: Segmentor
    judge: Segmentor
    regressor: Regressor
    hvae: Hvae
    finetune: Finetune
    evaluate: Evaluate = Evaluate()
    runs: Path = Path("runs")
    precision: Precision = "auto"

    @property
    def directory(self) -> Path:
        """runs/<name>"""
        return self.runs / self.name


def load_study(path: Path, overrides: Iterable[str] = ()) -> Study:
    """Read, override (`--hvae.latent 4`) and check a study; InputError says what is wrong, and where."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such study; give a YAML file, e.g. studies/coronary-phantom.yaml")
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a study is a mapping with keys {', '.join(keys(Study))}")
    check_keys(content, Study, where=str(path))
    arguments = list(overrides)
    for argument in arguments:
        if argument.startswith("--"):
            check_option(argument[2:].split("=")[0])
    parser = study_parser()
    try:
        parsed = parser.parse_args(["--config", str(path), *arguments])
        made = parser.instantiate_classes(parsed)
    except (ArgumentError, ValueError, TypeError) as error:
        raise InputError(f"{path}: {one_line(error)}") from None
    study = Study(**{key: made[key] for key in keys(Study)})
    check(study, str(path))
    return study


def study_parser(usage: str | None = None, description: str | None = None) -> ArgumentParser:
    """The typed tree that YAML and command line share."""
    parser = ArgumentParser(exit_on_error=False, prog="segue", usage=usage, description=description)
    parser.add_argument("--config", action="config", help="the study's YAML file")
    parser.add_class_arguments(Study, None)
    return parser


def check(study: Study, where: str) -> None:
    """What types cannot say."""
    cohort = study.cohort
    if (cohort.folder is None) == (cohort.phantom is None):
        raise InputError(f"{where}: give either cohort.folder or cohort.phantom")
    if cohort.phantom is not None and len(cohort.size) != 2:
        raise InputError(f"{where}: cohort.size is {list(cohort.size)}: the phantom has two axes, give two numbers")
    if cohort.phantom is not None and tuple(cohort.structures) != PHANTOM_STRUCTURES:
        known = ", ".join(PHANTOM_STRUCTURES)
        raise InputError(f"{where}: cohort.structures of the phantom are {known}, in this order")
    if cohort.intensity[0] >= cohort.intensity[1]:
        raise InputError(f"{where}: cohort.intensity is {cohort.intensity}: give the lower value first")
    for split in ("guide", "judge", "test"):
        if cohort.split.get(split, 0) <= 0:
            raise InputError(f"{where}: cohort.split gives no subjects to {split!r}")
    if not math.isclose(sum(cohort.split.values()), 1, abs_tol=1e-6):
        raise InputError(f"{where}: cohort.split adds up to {sum(cohort.split.values()):g}: make it 1")
    for structure, name in study.variables.items():
        if structure not in cohort.structures:
            raise InputError(f"{where}: variables.{structure} is no structure{nearest(structure, cohort.structures)}")
        if name not in study.partitions:
            raise InputError(f"{where}: variables.{structure}: {name} is no partition{nearest(name, study.partitions)}")
    for key in ("segmentor", "judge", "regressor", "hvae", "finetune"):
        budget: Budget = getattr(study, key).budget
        if budget.steps < 1 or budget.batch_size < 2 or budget.lr <= 0:
            raise InputError(f"{where}: {key}.budget: give at least 1 step, batches of 2, and an lr above 0")
    hvae = study.hvae
    shape = {"widths": hvae.widths, "depths": hvae.depths, "finest": hvae.finest, "reach": hvae.reach}
    fits: dict[str, Callable[[], None]] = {
        "segmentor": partial(check_segmentor, study.segmentor.arch, study.segmentor.width, cohort.size),
        "judge": partial(check_segmentor, study.judge.arch, study.judge.width, cohort.size),
        "regressor": partial(check_groups, study.regressor.width),
        "hvae": partial(check_shape, size=cohort.size, **shape),  # type: ignore[arg-type]
    }
    for key, fit in fits.items():
        try:
            fit()
        except ValueError as error:
            raise InputError(f"{where}: {key}: {error}") from None
    variables(study)


def variables(study: Study) -> Variables:
    """The study's measured variables."""
    made = {}
    for name, partition in study.partitions.items():
        arguments = dataclasses.asdict(partition)
        if partition.kind == "whole":
            arguments |= {"axis": 0}
        try:
            made[name] = make_partition(**arguments)
            blank = torch.zeros(1, *study.cohort.size)
            made[name].weights(made[name].frame(blank), study.cohort.size)  # refuses an axis that is not there
        except InputError as error:
            raise InputError(f"partitions.{name}: {str(error).removeprefix('partition.')}") from None
    return Variables(
        structures=tuple(study.cohort.structures),
        partitions={structure: made[name] for structure, name in study.variables.items()},
    )


def plain(value: Any) -> Any:
    """Dataclasses, paths and tuples as what JSON and YAML can say."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def to_yaml(study: Study) -> str:
    """The study with every default filled in."""
    return yaml.safe_dump(json.loads(json.dumps(plain(study))), sort_keys=False)


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


def nearest(name: str, known: Iterable[str], stem: str = "") -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {stem}{near[0]}?" if near else f"; choose from {', '.join(known)}"


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
