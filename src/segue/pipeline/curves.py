"""What there is to show of a run's trainings, once they are done."""

from pathlib import Path

from segue.pipeline.common import ensemble_folders
from segue.pipeline.recipes import recipes
from segue.report.columns import method_title
from segue.report.curves import Panel, draw_curves
from segue.sealed import DONE, read_json
from segue.study.derived import further
from segue.study.schema import Study

CURVES = "curves.png"


def training_curves(study: Study, directory: Path) -> dict[str, Path]:
    """Draw every network's training of a run; the figure by its title, or nothing where nothing was logged."""
    draw_curves(directory / CURVES, panels(study))
    return {"Training": directory / CURVES} if (directory / CURVES).exists() else {}


def panels(study: Study) -> list[Panel]:
    """Segmentors, regressor, the ELBO, and fine-tuning: what it lessens, and what it is to keep."""
    root = study.directory
    tuned: dict[str, Path] = {}
    for name, method in recipes(study).items():
        if method.tuned and method.directory not in tuned.values():
            tuned[method_title(name)] = method.directory
    before: dict[str, Path] = {way: root / "pretrain" / way for way in study.hvae.conditioning}
    first = read_json(next(iter(before.values())) / DONE, keys=["constraint"])["constraint"]
    segmentors = {"guide": root / "segmentor", "judge": root / "judge"}
    segmentors |= {f"panel {name}": folder for name, folder in ensemble_folders(study).items()}
    return [
        Panel("dice", "segmentors: Dice loss", segmentors),
        Panel("mse", "regressor: mean squared error", {"regressor": root / "regressor"}),
        Panel("nelbo", "pre-training: negative ELBO (nats/pixel)", before),
        *(Panel("loss", f"pre-training of {kind}: loss", {kind: root / "pretrain" / kind}) for kind in further(study)),
        Panel("agreement", "fine-tuning: disagreement with the guide", tuned),
        Panel("nelbo", "fine-tuning: negative ELBO, and its bound", tuned, first),
        Panel("multiplier", "fine-tuning: multiplier", tuned),
    ]
