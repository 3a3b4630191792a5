"""How much room a study needs on the disk, before anything is done."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import nn

from segue.causal.parents import Parents
from segue.cohort import list_folder
from segue.cohort.grid import Grid
from segue.disk import free_bytes, in_bytes
from segue.errors import InputError
from segue.mechanisms import MECHANISMS
from segue.mechanisms.deformation import build_velocity
from segue.nets.segmentor import Regressor, Segmentor
from segue.pipeline.prepare import folder_settings
from segue.pipeline.recipes import recipes
from segue.study.derived import consulted, further, variables
from segue.study.networks import SegmentorSettings
from segue.study.schema import Study

FLOAT = 4  # bytes
CHECKPOINTS = 2 * 4 + 4
"""Copies of the weights in two checkpoints (weights, their mean, two of the optimiser's), and in one being written."""
BESIDE = 20_000_000
"""Bytes of logs, figures, tables and pages, at most."""
COMPRESSED = 50
"""Images and masks are at most so many times smaller on the disk."""


class Room(NamedTuple):
    """Bytes that are written for sure, and at most."""

    least: int
    most: int


def check_room(study: Study, left: Iterable[str], say: Callable[[str], None]) -> None:
    """Say how much room the stages that are left need, and refuse to start where there is too little for sure.

    Raises:
        InputError: there is less room than weights and compressed images need.
    """
    room, free = room_of(study, set(left)), free_bytes(study.directory)
    if free < room.least:
        raise InputError(
            f"{study.directory}: it needs {in_bytes(room.least)} to {in_bytes(room.most)}, {in_bytes(free)} are free "
            "there; make room, or choose another --runs"
        )
    short = "" if free >= room.most else ": this may not suffice"
    say(f"room: up to {in_bytes(room.most)} will be written, {in_bytes(free)} are free{short}")


def room_of(study: Study, left: set[str]) -> Room:
    """What some stages of a study write.

    >>> from pathlib import Path
    >>> from segue.study.read import load_study
    >>> study = load_study(Path("studies/coronary-phantom.yaml"))
    >>> in_bytes(room_of(study, {"prepare"}).least)
    '2.9 MB'
    """
    images = images_of(study) if "prepare" in left else 0
    sizes = [FLOAT * count for name, count in weights_of_stages(study).items() if name in left]
    weights, largest = sum(sizes), max(sizes, default=0)
    return Room(images // COMPRESSED + weights, images + weights + CHECKPOINTS * largest + BESIDE)


def images_of(study: Study) -> int:
    """Bytes of a cohort's images and masks, not compressed."""
    cohort = study.cohort
    if cohort.folder is None:
        count = 0 if cohort.phantom is None else cohort.phantom.images
    else:
        count = len(list_folder(cohort.folder, folder_settings(cohort)))
    maps = max(1, len(cohort.channels)) + len(cohort.structures)
    return FLOAT * count * maps * math.prod(cohort.size)


def weights_of_stages(study: Study) -> dict[str, int]:
    """The number of weights of each stage that trains; the networks are made without memory."""
    measured, cohort = variables(study), study.cohort
    channels, dims = max(1, len(cohort.channels)), len(cohort.size)
    grid = Grid(size=cohort.size, channels=channels)
    with torch.device("meta"):
        segmentors = {"segmentor": study.segmentor, "judge": study.judge}
        segmentors |= {f"panel/{name}": one for name, one in consulted(study).items()}
        made: dict[str, list[nn.Module]] = {
            name: [segmentor(one, dims, len(cohort.structures), channels)] for name, one in segmentors.items()
        }
        parents = Parents(segmentor=made["segmentor"][0], variables=measured, covariates=cohort.covariates)
        width, outputs = study.regressor.width, len(parents.names)
        made["regressor"] = [Regressor(size=cohort.size, outputs=outputs, width=width, channels=channels)]
        ways = {way: (study.mechanism, way) for way in study.hvae.conditioning}
        ways |= {kind: (kind, "map") for kind in further(study)}  # type: ignore[misc]
        for folder, (kind, way) in ways.items():
            mechanism = MECHANISMS[kind].build(getattr(study, kind), parents, grid, way)
            made[f"pretrain/{folder}"] = list(mechanism.networks().values())
        velocity = build_velocity(study.deformation, parents, grid)
    counts = {name: sum(map(size_of_net, nets)) for name, nets in made.items()}
    for recipe in recipes(study).values():
        if recipe.tuned and recipe.tuning:
            moved = size_of_net(velocity) if recipe.tuning.moves else 0
            counts[f"finetune/{recipe.directory.name}"] = counts[f"pretrain/{recipe.before.name}"] + moved
    return counts


def segmentor(settings: SegmentorSettings, dims: int, structures: int, channels: int) -> Segmentor:
    """An untrained segmentor of a study."""
    stated = {"arch": settings.arch, "width": settings.width, "patch": settings.patch}
    return Segmentor(spatial_dims=dims, structures=structures, channels=channels, **stated)  # type: ignore[arg-type]


def size_of_net(net: nn.Module) -> int:
    return sum(tensor.numel() for tensor in net.state_dict().values())
