"""What an ablation shows: by value and method, the means of each run's metrics.json."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from segue.files import write_text
from segue.pipeline.ablation.ablation_file import Ablation
from segue.pipeline.ablation.figure import Panel, draw_ablation
from segue.pipeline.common import command, commit
from segue.pipeline.judging import done_files
from segue.report.columns import NOTHING, Column, Interval, finite, interval, mean, method_title, with_gap
from segue.report.table import markdown
from segue.study.schema import Study

JSON, TABLE, FIGURE = "ablation.json", "table.md", "figure.png"


class Quantity(NamedTuple):
    """A number of a method in metrics.json: where it stands, where its 95% interval does, and its name for readers."""

    section: str
    key: str
    interval: str
    title: str


QUANTITIES = {
    "error_sd": Quantity("mean", "error_sd", "ci95", "error (sd)"),
    "off_target_sd": Quantity("mean", "off_target_sd", "off_target_ci95", "off-target (sd)"),
    "leakage": Quantity("mean", "leakage", "leakage_ci95", "leakage"),
    "truth_mae": Quantity("truth", "mae", "ci95", "distance to the truth"),
    "nelbo": Quantity("nelbo", "test", "ci95", "negative ELBO on test subjects (nats/pixel)"),
    "gap": Quantity("nelbo", "gap", "ci95", "over-fitting: that less the training subjects' (nats/pixel)"),
}


def write_outcome(ablation: Ablation) -> None:
    """ablation.json, table.md and figure.png of an ablation whose runs are done."""
    folder, found = ablation.directory, outcome(ablation)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / JSON, json.dumps(found, indent=1))
    write_text(folder / TABLE, table(found))
    draw_ablation(folder / FIGURE, factor=found["factor"], values=shown(found), panels=list(panels(found)))


def outcome(ablation: Ablation) -> dict[str, Any]:
    """ablation.json; `seconds` counts a stage once, however many runs have taken it from one another."""
    entries: list[dict[str, Any]] = []
    seconds: dict[str, float] = {}
    for value, study in ablation.studies.items():
        metrics = json.loads((study.directory / "evaluate" / "metrics.json").read_text())
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
    """One value: what its metrics.json says of every method, and of what measures it."""
    nothing = metrics.get("truth_of_doing_nothing")
    return {
        "unit": metrics["unit"],
        "n_images": metrics["n_images"],
        "n_subjects": metrics["n_subjects"],
        "n_variables": len(metrics["variables"]),
        "methods": {name: of_method(method) for name, method in metrics["methods"].items()},
        "truth_of_doing_nothing": nothing["mae"] if nothing else None,
        "segmentors": {name: mean(one["error_sd"]) for name, one in metrics["segmentors"].items()},
    }


def of_method(method: Mapping[str, Any]) -> dict[str, Any]:
    """Each quantity with its interval; null where it is not known."""
    found, method = {}, {**method, "nelbo": with_gap(method.get("nelbo") or {})}
    for name, quantity in QUANTITIES.items():
        section = method.get(quantity.section) or {}
        found[name] = {"value": section.get(quantity.key), "ci95": section.get(quantity.interval)}
    return found


def stages_of(study: Study) -> dict[str, float]:
    """Seconds of each stage, by what it was made of."""
    done = [json.loads(path.read_text()) for _, path in done_files(study)]
    return {one["fingerprint"]: one["seconds"] for one in done}


# ---- table and figure --------------------------------------------------------------------------------------------


def shown(found: Mapping[str, Any]) -> list[str]:
    """The values that are done."""
    return [entry["value"] for entry in found["values"]]


def panels(found: Mapping[str, Any]) -> Iterator[Panel]:
    """By quantity that is known anywhere: its title, and a column a method, one row a value."""
    names = list(dict.fromkeys(name for entry in found["values"] for name in entry["methods"]))
    for key, quantity in QUANTITIES.items():
        columns = []
        for name in names:
            cells = [entry["methods"].get(name, {}).get(key) or {} for entry in found["values"]]
            columns.append(column(method_title(name), [(c.get("value"), c.get("ci95")) for c in cells]))
        if key == "truth_mae":
            columns.append(column(NOTHING, [(entry["truth_of_doing_nothing"], None) for entry in found["values"]]))
        if known := [one for one in columns if any(value is not None for value in one.values)]:
            yield quantity.title, known


def column(title: str, cells: list[tuple[Any, Any]]) -> Column:
    values: tuple[float | None, ...] = tuple(finite(value) for value, _ in cells)
    intervals: tuple[Interval | None, ...] = tuple(interval(ends) for _, ends in cells)
    return Column("", title, values, intervals)


def table(found: Mapping[str, Any]) -> str:
    """One block a quantity: values down, methods across; then the segmentors' own errors."""
    parts = [
        f"# {found['factor']}",
        "Each row is a study of its own, judged on the same images. Error: distance between what is asked for and what "
        "the independent judge measures, averaged over all variables, each in its own standard deviations (sd) in "
        "training. Off-target: change of the other variables. Leakage: share of the image's change outside the "
        "intervened region. Distance to the truth: mean absolute difference from the true counterfactual, in the "
        "images' raw units. Lower is better, of the ELBO too. In brackets: 95% intervals, by bootstrap over subjects.",
        *([" ".join(found["notes"].split())] if found["notes"] else []),
    ]
    for title, columns in panels(found):
        parts += [f"**{title}**", markdown(found["factor"], shown(found), columns)]
    names = list(dict.fromkeys(name for entry in found["values"] for name in entry["segmentors"]))
    floors = [column(name, [(entry["segmentors"].get(name), None) for entry in found["values"]]) for name in names]
    parts += [
        "**the segmentors' own error (sd)**, against the masks of the same images: what is below the judge's is noise",
        markdown(found["factor"], shown(found), floors),
    ]
    return "\n\n".join(parts) + "\n"
