"""Stage: what images like the training images look like to each method, for the check of its input."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from segue.cohort import Store
from segue.cohort.grid import Grid
from segue.engine.answer import infer_images
from segue.engine.image_statistics import image_statistics, model_statistics
from segue.engine.model import Model
from segue.engine.poses import poses
from segue.engine.thumbnails import ThumbnailModel, fit_thumbnails, thumbnails_of
from segue.engine.typical import FEWEST_HELD_OUT, Typical, calibrate
from segue.pipeline.common import Result, device, grid_of, load_measured, open_store, spaced
from segue.pipeline.read_inputs import BATCH, read_inputs
from segue.pipeline.recipes import Workshop, recipes
from segue.pipeline.usual_answers import usual_answers
from segue.study.schema import Study
from segue.tensor_file import read_tensors, save_tensors

TRAINING, HELD_OUT, ASKED = 2000, 512, 32  # images of each at most


def fit_input_checks(study: Study, directory: Path) -> Result:
    """Calibrate the check of each method's input; those of too few held-out images have none."""
    store, workshop = open_store(study), Workshop(study)
    grid, marginal = grid_of(study, store), load_measured(study)["training"]
    layout = layout_of(grid, store)
    found: dict[str, float] = {}
    for name, recipe in recipes(study).items():
        model = Model(workshop.mechanism(recipe), grid, marginal=marginal, device=device())
        if (typical := typical_of(model, store, layout)) is not None:
            save_tensors(typical.tensors(), directory / file_of(name))
            found[name] = typical.false_alarm
    return {"images": len(held_out(store)), "false_alarm": found}


def load_typical(study: Study, method: str) -> Typical | None:
    """What a method's input usually looks like; None where the stage was not done, or had too few images."""
    path = study.directory / "inputs" / file_of(method)
    return Typical.of(read_tensors(path)) if path.is_file() else None


def file_of(method: str) -> str:
    return f"{method}.safetensors"


def typical_of(model: Model, store: Store, layout: ThumbnailModel | None = None) -> Typical | None:
    """Calibrated on the cohort's held-out images, in a layout fitted to the guide's; None where these are too few.

    Args:
        store: the cohort that the model was trained on. layout: of its images, if it is known already.
    """
    chosen = held_out(store)
    if len(chosen) < FEWEST_HELD_OUT:
        return None
    layout = layout or layout_of(model.grid, store)
    layout, rows = layout.to(model.device), []
    for inputs, _ in read_inputs(model, store, chosen, title="input check"):
        known = infer_images(model, inputs)
        found = image_statistics(known.raw, model.grid, layout) | model_statistics(known, model.mechanism)
        rows.append({name: column.cpu() for name, column in found.items()})
    typical = calibrate(layout, {name: torch.cat([row[name] for row in rows]) for name in rows[0]})
    validation = spaced(np.sort(store.indices("validation")), ASKED)
    if not len(validation):
        return typical
    return replace(typical, answers=usual_answers(model, store, validation))


def held_out(store: Store) -> Int[np.ndarray, " image"]:
    """Images that neither the guide nor the mechanism was trained on, and that nobody is tested on."""
    return spaced(np.sort(np.concatenate([store.indices("validation"), store.indices("judge")])), HELD_OUT)


def layout_of(grid: Grid, store: Store) -> ThumbnailModel:
    """The layout of the images that the guide was trained on."""
    rows = spaced(store.indices("guide"), TRAINING)
    wrong = poses(grid)
    thumbs: dict[str, list[Tensor]] = {name: [] for name in ("", *wrong)}
    for part in np.array_split(rows, -(-len(rows) // BATCH)):
        raw = store.read(part, fractions=False)["image"]
        thumbs[""].append(thumbnails_of(grid.scale(raw)))
        for name, pose in wrong.items():
            thumbs[name].append(thumbnails_of(grid.scale(pose.taken(raw))))
    joined = {name: torch.cat(parts) for name, parts in thumbs.items()}
    return fit_thumbnails(joined.pop(""), joined)
