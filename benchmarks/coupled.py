"""Effects along a graph, from image to image: a trained run of the coupled phantom against the truth.

`benchmarks.scm` is given the true variables. Here nothing is: variables are measured by the run's guide (covariates
are known), the graph's mechanisms were fitted to such measurements, a cause is moved by one sd up and down, the image
is decoded, and the run's judge measures it. The truth is the same phantom with all that follows by its law.

- `graph`: effects follow the learned mechanisms. `none`: nothing follows, as the papers have it.
- `asked`: the value that an effect is given; `image`: what the judge measures on the counterfactual.
- `truth`: the judge on the true counterfactual, its measurement error.
"""

from collections.abc import Mapping
from typing import NamedTuple

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from benchmarks.machine import ROOT
from benchmarks.record import Findings, Row, Statement, run, together
from benchmarks.scm import CAUSES, GRAPH, STEPS, summary
from segue.anatomy import measure as areas_of
from segue.causal.graph import causal_graph
from segue.engine.model import Counterfactual, Model
from segue.errors import InputError
from segue.hub.load import load
from segue.hub.runs import open_run
from segue.nets.segmentor import Segmentor
from segue.nets.weights import load_pretrained
from segue.phantom import VARIABLES, Noise, counterfactual, noise_of
from segue.phantom.law import as_matrix, solve
from segue.pipeline.common import device, load_measured, open_store
from segue.pipeline.scm import graph_metrics as tested
from segue.pipeline.scm import load_scm, unseen
from segue.pipeline.truth import check_store
from segue.study.schema import Study

FULL = {"run": "runs/coronary-coupled", "images": 100}
QUICK = FULL | {"images": 10}
WAYS = ("graph", "none")


class Cohort(NamedTuple):
    """The test images, the noise that made them, and their covariates."""

    images: np.ndarray
    noise: Noise
    covariates: dict[str, Tensor]


class Cell(NamedTuple):
    """One effect of one intervention: errors in sd by what is compared, and which images have one answer."""

    effect: str
    errors: dict[str, np.ndarray]
    well_posed: np.ndarray


def measure(*, run: str, images: int) -> Findings:
    """Errors of descendants, asked and in images, over all causes; distances from the true images."""
    study, _, _ = open_run(ROOT / run, None)
    model, judge = load(ROOT / run), load_pretrained(Segmentor, ROOT / run / "judge").eval().to(device())
    if model.scm is None:
        raise InputError(f"{run}: the study of this run has no graph")
    cohort = test_images(study, images)
    cells, distances = [], []
    for cause in CAUSES:
        for step in STEPS:
            found, distance = compare(model, judge, cohort, cause, step)
            cells += found
            distances.append(distance)
    return together([told(cells, np.stack(distances)), accusations(study)])


def accusations(study: Study) -> Findings:
    """How many independencies of the true graph are refuted on images unseen by mechanisms, measured and true."""
    store, scm = open_store(study), load_scm(study)
    assert scm is not None and study.cohort.phantom is not None  # checked before
    chosen = unseen(store)
    noise = noise_of(store.table["id"][chosen.tolist()].to_list(), seed=study.cohort.phantom.seed, law="coupled")
    values = {
        "measured": load_measured(study)["parents"][torch.from_numpy(chosen)],
        "true": torch.from_numpy(as_matrix(solve(noise), scm.names).astype(np.float32)),
    }
    tests = {kind: tested(scm, these)["tests"] for kind, these in values.items()}
    refuted = {kind: sum(test["refuted"] for test in tests[kind]) for kind in tests}
    return Findings(
        rows=[{"measure": "independencies refuted", "variable": kind, "tests": len(tests[kind]), "refuted": n}
              for kind, n in refuted.items()],
        ratios=[Statement(f"independencies of the true graph refuted on {kind} values, of {len(tests[kind])}", n)
                for kind, n in refuted.items()],
    )  # fmt: skip


def test_images(study: Study, count: int) -> Cohort:
    """The first `count` test images.

    Raises:
        InputError: the run is not of the coupled phantom, or of another version of it.
    """
    phantom, store = study.cohort.phantom, open_store(study)
    if phantom is None or phantom.law != "coupled":
        raise InputError(f"{study.name}: not a study of the phantom's coupled law; run studies/coronary-coupled.yaml")
    height, width = study.cohort.size
    check_store(study, phantom, (height, width))
    chosen = store.indices("test")[:count]
    table = store.table[chosen.tolist()]
    covariates = {name: torch.tensor(table[name].to_list()) for name in study.cohort.covariates}
    noise = noise_of(table["id"].to_list(), seed=phantom.seed, law=phantom.law)
    return Cohort(store.read(chosen, fractions=False)["image"].numpy(), noise, covariates)


def compare(
    model: Model, judge: Segmentor, cohort: Cohort, cause: str, step: float
) -> tuple[list[Cell], np.ndarray]:
    """One cause moved by `step` sd: its descendants, and the images' distances from the truth (image, way)."""
    request = {cause: f"{step:+}sd"}
    answers = {
        way: model.counterfactual(cohort.images, request, covariates=cohort.covariates, propagate=way == "graph")
        for way in WAYS
    }
    asked = answers["graph"].requested[cause].double().cpu().numpy()
    height, width = model.grid.size
    truth = counterfactual(cohort.noise, {cause: asked}, (height, width), propagate=True)
    true_image = torch.from_numpy(truth.image)
    by_judge = {way: judged_areas(judge, model, answer.image, answer) for way, answer in answers.items()}
    by_judge["truth"] = judged_areas(judge, model, true_image, answers["graph"])
    sd = dict(zip(model.variables, model.parents.sd.tolist(), strict=True))
    cells = []
    for effect in sorted(nx.descendants(causal_graph(GRAPH, model.variables), cause)):
        true = truth.areas[:, VARIABLES.index(effect)]
        place = model.space.index(effect)
        values = {f"{way}, asked": answer.requested[effect].cpu().numpy() for way, answer in answers.items()}
        values |= {f"{way}, image": areas[:, place].cpu().numpy() for way, areas in by_judge.items()}
        errors = {what: np.abs(value - true) / sd[effect] for what, value in values.items()}
        cells.append(Cell(effect, errors, truth.well_posed))
    images = {way: answer.image.cpu() for way, answer in answers.items()} | {"nothing": torch.from_numpy(cohort.images)}
    distances = np.stack([(image - true_image).abs().flatten(1).mean(1).numpy() for image in images.values()], axis=1)
    return cells, np.where(truth.well_posed[:, None], distances, np.nan)


@torch.inference_mode()
def judged_areas(judge: Segmentor, model: Model, image: Tensor, answer: Counterfactual) -> Tensor:
    """Areas by the judge, in the regions of the factual image: (image, measured)."""
    soft = judge.soft(model.grid.scale(image.to(model.device)))
    pixel_area = model.grid.areas(None, len(image)).to(soft)
    return areas_of(soft, answer.weights, model.parents.structure_of, pixel_area)


def told(cells: list[Cell], distances: np.ndarray) -> Findings:
    """By effect and over all: mean errors (sd) with intervals over images, and distances from the truth (HU)."""
    kinds = list(cells[0].errors)
    rows: list[Row] = []
    for effect in VARIABLES:
        mine = [cell for cell in cells if cell.effect == effect]
        if mine:
            row: Row = {"measure": "error (sd), well-posed", "variable": effect}
            rows.append(row | {kind: float(np.mean(np.concatenate(well_posed(mine, kind)))) for kind in kinds})
    totals = {kind: per_image(cells, kind) for kind in kinds}
    statements = [summary(f"error on descendants over sd, {kind}", totals[kind]) for kind in kinds]
    for kind in ("asked", "image"):
        what = f"error on descendants, nothing follows over graph, {kind}"
        statements.append(summary(what, totals[f"none, {kind}"], totals[f"graph, {kind}"]))
    names = ("graph", "none", "nothing")
    means: Mapping[str, float] = dict(zip(names, np.nanmean(distances, axis=(0, 1)).tolist(), strict=True))
    rows.append({"measure": "distance from the true image (HU)", "variable": "all", **means})
    ratio = means["graph"] / means["nothing"]
    statements.append(Statement("distance from the true image, graph over doing nothing", ratio))
    return Findings(rows, statements)


def well_posed(cells: list[Cell], kind: str) -> list[np.ndarray]:
    return [cell.errors[kind][cell.well_posed] for cell in cells]


def per_image(cells: list[Cell], kind: str) -> np.ndarray:
    """(image, 2): sum of the errors of well-posed requests and their number."""
    known = np.stack([cell.well_posed for cell in cells], axis=1)
    errors = np.stack([cell.errors[kind] for cell in cells], axis=1)
    return np.stack([(errors * known).sum(1), known.sum(1)], axis=1)


if __name__ == "__main__":
    run("coupled", measure, full=FULL, quick=QUICK)
