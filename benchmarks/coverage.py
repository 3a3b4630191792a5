"""Does the interval of a verdict contain the truth? Fresh phantoms, whose areas and true counterfactuals are known.

Each image is asked to change one variable by a change that another image gives. The interval of what guide and ensemble
measure (`segue.engine.verdict.achieved_interval`) is compared with the change of the area itself: on the true
counterfactual, where that is exactly what was asked, and on the model's answer, whose truth is the same image.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

import segue
from benchmarks.record import Findings, Row, Statement, run
from segue.engine.answer import check_inputs, measure_images
from segue.engine.judgement import ensemble_of
from segue.engine.model import Model
from segue.engine.verdict import CONFIDENCE, achieved_interval
from segue.evaluation.asked import draw_requests
from segue.mechanisms.correction import areas_by_each
from segue.phantom import Noise, areas, counterfactual, draw, render

FULL = {"images": 450, "seed": 2027}
QUICK = FULL | {"images": 45}
WITHIN = 1.96


def measure(*, images: int, seed: int) -> Findings:
    """How often intervals contain the true change: on true counterfactuals, and on answers of the shipped model."""
    model = segue.load("coronary-phantom")
    noise, size = draw(images, seed=seed), (model.grid.size[0], model.grid.size[1])
    factual, exact = torch.from_numpy(render(noise, size)[0]), torch.from_numpy(areas(noise))
    turn = torch.arange(images) % len(model.variables)
    change = (draw_requests(exact, seed) - exact)[torch.arange(images), turn].float()
    names = enumerate(model.variables)
    truths, posed = zip(*(truth_of(noise, size, name, exact[:, v] + change) for v, name in names), strict=True)
    picked = torch.stack([truths[int(v)][i] for i, v in enumerate(turn)])
    kept = [i for i, v in enumerate(turn) if posed[int(v)][i]]
    pa = torch.stack(list(model.measure(factual).values()), dim=1)
    asked = {name: torch.where(turn == v, pa[:, v] + change, pa[:, v]) for v, name in enumerate(model.variables)}
    answers = model.counterfactual(factual, asked).image
    return compared(model, factual, {"true counterfactual": picked, "answer": answers}, change, turn, kept)


def truth_of(noise: Noise, size: tuple[int, int], name: str, values: Tensor) -> tuple[Tensor, np.ndarray]:
    """All images with one variable at other values, and which requests determine their answer."""
    truth = counterfactual(noise, {name: values.numpy()}, size)
    return torch.from_numpy(truth.image), truth.well_posed


def compared(
    model: Model, factual: Tensor, by_kind: dict[str, Tensor], change: Tensor, turn: Tensor, kept: Sequence[int]
) -> Findings:
    """Coverage and width of the intervals of each kind of image."""
    rows: list[Row] = []
    statements = []
    for kind, images in by_kind.items():
        members = changes_of(model, factual, images)
        inside, widths = [], []
        for i in kept:
            v, sd = int(turn[i]), float(model.space.sd[turn[i]])
            level = 10 * sd  # far from 0, at which intervals of areas end
            low, high = achieved_interval((members[:, i, v] + level).tolist(), []) or (0.0, 0.0)
            inside.append(low <= float(change[i]) + level <= high)
            widths.append((high - low) / sd)
        share = float(np.mean(inside))
        error = WITHIN * np.sqrt(share * (1 - share) / len(inside))
        width = float(np.median(widths))
        rows.append({"image": kind, "requests": len(kept), "coverage": share, "median_width_sd": width})
        what = f"{CONFIDENCE:.0%} interval, {kind}: share that contains the true change"
        statements.append(Statement(what, share, (share - error, min(share + error, 1.0))))
    return Findings(rows, statements)


def changes_of(model: Model, factual: Tensor, images: Tensor) -> Tensor:
    """What guide and each ensemble member say changed, (segmentor, image, variable), in the factual regions."""
    parts = []
    segmentors = (model.parents.segmentor, *ensemble_of(model))
    with torch.inference_mode():
        for x, x_star in zip(factual.split(32), images.split(32), strict=True):
            facts = measure_images(model, check_inputs(model, x)).facts
            scaled = model.grid.scale(x_star, model.grid.window(x))
            before, after = (areas_by_each(model.parents, segmentors, facts, one) for one in (facts.image, scaled))
            parts.append(after - before)
    return torch.cat(parts, dim=1)


if __name__ == "__main__":
    run("coverage", measure, full=FULL, quick=QUICK)
