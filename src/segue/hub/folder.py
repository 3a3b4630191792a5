"""Read an exported model: `model.json` says how it is built, `model.safetensors` holds its numbers.

Weights are stored in half precision and used in float32. Nothing is unpickled; what has changed since the export is
refused by its checksum.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from segue import __version__
from segue.anatomy import Partition, Variables, make_partition, partition_settings
from segue.bounds import check_bounds
from segue.causal.parents import Parents
from segue.causal.scm import SCM
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity, make_intensity
from segue.engine.model import Model
from segue.engine.typical import Typical
from segue.errors import InputError
from segue.hardware import channels_last
from segue.hub.locate import EXPORTED
from segue.mechanisms import MECHANISMS
from segue.mechanisms.deformation import Deformation
from segue.mechanisms.refined import Refined, refined
from segue.nets.segmentor import Segmentor
from segue.nets.velocity import VelocityNet

FORMAT = "segue-model-1"
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
    tensors = load_file(folder / TENSORS)
    try:
        mechanism, scm = build(folder, settings, tensors), build_scm(settings, tensors)
    except (RuntimeError, TypeError):  # other arguments, or weights of other shapes
        raise InputError(
            f"{folder}: was exported by segue {settings['segue']} and does not fit segue {__version__}; "
            "install that version, or export the run again"
        ) from None
    grid = Grid(
        size=tuple(settings["size"]),
        channels=settings["channels"],
        intensity=read_intensity(settings),
        unit=settings["unit"],
        pixel_area=settings["pixel_area"],
        axes=settings.get("axes"),  # older folders have no such entry
    )
    typical = Typical.of({name.removeprefix(INPUTS): one for name, one in tensors.items() if name.startswith(INPUTS)})
    known = {key: tensors.get(key) for key in ("examples", "correlation")}  # older folders have no correlation
    return Model(mechanism, grid, marginal=tensors["marginal"], scm=scm, typical=typical, device=device, **known)


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
        ),
        covariates=tuple(settings["covariates"]),
    )
    parents.mean.copy_(tensors["mean"])
    parents.sd.copy_(tensors["sd"])
    kind = MECHANISMS[settings.get("mechanism", "hvae")]  # older folders have no such entry, nor the next three
    with torch.device("meta"):
        check_shapes(kind.restore(networks["image"], parents, settings["conditioning"]).model, tensors, IMAGE)
    inner = kind.restore(networks["image"], parents, settings["conditioning"])
    load_weights(inner.model, tensors, IMAGE)
    ensemble = [network(Segmentor, one, tensors, f"{PANEL}{i}.") for i, one in enumerate(networks.get("panel", ()))]
    if (motion := settings.get("deformation")) is not None:
        inner = Deformation(inner, network(VelocityNet, networks["velocity"], tensors, MOTION), **motion)
    mechanism = refined(
        inner,
        shrinkage=settings["shrinkage"],
        blur=settings.get("blur", 0.0),
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
    with torch.device("meta"):
        check_shapes(kind(**arguments), tensors, prefix)
    net = kind(**arguments)
    load_weights(net, tensors, prefix)
    return net


def check_shapes(net: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Refuse settings whose network has other weights than the file, before there is memory for it."""
    wanted = {f"{prefix}{name}": tensor.shape for name, tensor in net.state_dict().items()}
    if wanted != {name: tensor.shape for name, tensor in tensors.items() if name.startswith(prefix)}:
        raise RuntimeError("weights of other shapes")


def load_weights(net: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Load the tensors under `prefix`, cast to the network's own float32."""
    found = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    net.load_state_dict(found)


def partition(folder: Path, arguments: Mapping[str, Any]) -> Partition:
    """A partition from JSON, a label map being a file of the folder."""
    settings = partition_settings(arguments)
    files = {key: folder / name.name for key, name in settings.items() if isinstance(name, Path)}
    return make_partition(**settings | files)


def read_settings(folder: Path) -> dict[str, Any]:
    """model.json, once it and every file that it names are known to be as they were written."""
    path = folder / EXPORTED
    again = "copy it again, or export the run again"
    try:
        settings = json.loads(path.read_text())
        found, stated = settings["format"], settings["checksum"]
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{path}: is damaged (no model's settings can be read from it); {again}") from None
    if found != FORMAT:
        raise InputError(f"{path}: its format is {found!r}, this version of segue reads {FORMAT!r}; install its own")
    if stated != checksum(settings):
        raise InputError(f"{path}: is damaged or was edited (its checksum is another); {again}")
    check_bounds(settings, str(path))
    for name, digest in settings["files"].items():
        file = folder / name
        if not file.is_file():
            raise InputError(f"{file}: is missing; {again}")
        if digest != sha256(file):
            raise InputError(f"{file}: is damaged (its checksum is another); {again}")
    return settings


def checksum(settings: Mapping[str, Any]) -> str:
    """SHA-256 of the settings (and so of the checksums of the files that they name), this entry aside."""
    rest = {key: value for key, value in settings.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
