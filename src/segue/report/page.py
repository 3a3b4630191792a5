"""The report: one HTML file that contains its images, tables and study, and loads nothing from the network."""

import base64
import mimetypes
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from segue.errors import InputError
from segue.evaluation.metric import finite
from segue.files import write_text
from segue.report.category_tables import category_sections
from segue.report.columns import (
    MISSING,
    TableColumn,
    mean_columns,
    method_title,
    methods_of,
    split_name,
    unit_of,
    variable_columns,
    variables_of,
)
from segue.report.doubts import listed, oracle_note
from segue.report.error_plot import error_plots
from segue.report.explained import explain
from segue.report.sections import (
    Section,
    capitalised,
    further_sections,
    independence_section,
    metric_captions,
    reading_rules,
    section,
)
from segue.report.segmentors import segmentor_sections
from segue.report.verdict_text import verdict_text
from segue.text import in_words, without_folders

WIDEST = 8  # columns of one table, so that it fits A4
TITLES = {
    "verdict": "Verdict", "asked": "The question", "errors": "Errors", "tables": "Tables", "figure": "Counterfactuals",
    "slices": "Slices", "extremes": "Extremes", "graph": "The causal graph", "segmentors": "The segmentors",
    "more": "More figures", "reproduce": "How to reproduce",
}  # fmt: skip
"""The sections of the page, in its order."""


@dataclass(frozen=True)
class Graph:
    """The causal graph: its figure, and the tests of the independencies that it implies, from the stage `scm`."""

    figure: Path
    verdict: str
    tests: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ReportContent:
    """What a report shows.

    Attributes:
        metrics: the dictionary of `metrics.json`.
        figure: the main figure; left out if there is no such file, as when a study draws no rows.
        study_yaml: the study, as text.
        notes: of the study, about its data.
        graph: of the study, if it has one.
        extra_figures: further images (training curves, more cases) by title.
        extremes: the figure of extremes; left out if there is no such file, as in an evaluation of an earlier version.
        methods: a sentence for each method that only the study knows, by name.
        slices: a montage of the volumes of the main figure; left out if there is no such file.
    """

    metrics: Mapping[str, Any]
    figure: Path
    study_yaml: str
    notes: str = ""
    graph: Graph | None = None
    extra_figures: Mapping[str, Path] = field(default_factory=dict)
    extremes: Path | None = None
    methods: Mapping[str, str] = field(default_factory=dict)
    slices: Path | None = None


def write_report(path: Path, content: ReportContent) -> None:
    """Write the page; the file appears only when it is complete.

    Raises:
        InputError: `metrics` holds no methods, or a file of `extra_figures` is missing.
    """
    environment = Environment(
        loader=PackageLoader("segue.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["capitalised"] = capitalised
    write_text(path, environment.get_template("report.html.j2").render(values_of(content)))


def values_of(content: ReportContent) -> dict[str, Any]:
    """What the template is filled with."""
    metrics, graph, known = content.metrics, content.graph, content.methods
    values = {
        "study": str(metrics.get("study") or "study"),
        "split": metrics.get("split", "test"),
        "verdict": verdict_text(metrics),
        "facts": evaluation_in_figures(metrics),
        "notes": content.notes.strip(),
        "fallbacks": fallback_sentences(metrics),
        "methods": [(method_title(key), explain(key, known)) for key in methods_of(metrics)],
        "variables": regions_of_structures(metrics),
        "errors": {title: embedded(image) for title, image in error_plots(metrics).items()},
        "oracle_note": oracle_note(metrics),
        "rules": reading_rules(metrics),
        "terms": metric_captions(metrics),
        "tables": result_sections(metrics),
        "further": [*further_sections(metrics), *category_sections(metrics)],
        "figure": embedded_if_there(content.figure),
        "slices": embedded_if_there(content.slices),
        "extremes": embedded_if_there(content.extremes),
        "graph": None if graph is None else {"verdict": graph.verdict, "figure": embed(graph.figure)},
        "independencies": None if graph is None else independence_section(graph.tests),
        "segmentors": segmentor_sections(metrics),
        "more": {title: embed(file) for title, file in content.extra_figures.items()},
        "reproduce": reproduce(metrics),
        "study_yaml": content.study_yaml,
        "study_file": embedded(content.study_yaml.encode(), "text/plain"),
        "widest": WIDEST,
    }
    contents = {key: title for key, title in TITLES.items() if values.get(key, True) and key != "verdict"}
    return values | {"contents": contents, "titles": TITLES}


def result_sections(metrics: Mapping[str, Any]) -> list[Section]:
    """Errors by structure and region, whole structures side by side up to `WIDEST` columns; then the means."""
    tables: list[list[TableColumn]] = []
    for _, members in groupby(variable_columns(metrics), key=lambda column: column.group):
        group = list(members)
        if not tables or len(tables[-1]) + len(group) > WIDEST:
            tables.append([])
        tables[-1] += group
    names = [method_title(key) for key in methods_of(metrics)]
    found = []
    for columns in tables:
        structures = listed(list(dict.fromkeys(column.group for column in columns)), most=WIDEST)
        found.append(section(f"error (sd) with 95% intervals: {structures}", "method", names, columns))
    return [*found, section("means over all variables", "method", names, mean_columns(metrics))]


def regions_of_structures(metrics: Mapping[str, Any]) -> dict[str, list[str]]:
    """Regions by structure."""
    groups: dict[str, list[str]] = {}
    for name in variables_of(metrics):
        structure, region = split_name(name)
        groups.setdefault(structure, []).append(region)
    return groups


def evaluation_in_figures(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The size of the evaluation."""
    known = {
        "images": metrics.get("n_images"),
        "subjects": metrics.get("n_subjects"),
        "folds": len(metrics.get("folds") or []) or None,
        "variables": len(variables_of(metrics)),
        "methods": len(methods_of(metrics)),
        "unit": unit_of(metrics),
    }
    return [(name, str(value)) for name, value in known.items() if value is not None]


def fallback_sentences(metrics: Mapping[str, Any]) -> list[str]:
    """A sentence for each structure whose regions could not be derived from every image."""
    images = metrics.get("n_images") or 0
    return [
        f"In {count} of {images} images the guide does not find a structure from which the regions of {in_words(name)} "
        "are derived. There the partition's fall-back is used."
        for name, count in (metrics.get("fallbacks") or {}).items()
        if count
    ]


def reproduce(metrics: Mapping[str, Any]) -> dict[str, str]:
    """The command from the study alone, the one that was given, the revision, and the time taken."""
    name = str(metrics.get("study") or "study")
    return {
        "again": shlex.join(["segue", "run", f"{name}.yaml"]),
        "given": without_folders(str(metrics.get("command") or MISSING)),
        "commit": str(metrics.get("commit") or MISSING),
        "time": duration(finite(metrics.get("seconds"))),
    }


def duration(seconds: float | None) -> str:
    """Seconds for readers.

    >>> duration(7384.0)
    '2 h 3 min'
    """
    if seconds is None:
        return MISSING
    if seconds < 120:
        return f"{seconds:.3g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def embedded_if_there(file: Path | None) -> str | None:
    """An image as a data URI, or None."""
    return embed(file) if file and file.is_file() else None


def embed(file: Path) -> str:
    """An image as a data URI."""
    if not file.is_file():
        raise InputError(f"{file}: no such image for the report; draw it first or leave it out")
    return embedded(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "image/png")


def embedded(content: bytes, kind: str = "image/png") -> str:
    """A file as part of the page.

    >>> embedded(b"a: 1", "text/plain")
    'data:text/plain;base64,YTogMQ=='
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
