"""The report: one HTML file that carries its images, tables and study, and asks nothing of the network."""

import base64
import mimetypes
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from segue.errors import InputError
from segue.report.columns import (
    MISSING,
    Column,
    bystanders,
    finite,
    floor_columns,
    human,
    method_columns,
    method_title,
    methods_of,
    overfitting_columns,
    overfitting_rows,
    realism_columns,
    realism_rows,
    split_name,
    truth_columns,
    truth_rows,
    unit_of,
    variables_of,
)
from segue.report.table import (
    bystander_caption,
    caption,
    floor_caption,
    overfitting_caption,
    realism_caption,
    segmentor_names,
    truth_caption,
)  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """A table as the template draws it: groups of (head, columns), rows of (name, [(text, bold), ...])."""

    corner: str
    groups: list[tuple[str, int]]
    heads: list[str]
    rows: list[tuple[str, list[tuple[str, bool]]]]


@dataclass(frozen=True)
class Graph:
    """The causal graph: its figure, and the tests of what it implies, as the stage `scm` left them."""

    figure: Path
    verdict: str
    tests: Sequence[Mapping[str, Any]]


def report(
    path: Path,
    *,
    metrics: Mapping[str, Any],
    figure: Path,
    study_yaml: str,
    notes: str = "",
    graph: Graph | None = None,
    extra_figures: Mapping[str, Path] = MappingProxyType({}),
) -> None:
    """Write the page; it appears only when it is complete.

    Args:
        path: of the page.
        metrics: the dictionary of `metrics.json`.
        figure: the main figure; left out where no such file is, as when a study draws no rows.
        study_yaml: the study, as text.
        notes: what the study says of its data.
        graph: the study's, if it has one.
        extra_figures: further images (training curves, more cases) by title.

    Raises:
        InputError: where `metrics` holds no methods, or a file of `extra_figures` is missing.
    """
    environment = Environment(
        loader=PackageLoader("segue.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    names = [method_title(key) for key in methods_of(metrics)]
    page = environment.get_template("report.html.j2").render(
        study=str(metrics.get("study") or "study"),
        facts=facts(metrics),
        notes=notes.strip(),
        fallbacks=fallbacks(metrics),
        methods=[(method_title(key), explain(key)) for key in methods_of(metrics)],
        variables=grouped_variables(metrics),
        results=[grid("method", names, columns) for columns in blocks(method_columns(metrics))],
        caption=caption(metrics),
        figure=embed(figure) if figure.is_file() else None,
        floors=grid("segmentor", segmentor_names(metrics), floor_columns(metrics)),
        floor_caption=floor_caption(),
        bystanders=bystander_grid(metrics),
        bystander_caption=bystander_caption(),
        truth=grid("method", list(truth_rows(metrics)), truth_columns(metrics)),
        truth_caption=truth_caption(),
        realism=grid("method", list(realism_rows(metrics)), realism_columns(metrics)),
        realism_caption=realism_caption(),
        overfitting=grid("method", list(overfitting_rows(metrics)), overfitting_columns(metrics)),
        overfitting_caption=overfitting_caption(),
        graph=None if graph is None else {"verdict": graph.verdict, "figure": embed(graph.figure)},
        independencies=None if graph is None else independence_grid(graph.tests),
        extra_figures={title: embed(file) for title, file in extra_figures.items()},
        reproduce=reproduce(metrics),
        study_yaml=study_yaml,
    )
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(page, encoding="utf-8")
    os.replace(partial, path)


def blocks(columns: list[Column], widest: int = 8) -> list[list[Column]]:
    """Whole groups side by side, as many as stay readable; the means in a table of their own."""
    tables: list[list[Column]] = [[]]
    for name, members in groupby(columns, key=lambda column: column.group):
        group = list(members)
        if tables[-1] and (name == "mean" or len(tables[-1]) + len(group) > widest):
            tables.append([])
        tables[-1] += group
    return tables


def grid(corner: str, names: list[str], columns: list[Column]) -> Grid | None:
    """Columns turned into rows; None where there is no column."""
    if not columns:
        return None
    groups = [
        (name, len(list(members))) for name, members in groupby(columns, key=lambda column: column.group)
    ]
    texts = [column.cells() for column in columns]
    rows = [
        (name, [(text[i], i in column.best) for text, column in zip(texts, columns, strict=True)])
        for i, name in enumerate(names)
    ]
    groups = [({"mean": "mean over all variables"}.get(name, name), count) for name, count in groups]
    return Grid(corner, groups, [column.title for column in columns], rows)


def bystander_grid(metrics: Mapping[str, Any]) -> Grid | None:
    """What moved most besides: one row a variable that was asked, one column a method."""
    rows = [(name, [(text, False) for text in cells]) for name, cells in bystanders(metrics).items()]
    heads = [method_title(key) for key in methods_of(metrics)]
    return Grid("asked to change", [("what else moved most", len(heads))], heads, rows) if rows else None


def independence_grid(tests: Sequence[Mapping[str, Any]], most: int = 15) -> Grid | None:
    """The most doubtful independencies, and all that are refuted (bold)."""
    rows = [test for i, test in enumerate(tests) if i < most or test["refuted"]]
    if not rows:
        return None
    heads = {
        "correlation": "partial r", "linear_p": "p", "covariance": "residual covariance", "p": "p",
        "corrected": "corrected p",
    }  # fmt: skip
    shown = []
    for test in rows:
        given = f" | {', '.join(test['given'])}" if test["given"] else ""
        cells = [(f"{test[key]:.2g}", key == "corrected" and test["refuted"]) for key in heads]
        shown.append((f"{test['one']} ⫫ {test['other']}{given}", cells))
    groups = [("linear", 2), ("general", 3)]
    return Grid("independent, by the graph", groups, list(heads.values()), shown)


def grouped_variables(metrics: Mapping[str, Any]) -> dict[str, list[str]]:
    """Regions by structure."""
    groups: dict[str, list[str]] = {}
    for name in variables_of(metrics):
        structure, region = split_name(name)
        groups.setdefault(structure, []).append(region)
    return groups


def explain(key: str) -> str:
    """A method in a sentence."""
    stem = key.removesuffix("_broadcast")
    sentence = {
        "no_cft": "the pre-trained image model, not fine-tuned.",
        "reg_cft": "fine-tuned to obey a regressor that reads the variables off the image.",
        "seg_cft": "fine-tuned to obey a segmentor's area of each structure, blind to where.",
        "pos_seg_cft": "fine-tuned to obey a segmentor's area of each structure in each region.",
        "oracle": "the true counterfactual, where it is known.",
    }.get(stem, "a fine-tuning of the study's own: see finetune.variants.")
    return sentence


def facts(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The evaluation in figures."""
    shown = {
        "images": metrics.get("n_images"),
        "subjects": metrics.get("n_subjects"),
        "folds": len(metrics.get("folds") or []) or None,
        "variables": len(variables_of(metrics)),
        "methods": len(methods_of(metrics)),
        "unit": unit_of(metrics),
    }
    return [(name, str(value)) for name, value in shown.items() if value is not None]


def fallbacks(metrics: Mapping[str, Any]) -> list[str]:
    """A sentence for each structure whose regions are not read off every image."""
    images = metrics.get("n_images") or 0
    return [
        f"In {count} of {images} images a structure that the regions of {human(name)} are read from is missing "
        "(to the guide's eye): there they are the partition's fall-back."
        for name, count in (metrics.get("fallbacks") or {}).items()
        if count
    ]


def reproduce(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Command, revision and time taken."""
    return [
        ("command", str(metrics.get("command") or MISSING)),
        ("commit", str(metrics.get("commit") or MISSING)),
        ("time", duration(finite(metrics.get("seconds")))),
    ]


def duration(seconds: float | None) -> str:
    """Seconds for readers: "2 h 5 min"."""
    if seconds is None:
        return MISSING
    if seconds < 120:
        return f"{seconds:.3g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def embed(file: Path) -> str:
    """An image as a data URI."""
    if not file.is_file():
        raise InputError(f"{file}: no such image for the report; draw it first or leave it out")
    kind = mimetypes.guess_type(file.name)[0] or "image/png"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
