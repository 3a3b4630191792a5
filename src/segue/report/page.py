"""The report: one HTML file that contains its images, tables and study, and loads nothing from the network."""

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from segue.errors import InputError
from segue.evaluation.metric import finite
from segue.files import write_text
from segue.report.columns import (
    BROADCAST,
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
from segue.report.sections import (
    Section,
    capitalised,
    further_sections,
    independence_section,
    main_caption,
    section,
    segmentor_section,
)
from segue.text import in_words

WIDEST = 8  # columns of one table
METHODS_EXPLAINED = {
    "no_cft": "the pre-trained image model, not fine-tuned.",
    "reg_cft": "fine-tuned with a regressor as guide, which predicts the variables from the image.",
    "seg_cft": "fine-tuned with a segmentor as guide, which measures the whole area of each structure.",
    "pos_seg_cft": "fine-tuned with a segmentor as guide, which measures the area of each structure in each region.",
    "oracle": "the true counterfactual, where it is known.",
}


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
    """

    metrics: Mapping[str, Any]
    figure: Path
    study_yaml: str
    notes: str = ""
    graph: Graph | None = None
    extra_figures: Mapping[str, Path] = field(default_factory=dict)
    extremes: Path | None = None


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
    metrics, graph = content.metrics, content.graph
    return {
        "study": str(metrics.get("study") or "study"),
        "facts": evaluation_in_figures(metrics),
        "notes": content.notes.strip(),
        "fallbacks": fallback_sentences(metrics),
        "methods": [(method_title(key), explain(key)) for key in methods_of(metrics)],
        "variables": regions_of_structures(metrics),
        "caption": main_caption(metrics),
        "results": result_sections(metrics),
        "further": further_sections(metrics),
        "figure": embed(content.figure) if content.figure.is_file() else None,
        "extremes": embed(content.extremes) if content.extremes and content.extremes.is_file() else None,
        "graph": None if graph is None else {"verdict": graph.verdict, "figure": embed(graph.figure)},
        "independencies": None if graph is None else independence_section(graph.tests),
        "segmentors": segmentor_section(metrics),
        "extra_figures": {title: embed(file) for title, file in content.extra_figures.items()},
        "reproduce": reproduce(metrics),
        "study_yaml": content.study_yaml,
    }


def result_sections(metrics: Mapping[str, Any]) -> list[Section]:
    """Errors by structure and region, whole structures side by side up to `WIDEST` columns; then the means."""
    tables: list[list[TableColumn]] = []
    for _, members in groupby(variable_columns(metrics), key=lambda column: column.group):
        group = list(members)
        if not tables or len(tables[-1]) + len(group) > WIDEST:
            tables.append([])
        tables[-1] += group
    names = [method_title(key) for key in methods_of(metrics)]
    return [section("", "method", names, columns) for columns in [*tables, mean_columns(metrics)] if columns]


def regions_of_structures(metrics: Mapping[str, Any]) -> dict[str, list[str]]:
    """Regions by structure."""
    groups: dict[str, list[str]] = {}
    for name in variables_of(metrics):
        structure, region = split_name(name)
        groups.setdefault(structure, []).append(region)
    return groups


def explain(key: str) -> str:
    """A method in a sentence."""
    other = "a fine-tuning that the study defines: see finetune.variants."
    return METHODS_EXPLAINED.get(key.removesuffix(BROADCAST), other)


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


def reproduce(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Command, revision and time taken."""
    return [
        ("command", str(metrics.get("command") or MISSING)),
        ("commit", str(metrics.get("commit") or MISSING)),
        ("time", duration(finite(metrics.get("seconds")))),
    ]


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


def embed(file: Path) -> str:
    """An image as a data URI."""
    if not file.is_file():
        raise InputError(f"{file}: no such image for the report; draw it first or leave it out")
    kind = mimetypes.guess_type(file.name)[0] or "image/png"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
