"""Write a trained run as a folder that travels: settings, weights in half precision, checksums, and a model card.

Of the cohort it holds the training variables' quantiles, each variable on its own, their correlations in rank space,
and what example images were asked for: nobody's row of values, no paths.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue import __version__
from segue.engine.model import Model
from segue.engine.typical import Typical
from segue.errors import InputError
from segue.files import whole_folder, write_text
from segue.hub.card import model_card
from segue.hub.folder import IMAGE, MOTION, PANEL, SEGMENTOR, TENSORS, VARIABLES
from segue.hub.inputs import CARD, input_section, input_tensors
from segue.hub.load import load
from segue.hub.locate import EXPORTED, RUN
from segue.hub.runs import Trained, example_images, open_run
from segue.hub.settings import FORMAT
from segue.mechanisms.base import Trainable, offered
from segue.mechanisms.deformation import VELOCITY, Deformation
from segue.mechanisms.refined import Refined
from segue.nets.weights import arguments_of
from segue.pipeline import read_done
from segue.pipeline.common import open_store
from segue.pipeline.inputs import typical_of
from segue.pipeline.recipes import image_arguments
from segue.sealed import sealed, sha256
from segue.study.derived import plain
from segue.tensor_file import save_tensors

LEVELS = 2001  # quantiles kept of each variable: those at multiples of 0.0005 are exact


def export(
    run: Path, out: Path, *, method: str | None = None, examples: int = 0, notes: str = "", license: str = "unknown"
) -> Path:
    """Write the model of a run to `out`: model.json, model.safetensors, README.md.

    Args:
        method: a key of metrics.json; by default as `segue.load` chooses.
        examples: how many test images to put in. They are published with the model.
        notes: Markdown for the model card, about what the run cannot know of its data.
        license: of the model, an identifier of the Hugging Face Hub (apache-2.0, cc-by-nc-4.0, other).

    Raises:
        InputError: there is something at `out`, no such method, or the run is of several minds: a stage was done again,
            and what rests on it was not.
    """
    if out.exists():
        raise InputError(f"{out}: exists already; name a new folder")
    if examples < 0:
        raise InputError(f"--examples {examples}: give a number of images, 0 or more")
    if not (run / RUN).is_file():
        raise InputError(f"{run}: no run here ({RUN} is missing); give a run's folder, runs/<study>")
    trained = open_run(run, method)
    check_whole(run, str(trained.recipe.directory.relative_to(trained.study.directory)))
    if (run / "evaluate" / "done.json").exists():
        check_whole(run, "evaluate")
    if trained.study.graph:
        check_whole(run, "scm")
    check_whole(run, "inputs")
    with whole_folder(out) as partial:
        model = load(run, method=trained.name)
        typical = typical_in(trained, model)
        fill(partial, trained, model, typical, examples=examples, name=out.name)
        card = model_card(partial, run, trained, notes=notes, license=license)
        write_text(partial / CARD, card + input_section(typical))
    return out


def check_whole(run: Path, stage: str) -> None:
    """Refuse a stage that rests on another state of what it needs than stands there now."""
    done = read_done(run / stage) or {}
    for need, mark in done.get("needs", {}).items():
        if (read_done(run / need) or {}).get("fingerprint") != mark:
            raise InputError(f"{run}: {stage} was done with an earlier {need}; do `segue run STUDY` first")
        check_whole(run, need)


def typical_in(trained: Trained, model: Model) -> Typical | None:
    """What the model's input usually looks like: as the run has it, or found now where it was trained before."""
    if model.input_check is not None:
        return model.input_check.typical
    return typical_of(model, open_store(trained.study))


def fill(
    folder: Path, trained: Trained, model: Model, typical: Typical | None, *, examples: int, name: str
) -> None:
    """The tensors, the files that partitions need, and the settings with all their checksums."""
    tensors = tensors_of(model) | input_tensors(typical)
    if examples:
        tensors["examples"] = example_images(trained.study, examples)
    save_tensors(tensors, folder / TENSORS)
    (folder / TENSORS).chmod(0o644)  # safetensors lets only the owner read it; this file is to be handed on
    partitions = {key: stated(folder, key, part) for key, part in trained.study.partitions.items()}
    settings = {"format": FORMAT, "name": name, "partitions": partitions, **settings_of(trained, model)}
    if (marks := trained.study.cohort.marks) is not None:
        settings["marks"] = stated(folder, "marks", {"file": marks})["file"]
    settings["files"] = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    write_text(folder / EXPORTED, sealed(settings))


def tensors_of(model: Model) -> dict[str, Tensor]:
    """Networks in half precision, and what parents and requests need."""
    refined, parents = cast(Refined, model.mechanism), model.parents
    networks = offered(refined, Trainable).networks()
    tensors = {
        **halved(networks[""], IMAGE),
        **(halved(networks[VELOCITY], MOTION) if VELOCITY in networks else {}),
        **halved(parents.segmentor, SEGMENTOR),  # type: ignore[arg-type]  # a module too
        **halved(refined.ensemble, PANEL),
        "mean": parents.mean.cpu(),
        "sd": parents.sd.cpu(),
        "marginal": quantiles(model.space.marginal.cpu()),
    }
    if model.space.correlation is not None:
        tensors["correlation"] = model.space.correlation.cpu()
    if model.scm is not None:  # in full precision: it is small, and the quantiles of a flow need their digits
        tensors |= {key: tensor.cpu() for key, tensor in model.scm.state_dict(prefix=VARIABLES).items()}
    return tensors


def settings_of(trained: Trained, model: Model) -> dict[str, Any]:
    """model.json, except what concerns its folder."""
    study, recipe, grid, refined = trained.study, trained.recipe, model.grid, cast(Refined, model.mechanism)
    mover = offered(refined, Deformation)
    painter = refined if mover is None else mover.painter
    return {
        "study": study.name,
        "method": trained.name,
        "segue": __version__,
        "commit": (read_done(recipe.directory) or {}).get("commit"),
        "size": list(grid.size),
        "channels": grid.channels,
        "intensity": grid.intensity.settings(),
        "unit": grid.unit,
        "pixel_area": grid.pixel_area,
        "axes": grid.axes,
        "structures": list(model.structures),
        "variables": study.variables,
        "spacing": grid.spacing,
        **({"measures": study.measures} if study.measures else {}),
        "covariates": list(study.cohort.covariates),
        "conditioning": recipe.conditioning,
        "mechanism": recipe.kind,
        **({} if mover is None else {"deformation": mover.settings}),
        "shrinkage": painter.shrinkage,
        "blur": painter.blur,
        "floor": refined.floor,
        "corrections": refined.corrections,
        "networks": {
            "image": image_arguments(study, recipe.kind, recipe.directory),
            **({} if mover is None else {"velocity": arguments_of(recipe.directory / VELOCITY)}),
            "segmentor": arguments_of(study.directory / "segmentor"),
            "panel": [arguments_of(folder) for folder in recipe.ensemble],
            **({} if model.scm is None else {"scm": arguments_of(study.directory / "scm")}),
        },
    }


def halved(net: nn.Module, prefix: str) -> dict[str, Tensor]:
    """A network's tensors by prefixed name, those of real numbers in half precision.

    Raises:
        InputError: one is beyond what half precision holds, or not a number: such a network has diverged.
    """
    found = {}
    for name, tensor in net.state_dict().items():
        kept = tensor.cpu().half() if tensor.is_floating_point() else tensor.cpu()
        if not bool(kept.isfinite().all()):
            raise InputError(f"{prefix}{name}: holds weights beyond 65504 or not finite; train it again, lr lower")
        found[prefix + name] = kept
    return found


def quantiles(marginal: Float[Tensor, "sample variable"]) -> Float[Tensor, "level variable"]:
    """Sorted training values as they are where they are few, else their quantiles at equal steps."""
    if len(marginal) <= LEVELS:
        return marginal
    levels = np.quantile(marginal.double().numpy(), np.linspace(0, 1, LEVELS), axis=0)
    return torch.from_numpy(levels.astype(np.float32))


def stated(folder: Path, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A partition's settings for JSON; the files that they name are copied to the folder."""
    arguments = plain(dict(settings))
    for key, path in settings.items():
        if isinstance(path, Path):
            stem = name if key == "file" else f"{name}-{key}"
            arguments[key] = stem + "".join(path.suffixes[-2:])
            shutil.copyfile(path, folder / arguments[key])
    return arguments
