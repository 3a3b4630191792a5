"""Stages: every method judged on the same images and the same requests, then tables, figure and report."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from segue.causal.parents import Parents
from segue.cohort import Store
from segue.cohort.grid import unscaled
from segue.engine.model import predict
from segue.errors import InputError
from segue.evaluation.effect import Asked, act
from segue.evaluation.measurement_error import measurement_error
from segue.files import whole_folder, write_text
from segue.mechanisms.hvae import ImageMechanism
from segue.nets.segmentor import Segmentor
from segue.nets.weights import load_pretrained
from segue.pipeline import scm
from segue.pipeline.asking import Oracle, ask
from segue.pipeline.common import (
    Result,
    command,
    commit,
    device,
    in_order,
    load_measured,
    load_parents,
    measured_images,
    open_store,
    panel_folders,
)
from segue.pipeline.curves import training_curves
from segue.pipeline.image import load_mechanism, methods
from segue.pipeline.prepare import prepare_folder
from segue.pipeline.scoring import against_truth, asking, score
from segue.pipeline.truth import known_oracle
from segue.report.columns import IDEAL
from segue.report.figure import FigureRow, figure1
from segue.report.page import Graph, ReportContent, write_report
from segue.report.table import table1
from segue.study.derived import as_judged, folds_of, to_yaml, variables
from segue.study.schema import Study


def evaluate(study: Study, directory: Path) -> Result:
    """Judge on the study's own test subjects."""
    return judge_cohort(study, open_store(study), directory, oracle=known_oracle(study))


def evaluate_elsewhere(study: Study, folder: Path) -> Path:
    """Judge a trained study on another cohort of the same anatomy, all of it, without retraining."""
    if folds := folds_of(study):
        one = folds[0].directory / "study.yaml"
        raise InputError(f"{study.directory}: is a cross-validation; give one of its folds, e.g. {one}")
    if missing := [name for name, m in methods(study).items() if not m.trained]:
        raise InputError(f"{study.directory}: {missing[0]} is not trained; run `segue run` on the study first")
    directory = study.directory / "elsewhere" / folder.resolve().name
    with whole_folder(directory, replace=True) as partial:
        judge_folder(study, folder, partial)
    return directory


def judge_folder(study: Study, folder: Path, directory: Path) -> None:
    """A folder's images, prepared and judged in `directory`."""
    prepare_folder(study, folder, directory, split={"test": 1.0})
    store = Store(directory / "cohort.zarr")
    trained_unit = open_store(study).unit
    if store.unit != trained_unit:
        raise InputError(
            f"{folder}: measures in {store.unit}, the study in {trained_unit}; give both spacing, or neither"
        )
    judge_cohort(study, store, directory)
    make_report(study, directory, directory, tested_graph(study))


def judge_cohort(study: Study, store: Store, directory: Path, *, oracle: Oracle | None = None) -> Result:
    """Measurement errors, then each method, and the oracle if there is one: writes metrics.json, table and figure."""
    began = time.perf_counter()
    parents = judging_parents(study).to(device())
    judge = load_pretrained(Segmentor, study.directory / "judge").eval().requires_grad_(False).to(device())
    chosen = store.indices("test")
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), study.evaluate.images)).round().astype(int)]
    if len(chosen) < 2:
        raise InputError(f"{directory}: {len(chosen)} test images; give at least 2, so that values can be exchanged")
    asked = ask(study, store, parents, chosen, oracle)
    segmentors = {"guide": parents.segmentor, "judge": judge}
    for name, folder in panel_folders(study).items():
        segmentors[f"panel_{name}"] = load_pretrained(Segmentor, folder).eval().to(device())
    errors = {}
    for name, segmentor in segmentors.items():
        batches = in_order(study, store, chosen, title=f"measurement error of {name}", fractions=True)
        errors[name] = measurement_error(segmentor, parents, batches)
    results, facts = score(study, asked, judge, directory)
    metrics = {
        "study": study.name,
        "n_images": len(chosen),
        "n_subjects": len({asked.subjects[i] for i in chosen}),
        "unit": store.unit,
        "variables": list(parents.variables.names),
        "sd": asked.sd,
        "fallbacks": asked.fallbacks,
        "methods": results,
        "realism_of_facts": facts,
        **against_truth(study, asked),
        "segmentors": errors,
        "seconds": round(time.perf_counter() - began + spent(study), 1),
        "commit": commit(),
        "command": command(),
    }
    write_metrics(directory, metrics)
    draw(study, store, judge, asked, directory / "figure1.png")
    return {}


def write_metrics(directory: Path, metrics: Result) -> None:
    """metrics.json, and the table of it."""
    write_text(directory / "metrics.json", json.dumps(metrics, indent=1))
    write_text(directory / "table1.md", table1(metrics))


def judging_parents(study: Study) -> Parents:
    """What answers are asked for and measured in: the study's own parents, but where `evaluate.partitions` differ."""
    own = load_parents(study)
    if not study.evaluate.partitions:
        return own
    regions, covariates = variables(as_judged(study)), study.cohort.covariates
    parents = Parents(segmentor=cast(nn.Module, own.segmentor), variables=regions, covariates=covariates)
    store, training = open_store(study), load_measured(study)["training"]
    areas = measured_images(study, store, parents.to(device()), store.indices("guide")).areas.cpu()
    return parents.cpu().fit(torch.cat([areas, training[:, areas.shape[1] :]], dim=1))


def spent(study: Study) -> float:
    """Seconds that the finished stages took."""
    return sum(json.loads(path.read_text())["seconds"] for name, path in done_files(study) if name != "evaluate")


def done_files(study: Study) -> Iterator[tuple[str, Path]]:
    for path in study.directory.rglob("done.json"):
        yield str(path.parent.relative_to(study.directory)), path


# ---- the figure --------------------------------------------------------------------------------------------------


def draw(study: Study, store: Store, judge: Segmentor, asked: ask, path: Path) -> None:
    """One row an intervention: telling requests, on images that have something to change."""
    names, measured = asked.parents.variables.names, len(asked.parents.variables)
    rows = []
    for row in range(study.evaluate.rows):
        v = (row * (measured // 2 + 1) + row // 2) % measured
        i = telling(asked, v, row)
        rows.append(figure_row(study, store, judge, asked, i, v, names[v]))
    if rows:
        figure1(path, rows=rows, methods=list(rows[0].counterfactuals), intensity=study.cohort.intensity)


def telling(asked: ask, v: int, rank: int) -> int:
    """The image whose request for v is closest to one and a half sd away, and which has some of v."""
    distance = (asked.values[:, v] - asked.pa[:, v]) / asked.parents.sd[v]
    absent = asked.pa[:, v] < 0.2 * asked.parents.mean[v]
    cost = (distance.abs() - 1.5).abs() + 10 * absent
    return int(cost.argsort()[rank % max(1, len(cost) // 2)])


@torch.inference_mode()
def figure_row(
    study: Study, store: Store, judge: Segmentor, asked: ask, i: int, v: int, name: str
) -> FigureRow:
    (batch,) = in_order(study, store, asked.chosen[i : i + 1], title=f"figure {name}")
    x, pa = batch["image"], asked.pa[i : i + 1]
    weights = asked.parents.weights(asked.frames[i : i + 1], store.size)
    index = torch.from_numpy(asked.chosen[i : i + 1])
    one = Asked(index, x, pa, weights, batch["pixel_area"], asked.values[i : i + 1])
    images = {}
    for key, method in methods(study).items():
        mechanism: ImageMechanism = load_mechanism(study, method.directory, method).to(device()).eval()
        put = asking(study, mechanism)(one)
        (image,) = predict(mechanism, put.facts, [act(put.pa, v, put.values[:, v])])
        images[key] = shown(image, study)
    if asked.truth is not None:
        images[IDEAL] = shown(asked.truth.image[i : i + 1, v], study)
    old, new = float(pa[0, v]), float(one.values[0, v])
    change = f" ({100 * (new / old - 1):+.0f}%)" if old > 0 else ""
    title = f"do({name} = {new:.3g} {store.unit}{change})"
    return FigureRow(
        title=title,
        factual=shown(x, study),
        counterfactuals=images,
        region=weights[0, v].cpu().numpy(),
        outlines=dict(zip(store.structures, judge.soft(x)[0].cpu().numpy(), strict=True)),
    )


def shown(image: Tensor, study: Study) -> np.ndarray:
    """The first channel in raw units."""
    return unscaled(image, study.cohort.intensity)[0, 0].cpu().numpy()


def report(study: Study, directory: Path) -> Result:
    """Tables and figure of the study's own evaluation into one page."""
    curves = training_curves(study, directory)
    make_report(study, study.directory / "evaluate", directory, tested_graph(study), curves)
    return {}


def make_report(
    study: Study,
    evaluated: Path,
    directory: Path,
    graph: Graph | None,
    figures: Mapping[str, Path] = MappingProxyType({}),
) -> None:
    metrics = json.loads((evaluated / "metrics.json").read_text())
    content = ReportContent(metrics, evaluated / "figure1.png", to_yaml(study), study.notes, graph, figures)
    write_report(directory / "report.html", content)


def tested_graph(study: Study) -> Graph | None:
    """What the stage `scm` found of the study's graph."""
    fitted = study.directory / "scm"
    if not study.graph or not (fitted / "done.json").exists():
        return None
    found = json.loads((fitted / scm.METRICS).read_text())
    return Graph(fitted / scm.FIGURE, found["verdict"], found["tests"])
