"""Read an exported model: `model.json` says how it is built, `model.safetensors` holds its numbers.

Weights are stored in half precision and used in float32. Nothing is unpickled; what has changed since the export is
refused by its checksum.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from segue import __version__
from segue.anatomy import Partition, Variables, make_partition, partition_settings
from segue.causal.parents import Parents
from segue.causal.scm import SCM
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity, make_intensity
from segue.cohort.marks import Marks
from segue.engine.model import Model
from segue.engine.typical import Typical
from segue.errors import InputError
from segue.hardware import channels_last
from segue.hub.settings import EXPORT_AGAIN, read_settings
from segue.mechanisms import MECHANISMS
from segue.mechanisms.deformation import Deformation
from segue.mechanisms.refined import Refined, refined
from segue.nets.segmentor import Segmentor
from segue.nets.velocity import VelocityNet
from segue.nets.weights import UNFIT, with_weights
from segue.tensor_file import read_tensors
from segue.text import one_line

TENSORS = "model.safetensors"
IMAGE, MOTION, SEGMENTOR, PANEL, VARIABLES = "image.", "velocity.", "segmentor.", "panel.", "scm."
INPUTS = "inputs."
"""Prefixes of the networks' tensors."""

Net = TypeVar("Net", bound=nn.Module)


def read_model(folder: Path, *, method: str | None, device: str | torch.device) -> Model:
    """The model that `segue.hub.export` wrote to `folder`.

    Args:
        method: if given, the one that the folder must hold.

    Raises:
        InputError: the folder is damaged, of another format or version, or holds another method.
    """
    settings = read_settings(folder)
    if method not in (None, settings["method"]):
        raise InputError(f"{folder}: {method} is not in it; this exported model is {settings['method']}")
    tensors = read_tensors(folder / TENSORS, mend=EXPORT_AGAIN)
    try:
        return assembled(folder, settings, tensors, device)
    except InputError:  # it names the file, and the mend
        raise
    except UNFIT as error:  # other arguments, or weights of other shapes
        raise InputError(
            f"{folder}: was exported by segue {settings['segue']} and does not fit segue {__version__} "
            f"({one_line(error)[:160]}); install that version, or export the run again"
        ) from None


def assembled(
    folder: Path, settings: Mapping[str, Any], tensors: dict[str, Tensor], device: str | torch.device
) -> Model:
    """The model of an exported folder's settings and tensors."""
    mechanism, scm = build(folder, settings, tensors), build_scm(settings, tensors)
    check_values(mechanism, tensors)
    grid = Grid(
        size=tuple(settings["size"]),
        channels=settings["channels"],
        intensity=read_intensity(settings),
        unit=settings["unit"],
        pixel_area=settings["pixel_area"],
        axes=settings.get("axes"),  # older folders have no such entry
        marks=marks_in(folder, settings),
        spacing=None if (spacing := settings.get("spacing")) is None else tuple(spacing),
    )
    typical = Typical.of(under(tensors, INPUTS))
    known = {key: tensors.get(key) for key in ("examples", "correlation")}  # older folders have no correlation
    return Model(mechanism, grid, marginal=tensors["marginal"], scm=scm, typical=typical, device=device, **known)


def marks_in(folder: Path, settings: Mapping[str, Any]) -> Marks | None:
    """What the scanner draws on every image, a file of the folder."""
    name = settings.get("marks")  # only models of marked images have it
    return None if name is None else Marks(folder / Path(name).name)


def read_intensity(settings: Mapping[str, Any]) -> Intensity:
    """How raw values are scaled; in older folders the percentiles of each image are an entry of their own."""
    stated = settings["intensity"]
    if percentiles := settings.get("percentiles"):
        stated = {"percentiles": percentiles, "usual": stated}
    return make_intensity(stated)


def build(folder: Path, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> Refined:
    """The image mechanism and its parents, in float32."""
    networks = settings["networks"]
    made = {name: partition(folder, arguments) for name, arguments in settings["partitions"].items()}
    parents = Parents(
        segmentor=network(Segmentor, networks["segmentor"], tensors, SEGMENTOR),
        variables=Variables(
            structures=tuple(settings["structures"]),
            partitions={structure: made[name] for structure, name in settings["variables"].items()},
            measures=settings.get("measures"),
        ),
        covariates=tuple(settings["covariates"]),
    )
    parents.mean.copy_(tensors["mean"])
    parents.sd.copy_(tensors["sd"])
    kind = MECHANISMS[settings.get("mechanism", "hvae")]  # older folders have no such entry, nor the next three
    restore = partial(kind.restore, parents=parents, conditioning=settings["conditioning"])
    inner = with_weights(restore, networks["image"], under(tensors, IMAGE), net_of=lambda made: made.model)
    ensemble = [network(Segmentor, one, tensors, f"{PANEL}{i}.") for i, one in enumerate(networks.get("panel", ()))]
    if (motion := settings.get("deformation")) is not None:
        inner = Deformation(inner, network(VelocityNet, networks["velocity"], tensors, MOTION), **motion)
    mechanism = refined(
        inner,
        shrinkage=settings["shrinkage"],
        blur=settings.get("blur", 0.0),
        floor=settings.get("floor", 0),
        corrections=settings.get("corrections", 0),
        ensemble=ensemble,
    )
    return channels_last(mechanism, len(settings["size"]))


def build_scm(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> SCM | None:
    """The causal model of the variables, where the study has a graph."""
    arguments = settings["networks"].get("scm")  # folders of before graphs have no such entry
    return None if arguments is None else network(SCM, arguments, tensors, VARIABLES)


def network(kind: type[Net], arguments: Mapping[str, Any], tensors: Mapping[str, Tensor], prefix: str) -> Net:
    """A network with the weights under `prefix`."""
    return with_weights(lambda stated: kind(**stated), arguments, under(tensors, prefix))


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def check_values(mechanism: Refined, tensors: Mapping[str, Tensor]) -> None:
    """Refuse statistics of another number of variables."""
    count = len(mechanism.parents.names)
    marginal, correlation = tensors["marginal"], tensors.get("correlation")
    if marginal.ndim != 2 or marginal.shape[1] != count or not len(marginal):
        raise ValueError(f"marginal is {tuple(marginal.shape)}, not of {count} variables")
    if correlation is not None and correlation.shape != (count, count):
        raise ValueError(f"correlation is {tuple(correlation.shape)}, not {(count, count)}")


def partition(folder: Path, arguments: Mapping[str, Any]) -> Partition:
    """A partition from JSON, a label map being a file of the folder."""
    settings = partition_settings(arguments)
    files = {key: folder / name.name for key, name in settings.items() if isinstance(name, Path)}
    return make_partition(**settings | files)
