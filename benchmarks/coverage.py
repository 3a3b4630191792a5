"""Does the interval of a verdict contain the truth? Fresh phantoms, whose areas and true counterfactuals are known.

Each image is asked to change one variable by a change that another image gives. The interval of what guide and ensemble
measure (`segue.engine.verdict.achieved_interval`) is compared with the change of the area itself: on the true
counterfactual, where that is exactly what was asked, and on the model's answer, whose truth is the same image.

The share of the guide's area error that an interval adds (`CHANGE_ERROR`) is calibrated on other phantoms than those on
which the coverage is reported.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import segue
from benchmarks.record import Findings, Row, Statement, run, together
from segue.engine.answer import check_inputs, measure_images
from segue.engine.judgement import ensemble_of, usual_answers_of
from segue.engine.model import Model
from segue.engine.verdict import CHANGE_ERROR, CONFIDENCE, NORMAL, achieved_interval
from segue.errors import InputError
from segue.evaluation.asked import draw_requests
from segue.mechanisms.correction import areas_by_each
from segue.phantom import Noise, areas, counterfactual, draw, render

FULL = {"images": 153, "seed": 2027, "calibration": 3027}
QUICK = FULL | {"images": 27}


@dataclass(frozen=True)
class Changes:
    """Of some images under one request each.

    Attributes:
        found: the change that guide and each ensemble member measure, (segmentor, request). true: the change itself.
        sd: of the variable in training. error: of the guide's areas, root mean square.
    """

    found: Tensor
    true: Tensor
    sd: Tensor
    error: Tensor

    def halves(self, *, with_error: bool) -> list[float]:
        """Half-widths of the intervals."""
        ends = []
        for members, error in zip(self.found.T.tolist(), self.error.tolist(), strict=True):
            level = 1e6 - sum(members) / len(members)  # far from 0, at which intervals of areas end
            low, high = achieved_interval([one + level for one in members], [], error if with_error else 0.0) or (0, 0)
            ends.append((high - low) / 2)
        return ends


def measure(*, images: int, seed: int, calibration: int) -> Findings:
    """How often intervals contain the true change: on true counterfactuals, and on answers of the shipped model."""
    model = segue.load("coronary-phantom")
    if usual_answers_of(model) is None:
        raise InputError("coronary-phantom: does not hold the guide's measurement error; segue export --add-check")
    best = max(needed(changes) for changes in changes_by_kind(model, images, calibration).values())
    parts = [compared(kind, changes) for kind, changes in changes_by_kind(model, images, seed).items()]
    told = Statement(f"share of the area error that gives {CONFIDENCE:.0%} on the calibration's phantoms", best)
    return together([*parts, Findings([], [], [told, Statement("the share that intervals take", CHANGE_ERROR)])])


def changes_by_kind(model: Model, images: int, seed: int) -> dict[str, Changes]:
    """Requests that have one true answer, on true counterfactuals and on answers."""
    noise, size = draw(images, seed=seed), (model.grid.size[0], model.grid.size[1])
    factual, exact = torch.from_numpy(render(noise, size)[0]), torch.from_numpy(areas(noise))
    row = torch.arange(images)
    turn = row % len(model.variables)
    change = (draw_requests(exact, seed) - exact)[row, turn].float()
    truth, kept = factual.clone(), torch.zeros(images, dtype=torch.bool)
    for v, name in enumerate(model.variables):
        image, posed = truth_of(noise, size, name, exact[:, v] + change)
        truth[turn == v], kept[turn == v] = image[turn == v], posed[turn == v]
    pa = torch.stack(list(model.measure(factual).values()), dim=1)
    asked = {name: torch.where(turn == v, pa[:, v] + change, pa[:, v]) for v, name in enumerate(model.variables)}
    usual, found = usual_answers_of(model), {}
    assert usual is not None
    answers = model.counterfactual(factual, asked).image
    for kind, image in {"true counterfactual": truth, "answer": answers}.items():
        members = changes_of(model, factual, image)[:, row, turn]
        columns = (members, change, model.space.sd[turn], usual.error[turn])
        found[kind] = Changes(*(column[..., kept] for column in columns))
    return found


def truth_of(noise: Noise, size: tuple[int, int], name: str, values: Tensor) -> tuple[Tensor, Tensor]:
    """All images with one variable at other values, and which requests determine their answer."""
    truth = counterfactual(noise, {name: values.numpy()}, size)
    return torch.from_numpy(truth.image), torch.from_numpy(truth.well_posed)


def needed(changes: Changes) -> float:
    """The share of the area error that makes so many intervals contain the truth as they promise.

    The quantile of the share that each needs, of n at (n + 1) / n times its level (split conformal prediction: Lei et
    al., J. Am. Stat. Assoc. 2018;113:1094).
    """
    missed = (changes.found.mean(0) - changes.true).abs().numpy()
    spread = np.array(changes.halves(with_error=False))
    shares = np.sqrt((missed**2 - spread**2).clip(0)) / (NORMAL * changes.error.numpy())
    place = math.ceil(CONFIDENCE * (len(shares) + 1)) - 1
    return float(np.sort(shares)[min(place, len(shares) - 1)])


def compared(kind: str, changes: Changes) -> Findings:
    """Coverage and width of the intervals, with and without the measurement error."""
    missed, rows = (changes.found.mean(0) - changes.true).abs().numpy(), list[Row]()
    shares = {}
    for name, with_error in (("spread alone", False), ("with the measurement error", True)):
        half = np.array(changes.halves(with_error=with_error))
        shares[name] = float((missed <= half).mean())
        width = float(np.median(2 * half / changes.sd.numpy()))
        rows.append(
            {"image": kind, "interval": name, "requests": len(half), "coverage": shares[name], "median_width_sd": width}
        )
    error = NORMAL * math.sqrt(shares[name] * (1 - shares[name]) / len(missed))
    what = f"{CONFIDENCE:.0%} interval, {kind}: share that contains the true change"
    return Findings(rows, [Statement(what, shares[name], (shares[name] - error, min(shares[name] + error, 1.0)))])


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
