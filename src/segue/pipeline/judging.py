"""Stages: every method judged on the same images and the same requests, then tables, figure and report."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from segue.causal.parents import Parents, SoftMasks
from segue.cohort import Store
from segue.engine.method import Method
from segue.errors import InputError
from segue.evaluation.comparison import IDEAL
from segue.evaluation.judge import Judge
from segue.evaluation.measurement_error import measurement_error
from segue.files import check_name, whole_folder, write_text
from segue.nets.segmentor import Segmentor
from segue.nets.weights import load_pretrained
from segue.pipeline import scm
from segue.pipeline.asking import Examination, Oracle
from segue.pipeline.common import (
    Result,
    command,
    commit,
    device,
    ensemble_folders,
    in_order,
    load_measured,
    load_parents,
    measured_images,
    open_store,
    spaced,
)
from segue.pipeline.curves import training_curves
from segue.pipeline.described import described
from segue.pipeline.extremes import EXTREMES, draw_extremes
from segue.pipeline.pictures import FIGURE1, MONTAGE, draw_figure1, figure_requests
from segue.pipeline.prepare import folder_settings, prepare_folder, stamps_of
from segue.pipeline.recipes import Workshop, recipes
from segue.pipeline.scoring import Candidate, against_truth, candidates, in_judged_regions, score
from segue.pipeline.truth import known_oracle
from segue.report.page import Graph, ReportContent, write_report
from segue.report.table import table1
from segue.sealed import as_written, read_json
from segue.study.derived import as_judged, folds_of, for_others, named_by, to_yaml, variables
from segue.study.schema import Study

METRICS_FILE, REPORT_FILE = "metrics.json", "report.html"
Others = Mapping[str, Callable[[Examination], Method]]
"""Further methods by name: from what is asked to the method."""


def evaluate(study: Study, directory: Path) -> Result:
    """Judge on the study's own test subjects, or its validation subjects."""
    return judge_cohort(study, open_store(study), directory, oracle=known_oracle(study))


def evaluate_elsewhere(study: Study, folder: Path) -> Path:
    """Judge a trained study on another cohort of the same anatomy, all of it, without retraining.

    The result is named by the cohort's folder and its files: no result takes the place of another cohort's.
    """
    check_trained(study)
    there, axes = folder.resolve(), open_store(study).axes
    files = stamps_of(folder, folder_settings(study.cohort, axes))
    directory = study.directory / "elsewhere" / named_by(there.name, [there, files])
    with whole_folder(directory, replaces=METRICS_FILE) as partial:
        judge_folder(study, folder, partial)
    return directory


def check_trained(study: Study) -> None:
    """Refuse a cross-validation, and a study that is not trained.

    Raises:
        InputError: naming what is to be given or run.
    """
    if folds := folds_of(study):
        one = folds[0].directory / "study.yaml"
        raise InputError(f"{study.directory}: is a cross-validation; give one of its folds, e.g. {one}")
    if missing := [name for name, recipe in recipes(study).items() if not recipe.trained]:
        raise InputError(f"{study.directory}: {missing[0]} is not trained; run `segue run` on the study first")


def check_method_name(name: str, own: Iterable[str]) -> None:
    """Refuse a name for a further method that is no name of a file, or that a method has already."""
    check_name(name, "--method")
    if name in (*own, IDEAL):
        raise InputError(f"--method {name}=...: the study has a method of this name; choose another")


def judge_folder(study: Study, folder: Path, directory: Path) -> None:
    """A folder's images, prepared and judged in `directory`."""
    prepare_folder(study, folder, directory, split={"test": 1.0}, axes=open_store(study).axes)
    store = Store(directory / "cohort.zarr")
    trained_unit = open_store(study).unit
    if store.unit != trained_unit:
        raise InputError(
            f"{folder}: measures in {store.unit}, the study in {trained_unit}; give both spacing, or neither"
        )
    judge_cohort(study, store, directory)
    make_report(study, directory, directory, tested_graph(study))


def judge_cohort(
    study: Study, store: Store, directory: Path, *, oracle: Oracle | None = None, others: Others = MappingProxyType({})
) -> Result:
    """Measurement errors, then each method, and the oracle if there is one, to metrics.json; and the figures.

    Args:
        others: further methods by name, made from the examination: images made elsewhere.
    """
    began, workshop = time.perf_counter(), Workshop(study)
    parents = judging_parents(study).to(device())
    judge = load_pretrained(Segmentor, study.directory / "judge").eval().requires_grad_(False).to(device())
    asked = Examination(study, store, parents, chosen_places(study, store, directory), oracle)
    errors = measurement_errors(study, store, asked, {"guide": parents.segmentor, "judge": judge})
    sd_of_masks = [one.pop("sd_of_masks") for one in errors.values()]
    pictures = tuple(figure_requests(study, asked))
    found = candidates(study, workshop)
    found |= {name: Candidate(lambda make=make: (make(asked), None), {}) for name, make in others.items()}  # type: ignore[misc]
    examiner = in_judged_regions(study, Judge(parents, judge, pictures))
    scores = score(study, asked, examiner, found, directory)
    metrics = {
        "study": study.name,
        "split": judged_split(study),
        "n_images": len(asked.places),
        "n_subjects": len({asked.subjects[i] for i in asked.places}),
        "unit": store.unit,
        "variables": list(parents.variables.names),
        "sd": asked.sd,
        "sd_of_masks": sd_of_masks[0],  # the same for all
        "fallbacks": asked.fallbacks,
        "methods": scores.methods,
        "doing_nothing": scores.doing_nothing,
        "realism_of_facts": scores.realism_of_facts,
        **against_truth(study, asked),
        "segmentors": errors,
        "seconds": round(time.perf_counter() - began + spent(study), 1),
        "commit": commit(),
        "command": command(),
    }
    write_metrics(directory, metrics)
    draw_figure1(study, asked, judge, pictures, scores.pictures, directory)
    draw_extremes(asked, examiner, found, directory / EXTREMES)
    return {}


def chosen_places(study: Study, store: Store, directory: Path) -> np.ndarray:
    """The test images that are judged, evenly spaced among all; where the study says so, validation images."""
    split = judged_split(study)
    images = store.indices(split)
    if len(images) < 2:
        raise InputError(f"{directory}: {len(images)} {split} images; give at least 2, so that values can be exchanged")
    return spaced(images, study.evaluate.images)


def judged_split(study: Study) -> str:
    """The split whose images are judged."""
    return "validation" if study.evaluate.validation else "test"


def measurement_errors(
    study: Study, store: Store, asked: Examination, segmentors: dict[str, SoftMasks]
) -> dict[str, Any]:
    """Of guide, judge and the ensemble, against the masks of the judged images."""
    for name, folder in ensemble_folders(study).items():
        segmentors[f"panel_{name}"] = load_pretrained(Segmentor, folder).eval().to(device())
    return {
        name: measurement_error(
            one,
            asked.parents,
            in_order(study, store, asked.places, title=f"measurement error of {name}", fractions=True),
        )
        for name, one in segmentors.items()
    }


def write_metrics(directory: Path, metrics: Result) -> None:
    """metrics.json, and the table of it."""
    write_text(directory / METRICS_FILE, json.dumps(metrics, indent=1))
    write_text(directory / "table1.md", table1(metrics))


def read_metrics(directory: Path) -> dict[str, Any]:
    """metrics.json of a folder."""
    return read_json(as_written(directory / METRICS_FILE), keys=["study", "methods"])


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
    return sum(read_json(path, keys=["seconds"])["seconds"] for name, path in done_files(study) if name != "evaluate")


def done_files(study: Study) -> Iterator[tuple[str, Path]]:
    for path in study.directory.rglob("done.json"):
        yield str(path.parent.relative_to(study.directory)), path


def report_study(study: Study, directory: Path) -> Result:
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
    metrics = read_metrics(evaluated)
    content = ReportContent(
        metrics,
        evaluated / FIGURE1,
        to_yaml(for_others(study)),
        study.notes,
        graph,
        figures,
        extremes=evaluated / EXTREMES,
        methods=described(study),
        slices=evaluated / MONTAGE,
    )
    write_report(directory / REPORT_FILE, content)


def tested_graph(study: Study) -> Graph | None:
    """What the stage `scm` found of the study's graph."""
    fitted = study.directory / "scm"
    if not study.graph or not (fitted / "done.json").exists():
        return None
    found = read_json(as_written(fitted / scm.METRICS), keys=["verdict", "tests"])
    return Graph(fitted / scm.FIGURE, found["verdict"], found["tests"])
