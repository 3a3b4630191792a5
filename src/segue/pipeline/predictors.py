"""Stages: the guide's segmentor, the judge, the measured cohort, and the regressor."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.causal.parents import Parents
from segue.cohort import Store
from segue.errors import InputError
from segue.nets.segmentor import Regressor, Segmentor
from segue.nets.weights import load_pretrained
from segue.pipeline.common import (
    Result,
    augmentation,
    covariate_values,
    device,
    load_measured,
    load_parents,
    measured_images,
    open_store,
    per_image,
    stream,
    trained,
)  # fmt: skip
from segue.study.derived import variables
from segue.study.networks import SegmentorSettings
from segue.study.schema import Study
from segue.tensor_file import save_tensors
from segue.training.objectives import Regression, Segmentation


def train_segmentor(
    settings: SegmentorSettings, study: Study, directory: Path, *, title: str, split: str = "guide"
) -> Result:
    """Train a segmentor on a split's subjects: the guide, one of its panel, or the judge."""
    store = open_store(study)
    torch.manual_seed(settings.budget.seed)
    net = Segmentor(
        arch=settings.arch,
        spatial_dims=len(store.size),
        structures=len(store.structures),
        width=settings.width,
        patch=settings.patch,
        channels=store.channels,
    )
    objective = Segmentation(net, augmentation(study, settings.augment))
    chosen = None if settings.masks is None else with_masks(store, split, settings.masks, study.cohort.seed)
    batches = stream(study, store, split, settings.budget, with_fractions=True, chosen=chosen)
    return trained(study, {"": net}, objective, batches, directory, settings.budget, title=title)


def with_masks(store: Store, split: str, share: float, seed: int) -> np.ndarray:
    """The images of a split whose masks are learned from: all of `share` of its subjects, one subject at least.

    Subjects come in one order that the seed draws, so that a smaller share is part of a larger.
    """
    indices = store.indices(split)
    subjects = np.array(store.table["subject"].to_list())[indices]
    known = np.random.default_rng(seed).permutation(np.unique(subjects))
    return indices[np.isin(subjects, known[: max(1, round(share * len(known)))])]


def measure_cohort(study: Study, directory: Path) -> Result:
    """Measure every image with the guide's segmentor: parents, frames, and the guide split's mean and sd."""
    store = open_store(study)
    covariates = study.cohort.covariates
    guide = load_pretrained(Segmentor, study.directory / "segmentor")
    parents = Parents(segmentor=guide, variables=variables(study), covariates=covariates).to(device())
    found = measured_images(study, store, parents, range(len(store)))
    areas = found.areas.cpu()
    values = torch.cat([areas, covariate_values(store, covariates)], dim=1)
    training = values[torch.from_numpy(store.indices("guide"))]
    check_measured(parents.variables.names, training)
    parents.cpu().fit(training)
    content = {
        "parents": values,
        "frames": found.frames.cpu(),
        "pixel_area": store.pixel_area().float(),
        "training": training,
        "mean": parents.mean,
        "sd": parents.sd,
    }
    save_tensors(content, directory / "measured.safetensors")
    named = dict(zip(parents.names, zip(parents.mean.tolist(), parents.sd.tolist(), strict=True), strict=True))
    return {
        "unit": store.unit,
        "variables": {name: {"mean": mean, "sd": sd} for name, (mean, sd) in named.items()},
        "images": len(store),
        "fallbacks": found.fallbacks(parents, len(store.size)),
    }


def check_measured(names: Sequence[str], training: Float[Tensor, "image variable"]) -> None:
    """Refuse a variable that the guide measures alike in all training images: nothing can be asked of it.

    >>> check_measured(["heart@whole"], torch.full((8, 2), 12.0))
    Traceback (most recent call last):
    segue.errors.InputError: heart@whole: the guide's segmentor measures 12 in all 8 training images; train it longer...
    """
    for name, values in zip(names, training.T, strict=False):  # covariates follow, which were checked before
        if values.max() - values.min() <= 1e-6 * values.abs().max():
            what = f"the guide's segmentor measures {float(values[0]):.4g} in all {len(values)} training images"
            mend = "train it longer (segmentor.budget.steps), or see that masks and images fit"
            raise InputError(f"{name}: {what}; {mend}, and that its region is not empty")


def train_regressor(study: Study, directory: Path) -> Result:
    """Train Reg-CFT's guide to read the measured parents off the image."""
    store, settings, measured = open_store(study), study.regressor, load_measured(study)
    torch.manual_seed(settings.budget.seed)
    parents = load_parents(study)
    net = Regressor(
        size=store.size, outputs=len(parents.names), width=settings.width, channels=store.channels
    )
    objective = Regression(net, parents, augmentation(study, settings.augment))
    batches = stream(study, store, "guide", settings.budget, extras=per_image(measured))
    return trained(study, {"": net}, objective, batches, directory, settings.budget, title="regressor")
