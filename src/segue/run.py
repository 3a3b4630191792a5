"""Open a trained run."""

from pathlib import Path

import torch

from segue.counterfactual import Model
from segue.errors import InputError
from segue.stages.common import device as default_device
from segue.stages.common import load_measured, open_store
from segue.stages.image import load_mechanism
from segue.stages.judging import methods
from segue.study_file import load_study


def load(run: Path | str, *, method: str | None = None, device: str | torch.device | None = None) -> Model:
    """The trained model of a run (`runs/<study>`), ready for counterfactuals.

    Args:
        method: a key of metrics.json; by default `pos_seg_cft`, or else the study's last method.

    Raises:
        InputError: no such run, or the method is not trained in it.
    """
    run = Path(run)
    if not (run / "study.yaml").is_file():
        raise InputError(f"{run}: no run here (study.yaml is missing); train one with `segue run STUDY`")
    study = load_study(run / "study.yaml", ["--runs", str(run.parent), "--name", run.name])
    trained = {name: spot for name, spot in methods(study).items() if (spot[1] / "done.json").exists()}
    chosen = method or ("pos_seg_cft" if "pos_seg_cft" in trained else next(reversed(trained), None))
    if chosen not in trained:
        raise InputError(f"{run}: {chosen or 'no method'} is not trained; there is: {', '.join(trained) or 'nothing'}")
    conditioning, directory = trained[chosen]
    measured, store = load_measured(study), open_store(study)
    areas = measured["pixel_area"]
    return Model(
        load_mechanism(study, directory, conditioning),
        size=store.size,
        channels=store.channels,
        intensity=study.cohort.intensity,
        marginal=measured["training"],
        unit=store.unit,
        pixel_area=float(areas[0]) if torch.allclose(areas, areas[0]) else None,
        device=device or default_device(),
    )
