"""A disease that progresses: do(plaque = 1.0, 1.25, ... 2.0 x), as a curve of the judge's measure and a film strip."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from torch import Tensor

from benchmarks.use.record import RESULTS, Row, parser, settings_of, write_results
from segue.anatomy import measure
from segue.engine.answer import abduct_images, check_inputs
from segue.engine.method import Questions, of_mechanism, set_one
from segue.engine.model import Model
from segue.evaluation.bootstrap import bootstrap_ci
from segue.files import whole_file
from segue.hub.load import load
from segue.leaderboard.row import fixed_judge
from segue.leaderboard.task import TASK_SIZE, phantom_variables
from segue.phantom import VARIABLES, Noise, areas, counterfactual, render
from segue.phantom.noise import draw_images

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DRAWS = 1000


def chosen(settings: dict[str, Any]) -> Noise:
    """The first phantoms of a fresh seed that have enough of the plaque, and whose true progression is determined."""
    found: list[int] = []
    name, first = settings["variable"], 0
    while len(found) < settings["images"]:
        rows = list(range(first, first + 64))
        noise = draw_images(rows, seed=settings["phantom"], law="independent")
        start = areas(noise)[:, VARIABLES.index(name)]
        fits = counterfactual(noise, {name: start * settings["factors"][-1]}, TASK_SIZE).well_posed
        found += [row for row, good in zip(rows, fits & (start >= settings["least"]), strict=True) if good]
        first += 64
    return draw_images(found[: settings["images"]], seed=settings["phantom"], law="independent")


@torch.inference_mode()
def answers(model: Model, raw: Tensor, settings: dict[str, Any]) -> Tensor:
    """Every image at every factor, in HU: (image, factor, 1, height, width)."""
    v, parts = VARIABLES.index(settings["variable"]), []
    for part in raw.split(16):
        known = abduct_images(model, check_inputs(model, part))
        pa = known.facts.pa
        wanted = [set_one(pa, v, pa[:, v] * factor) for factor in settings["factors"]]
        found = of_mechanism(model.mechanism).answer(Questions(tuple(map(str, range(len(part)))), known.facts, wanted))
        parts.append(torch.stack([model.grid.unscale(one, known.window) for one in found], dim=1))
    return torch.cat(parts)


@torch.inference_mode()
def judged(images: Tensor, model: Model) -> np.ndarray:
    """What the fixed judge measures: (image, factor, variable), mm2."""
    weights = phantom_variables().weights(torch.zeros(1, 0), TASK_SIZE)
    structure_of, area = phantom_variables().structure_of, torch.tensor([model.grid.pixel_area])
    parts = []
    for part in images:
        soft = fixed_judge().soft(model.grid.scale(part))
        parts.append(measure(soft, weights.expand(len(part), -1, -1, -1), structure_of, area.expand(len(part)).float()))
    return torch.stack(parts).numpy()


def summary(values: np.ndarray, settings: dict[str, Any], sd: np.ndarray) -> Row:
    """Ratio to the area at factor 1, share of images in which every step increases it, and drift of the other areas."""
    v, subjects = VARIABLES.index(settings["variable"]), np.arange(len(values)).astype(str)
    ratio = values[:, :, v] / values[:, :1, v]
    others = np.delete(np.abs(values - values[:, :1]) / sd, v, axis=2)
    return {
        "factors": settings["factors"],
        "ratio": ratio.mean(0).tolist(),
        "ratio_ci95": [list(bootstrap_ci(column, subjects, draws=DRAWS, seed=0)) for column in ratio.T],
        "monotone": float((np.diff(values[:, :, v], axis=1) > 0).all(1).mean()),
        "steps_that_increase": float((np.diff(values[:, :, v], axis=1) > 0).mean()),
        "others_drift_sd": others.mean((0, 2)).tolist(),
        "others_drift_sd_worst_variable": others.mean(0).max(1).tolist(),
    }


def draw_curve(found: dict[str, Row], settings: dict[str, Any], path: Path) -> None:
    """Asked against measured, and the drift of the other areas."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    factors = settings["factors"]
    left.plot(factors, factors, color="0.6", linestyle="--", label="as asked")
    for name, row in found.items():
        low, high = np.array(row["ratio_ci95"]).T
        (line,) = left.plot(factors, row["ratio"], marker="o", markersize=3, label=name)
        left.fill_between(factors, low, high, alpha=0.2, color=line.get_color())
        right.plot(factors, row["others_drift_sd"], marker="o", markersize=3, label=name)
    left.set(xlabel=f"asked: {settings['variable']}, times its area", ylabel="measured by the judge, times")
    right.set(xlabel="asked", ylabel="mean |change| of the other eight areas (sd)", ylim=(0, None))
    left.legend(frameon=False)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=150, format="png")
    plt.close(figure)


def draw_film(images: dict[str, Tensor], settings: dict[str, Any], path: Path) -> None:
    """One row an image and method, one column a factor, and last what changed."""
    factors, shown = settings["factors"], settings["film"]
    rows = [(name, i) for i in range(shown) for name in images]
    columns = len(factors) + 1
    figure, axes = plt.subplots(len(rows), columns, figsize=(1.9 * columns, 0.8 * len(rows)), layout="constrained")
    for (name, i), line in zip(rows, axes, strict=True):
        for axis, image in zip(line, images[name][i, :, 0], strict=False):
            axis.imshow(image, cmap="gray", vmin=-200, vmax=1000)
        change = images[name][i, -1, 0] - images[name][i, 0, 0]
        line[-1].imshow(change, cmap="RdBu_r", vmin=-800, vmax=800)
        line[0].set_ylabel(f"{i + 1}: {name}", rotation=0, ha="right", va="center", fontsize=8)
        for axis in line:
            axis.set(xticks=[], yticks=[])
    for axis, title in zip(axes[0], [*(f"{factor:g} x" for factor in factors), "last less first"], strict=True):
        axis.set_title(title, fontsize=8)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=130, format="png")
    plt.close(figure)


def main() -> None:
    """Write results/use/progression.json, its curve and its film strip."""
    options = parser("progression", __doc__).parse_args()
    settings = settings_of("progression")
    noise = chosen(settings)
    true = areas(noise)
    v, raw = VARIABLES.index(settings["variable"]), torch.from_numpy(render(noise, TASK_SIZE)[0])
    models = {name: load(options.runs / run if "/" in run else run, method=method)
              for name, (run, method) in settings["methods"].items()}  # fmt: skip
    images = {name: answers(model, raw, settings) for name, model in models.items()}
    wanted = [{settings["variable"]: true[:, v] * factor} for factor in settings["factors"]]
    exact = [counterfactual(noise, do, TASK_SIZE).image for do in wanted]
    images["truth"] = torch.from_numpy(np.stack(exact, axis=1))
    model = next(iter(models.values()))
    found = {name: summary(judged(one, model), settings, true.std(0)) for name, one in images.items()}
    RESULTS.mkdir(parents=True, exist_ok=True)
    draw_curve(found, settings, RESULTS / "progression.png")
    draw_film(images, settings, RESULTS / "progression_film.png")
    write_results("progression", {"settings": settings, "methods": found})


if __name__ == "__main__":
    main()
