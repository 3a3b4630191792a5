"""What an ablation shows: by value and method, the means of each run's metrics.json."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from segue.evaluation.metric import METRICS, finite, interval, shown_in
from segue.files import write_text
from segue.pipeline.ablation.ablation_file import Ablation
from segue.pipeline.ablation.figure import AblationPanel, draw_ablation
from segue.pipeline.common import command, commit
from segue.pipeline.judging import done_files, read_metrics
from segue.quoting import in_markdown
from segue.report.columns import NOTHING, TableColumn, mean_of_finite, method_title
from segue.report.sections import capitalised
from segue.report.table import markdown
from segue.sealed import read_json
from segue.study.schema import Study

JSON, TABLE, FIGURE = "ablation.json", "table.md", "figure.png"
DISTANCE = METRICS["truth_mae"]


def write_outcome(ablation: Ablation) -> None:
    """ablation.json, table.md and figure.png of an ablation whose runs are done."""
    folder, found = ablation.directory, outcome(ablation)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / JSON, json.dumps(found, indent=1))
    write_text(folder / TABLE, ablation_table(found))
    draw_ablation(
        folder / FIGURE, factor=found["factor"], values=done_values(found), panels=list(ablation_panels(found))
    )


def outcome(ablation: Ablation) -> dict[str, Any]:
    """ablation.json; `seconds` counts a stage that several runs share once."""
    entries: list[dict[str, Any]] = []
    seconds: dict[str, float] = {}
    for value, study in ablation.studies.items():
        metrics = read_metrics(study.directory / "evaluate")
        entries.append({"value": value, "run": study.name, **of_run(metrics)})
        seconds |= stages_of(study)
    return {
        "ablation": ablation.name,
        "factor": ablation.factor,
        "notes": ablation.notes,
        "values": entries,
        "seconds": round(sum(seconds.values()), 1),
        "commit": commit(),
        "command": command(),
    }


def of_run(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """One value: what its metrics.json says of every method, and of the segmentors that measure it."""
    return {
        "unit": metrics["unit"],
        "n_images": metrics["n_images"],
        "n_subjects": metrics["n_subjects"],
        "n_variables": len(metrics["variables"]),
        "methods": {name: of_method(method) for name, method in metrics["methods"].items()},
        "truth_of_doing_nothing": DISTANCE.value({"truth": metrics.get("truth_of_doing_nothing")}),
        "segmentors": {name: mean_of_finite(one["error_sd"]) for name, one in metrics["segmentors"].items()},
    }


def of_method(method: Mapping[str, Any]) -> dict[str, Any]:
    """Each metric with its interval; None where it is not known."""
    return {metric.key: {"value": metric.value(method), "ci95": metric.ci95(method)} for metric in shown_in("ablation")}


def stages_of(study: Study) -> dict[str, float]:
    """Seconds of each stage, by its fingerprint."""
    done = [read_json(path, keys=["fingerprint", "seconds"]) for _, path in done_files(study)]
    return {one["fingerprint"]: one["seconds"] for one in done}


# ---- table and figure --------------------------------------------------------------------------------------------


def done_values(found: Mapping[str, Any]) -> list[str]:
    """The values that are done."""
    return [entry["value"] for entry in found["values"]]


def ablation_panels(found: Mapping[str, Any]) -> Iterator[AblationPanel]:
    """For each metric that is known anywhere: its title, and a column for each method, with one row for each value."""
    entries = found["values"]
    for metric in shown_in("ablation"):
        columns = []
        for name in dict.fromkeys(name for entry in entries for name in entry["methods"]):
            cells = [entry["methods"].get(name, {}).get(metric.key) or {} for entry in entries]
            columns.append(value_column(method_title(name), cells))
        if metric is DISTANCE:
            columns.append(value_column(NOTHING, [{"value": entry["truth_of_doing_nothing"]} for entry in entries]))
        if any(column.known for column in columns):
            yield metric.standalone, columns


def value_column(title: str, cells: Sequence[Mapping[str, Any]]) -> TableColumn:
    """A number with its interval for each value of the factor."""
    values = tuple(finite(cell.get("value")) for cell in cells)
    return TableColumn("", title, values, tuple(interval(cell.get("ci95")) for cell in cells))


def ablation_table(found: Mapping[str, Any]) -> str:
    """One block for each metric: values down, methods across; then the measurement errors of the segmentors."""
    panels = list(ablation_panels(found))
    titles = {title for title, _ in panels}
    known = [metric for metric in shown_in("ablation") if metric.standalone in titles]
    intro = [
        "Each row is a study of its own, judged on the same images.",
        *(f"{capitalised(metric.standalone)}: {metric.caption}." for metric in known),
        "Lower is better. In brackets: 95% intervals, by bootstrap over subjects.",
    ]
    notes = [" ".join(found["notes"].split())] if found["notes"] else []
    parts = [f"# {in_markdown(found['factor'])}", " ".join(intro), *notes]
    for title, columns in panels:
        parts += [f"**{title}**", markdown(found["factor"], done_values(found), columns)]
    names = list(dict.fromkeys(name for entry in found["values"] for name in entry["segmentors"]))
    errors = [value_column(name, [{"value": e["segmentors"].get(name)} for e in found["values"]]) for name in names]
    parts += [
        "**measurement error of the segmentors (sd)**, against the masks of the same images: differences below the "
        "judge's measurement error are noise",
        markdown(found["factor"], done_values(found), errors),
    ]
    return "\n\n".join(parts) + "\n"
