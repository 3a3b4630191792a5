"""A cross-validation, once its folds are done: their answers pooled, judged and reported as one study's."""

import dataclasses
import shutil
from pathlib import Path

from segue.evaluation.pool import pooled
from segue.files import whole_folder
from segue.pipeline.common import command, commit, open_store
from segue.pipeline.extremes import EXTREMES
from segue.pipeline.judging import (
    METRICS_FILE,
    REPORT_FILE,
    make_report,
    read_metrics,
    tested_graph,
    write_metrics,
)
from segue.report.page import Graph
from segue.study.derived import folds_of
from segue.study.schema import Study
from segue.tensor_file import read_table


def pool_folds(study: Study) -> None:
    """`evaluate/` and `report/` of the study of all folds; both are made anew, which takes seconds."""
    evaluated, reported = study.directory / "evaluate", study.directory / "report"
    with whole_folder(evaluated, replaces=METRICS_FILE) as partial:
        pool_evaluations(study, partial)
    with whole_folder(reported, replaces=REPORT_FILE) as partial:
        report_folds(study, partial)


def pool_evaluations(study: Study, directory: Path) -> None:
    folds = folds_of(study)
    made = [read_metrics(fold.directory / "evaluate") for fold in folds]
    effects = {
        name: [read_table(fold.directory / "evaluate" / f"effects-{name}.parquet") for fold in folds]
        for name in made[0]["methods"]
    }
    subjects = open_store(folds[0]).table["subject"].to_list()  # images are numbered alike in every fold
    draws = study.evaluate.bootstrap
    found = pooled(made, effects, subjects=subjects, bootstrap=draws, seed=0)
    write_metrics(directory, found | {"study": study.name, "commit": commit(), "command": command()})
    for name in ("figure1.png", EXTREMES):  # of the first fold
        figure = folds[0].directory / "evaluate" / name
        if figure.exists():
            shutil.copy(figure, directory / name)


def report_folds(study: Study, directory: Path) -> None:
    make_report(study, study.directory / "evaluate", directory, tested(folds_of(study)))


def tested(folds: list[Study]) -> Graph | None:
    """The graph's figure and tests in the first fold, with the verdicts of all: each has a segmentor of its own."""
    graphs = {fold.name: graph for fold in folds if (graph := tested_graph(fold))}
    if not graphs:
        return None
    verdict = " ".join(f"{name}: {graph.verdict}" for name, graph in graphs.items())
    return dataclasses.replace(next(iter(graphs.values())), verdict=verdict)
