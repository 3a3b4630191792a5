"""Open a trained model: of a run, of an exported folder, or one that ships with the package."""

from pathlib import Path

import torch

from segue.engine.model import Model
from segue.hardware import usable_device
from segue.hub.folder import read_model
from segue.hub.locate import EXPORTED, locate

__all__ = ["load"]


def load(model: Path | str, *, method: str | None = None, device: str | torch.device | None = None) -> Model:
    """A trained model, ready for counterfactuals.

    Args:
        model: a run's folder (`runs/<study>`), a folder that `segue export` wrote, or a name among `segue.shipped()`.
            A folder of that name comes before a shipped model. Or `user/repo`, `user/repo@revision`: an exported
            model on the Hugging Face Hub, fetched once and kept in its cache.
        method: of a run, a key of metrics.json; by default as in `preferred`.

    Raises:
        InputError: no such model, the method is not trained in it, or an exported folder is damaged.

    >>> load("coronary-phantom").grid.unit
    'mm2'
    """
    folder, device = locate(model), usable_device(device)
    if (folder / EXPORTED).is_file():
        return read_model(folder, method=method, device=device)
    from segue.hub.runs import load_methods, open_run  # a model that was exported needs nothing of a study

    trained = open_run(folder, method)
    return load_methods(trained.study, [trained.name], device)[trained.name]
