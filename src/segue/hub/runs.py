"""The trained methods of a run, as models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from segue.causal.support import correlation_of
from segue.engine.model import Model
from segue.errors import InputError
from segue.hub.locate import RUN
from segue.pipeline.common import grid_of, load_measured, open_store
from segue.pipeline.inputs import load_typical
from segue.pipeline.recipes import Recipe, Workshop, recipes
from segue.pipeline.scm import load_scm
from segue.study.derived import folds_of
from segue.study.read import load_study
from segue.study.schema import Study

__all__ = ["load_methods", "open_run", "study_at"]

EXAMPLES = 4


class Trained(NamedTuple):
    """A method of a run: its study, its key in metrics.json, and how it was made."""

    study: Study
    name: str
    recipe: Recipe


def load_methods(study: Study, names: Sequence[str], device: str | torch.device) -> dict[str, Model]:
    """Several methods of a run; guide, ensemble, causal model and examples are loaded once and shared."""
    workshop, known = Workshop(study), recipes(study)
    grid, scm = grid_of(study, open_store(study)), load_scm(study)
    training = load_measured(study)["training"]
    shared: dict[str, Any] = {"marginal": training, "correlation": correlation_of(training), "scm": scm}
    shared["examples"] = example_images(study, EXAMPLES)
    return {
        name: Model(
            workshop.mechanism(known[name]), grid, typical=load_typical(study, name), device=device, **shared
        )
        for name in names
    }


def study_at(path: Path, overrides: Sequence[str] = ()) -> Study:
    """The study of a YAML file, or of a run's folder.

    >>> study_at(Path("nowhere.yaml"))
    Traceback (most recent call last):
    segue.errors.InputError: nowhere.yaml: no such study; give a YAML file, e.g. studies/coronary-phantom.yaml
    """
    if path.is_dir():
        if not (path / RUN).is_file():
            raise InputError(f"{path}: no run here ({RUN} is missing); give a run's folder, runs/<study>")
        there = path if path.name not in ("", "..") else path.resolve()
        return load_study(path / RUN, ["--runs", str(there.parent), "--name", there.name, *overrides])
    return load_study(path, overrides)


def open_run(run: Path, method: str | None) -> Trained:
    """What is trained in a run.

    Raises:
        InputError: the method is not trained in it, or nothing is.

    >>> open_run(Path("nowhere"), None)
    Traceback (most recent call last):
    segue.errors.InputError: nowhere...
    """
    study = study_at(run)
    if folds := folds_of(study):
        raise InputError(f"{run}: is a cross-validation, a model for each fold; give one, e.g. {folds[0].directory}")
    trained = {name: recipe for name, recipe in recipes(study).items() if recipe.trained}
    chosen = method or next((name for name in preferred(study) if name in trained), None)
    if chosen not in trained:
        raise InputError(f"{run}: {chosen or 'no method'} is not trained; there is: {', '.join(trained) or 'nothing'}")
    return Trained(study, chosen, trained[chosen])


def preferred(study: Study) -> list[str]:
    """Methods from the one to take first: the study's own variants as they stand, then the papers' from the last back.

    Their parents enter in the first way that the study names.
    """
    names = [name for name, method in recipes(study).items() if method.conditioning == study.hvae.conditioning[0]]
    guides = len(study.finetune.guides)
    return [*names[guides:], *reversed(names[:guides])]


def example_images(study: Study, count: int) -> Float[Tensor, "example channel *space"]:
    """Test images that have something of every variable, so that a change in percent has something to change."""
    measured, store = load_measured(study), open_store(study)
    areas = slice(len(measured["mean"]) - len(study.cohort.covariates))
    test = torch.from_numpy(store.indices("test"))
    relative = measured["parents"][test, areas] / measured["mean"][areas].clamp_min(1e-6)
    chosen = test[relative.clamp(0, 1).sum(1).argsort(descending=True, stable=True)[:count]]
    return store.read(chosen.numpy(), fractions=False)["image"]
