"""Open a trained model: of a run, of an exported folder, or one that ships with the package."""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from segue.engine.model import Model
from segue.errors import InputError
from segue.hub.folder import read_model
from segue.hub.locate import EXPORTED, RUN, locate
from segue.pipeline.common import device as default_device
from segue.pipeline.common import load_measured, open_store
from segue.pipeline.image import Method, load_mechanism, methods
from segue.pipeline.scm import load_scm
from segue.study.derived import folds_of
from segue.study.read import load_study
from segue.study.schema import Study

EXAMPLES = 4


class Trained(NamedTuple):
    """A method of a run: its study, its key in metrics.json, and what it is."""

    study: Study
    name: str
    method: Method


def load(model: Path | str, *, method: str | None = None, device: str | torch.device | None = None) -> Model:
    """A trained model, ready for counterfactuals.

    Args:
        model: a run's folder (`runs/<study>`), a folder that `segue export` wrote, or a name among `segue.shipped()`.
            A folder of that name comes before a shipped model.
        method: of a run, a key of metrics.json; by default as in `preferred`.

    Raises:
        InputError: no such model, the method is not trained in it, or an exported folder is damaged.
    """
    folder, device = locate(model), device or default_device()
    if (folder / EXPORTED).is_file():
        return read_model(folder, method=method, device=device)
    study, _, chosen = open_run(folder, method)
    measured, store = load_measured(study), open_store(study)
    areas = measured["pixel_area"]
    return Model(
        load_mechanism(study, chosen.directory, chosen),
        size=store.size,
        channels=store.channels,
        intensity=study.cohort.intensity,
        marginal=measured["training"],
        unit=store.unit,
        pixel_area=float(areas[0]) if torch.allclose(areas, areas[0]) else None,
        examples=telling(study, EXAMPLES),
        scm=load_scm(study),
        device=device,
    )


def open_run(run: Path, method: str | None) -> Trained:
    """What is trained in a run.

    Raises:
        InputError: the method is not trained in it, or nothing is.
    """
    study = load_study(run / RUN, ["--runs", str(run.parent), "--name", run.name])
    if folds := folds_of(study):
        raise InputError(f"{run}: is a cross-validation, a model for each fold; give one, e.g. {folds[0].directory}")
    trained = {name: m for name, m in methods(study).items() if m.trained}
    chosen = method or next((name for name in preferred(study) if name in trained), None)
    if chosen not in trained:
        raise InputError(f"{run}: {chosen or 'no method'} is not trained; there is: {', '.join(trained) or 'nothing'}")
    return Trained(study, chosen, trained[chosen])


def preferred(study: Study) -> list[str]:
    """Methods from the one to take first: the study's own variants as they stand, then the papers' from the last back.

    Their parents enter in the first way that the study names.
    """
    names = [name for name, method in methods(study).items() if method.conditioning == study.hvae.conditioning[0]]
    guides = len(study.finetune.guides)
    return [*names[guides:], *reversed(names[:guides])]


def telling(study: Study, count: int) -> Float[Tensor, "example channel *space"]:
    """Test images that have something of every variable, so that a change in percent has something to change."""
    measured, store = load_measured(study), open_store(study)
    areas = slice(len(measured["mean"]) - len(study.cohort.covariates))
    test = torch.from_numpy(store.indices("test"))
    relative = measured["parents"][test, areas] / measured["mean"][areas].clamp_min(1e-6)
    chosen = test[relative.clamp(0, 1).sum(1).argsort(descending=True, stable=True)[:count]]
    return store.read(chosen.numpy(), fractions=False)["image"]
