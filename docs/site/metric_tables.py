"""Tables from the metrics.json of results/: methods down, metrics across; leaderboards; and where segue stands."""

import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from docs.site.project import ROOT
from segue.anatomy import variable_unit
from segue.evaluation.metric import METRICS, Metric
from segue.leaderboard.board import board_table, read_board
from segue.report.columns import NOTHING, TableColumn, family_rows, method_title, metric_column, unit_of
from segue.report.table import pipe_table

Entries = dict[str, dict[str, Any]]


@functools.cache
def metrics_of(folder: str) -> dict[str, Any]:
    """The metrics.json of a folder of results/."""
    return json.loads((ROOT / "results" / folder / "metrics.json").read_text())


def entry_of(row: str, variable: str | None = None) -> tuple[dict[str, Any], bool]:
    """A method's entry of metrics.json, and whether it competes for the best number.

    Args:
        variable: whose numbers stand in the place of the means over all.
    """
    folder, _, key = row.rpartition("/")
    metrics, competes = metrics_of(folder), key not in (NOTHING, "oracle", "nothing")
    if variable is not None:
        found = metrics["doing_nothing"] if key == NOTHING else metrics["methods"][key]
        return {"mean": in_points(found["variables"][variable], variable)}, competes
    if key == NOTHING:
        return dict(family_rows("truth", metrics)[NOTHING]), competes
    return metrics["methods"][key], competes


def in_points(entry: dict[str, Any], variable: str) -> dict[str, Any]:
    """The numbers of a variable; the error of a share in points.

    >>> in_points({"error": 0.25, "error_sd": 1.0}, "lumen@mid:stenosis")
    {'error': 25.0, 'error_sd': 1.0}
    """
    return entry | {"error": 100 * entry["error"]} if variable_unit(variable, "px") == "" else entry


def metrics_table(said: dict[str, Any]) -> str:
    """Methods by metrics; the best number is bold where the report would have it bold."""
    columns = []
    blocks = [(title, folder, None) for title, folder in said.get("studies", {}).items()]
    blocks += [(title, None, variable) for title, variable in said.get("variables", {}).items()]
    for title, folder, variable in blocks or [("", None, None)]:
        rows = [row if folder is None else f"{folder}/{row}" for row in said["rows"].values()]
        columns += [
            replace(one, title=f"{title}: {one.title}" if title else one.title)
            for one in columns_of(rows, said["columns"], said.get("titles", {}), variable)
        ]
    cells = [[f"**{text}**" if i in one.best else text for i, text in enumerate(one.cells())] for one in columns]
    rows = [[title, *row] for title, row in zip(said["rows"], zip(*cells, strict=True), strict=True)]
    return pipe_table(["", *(one.title for one in columns)], rows, marked_up=True)


def columns_of(
    rows: list[str], keys: list[str], titles: dict[str, str], variable: str | None = None
) -> list[TableColumn]:
    """Metrics of methods, one row for each; of one variable, if it is given."""
    entries, competing = zip(*(entry_of(row, variable) for row in rows), strict=True)
    metrics = metrics_of(rows[0].rpartition("/")[0])
    unit = unit_of(metrics) if variable is None else variable_unit(variable, metrics["unit"]) or "points"
    found = [metric_column(METRICS[key], entries, unit, competing) for key in keys]
    return [replace(one, title=titles.get(key, one.title)) for key, one in zip(keys, found, strict=True)]


def leaderboard_table(said: dict[str, Any]) -> str:
    """A leaderboard; its times depend on the machine, and are left out."""
    path: Path = ROOT / said["leaderboard"]
    lines = [line.rsplit("|", 2)[0].rstrip() + " |" for line in board_table(read_board(path)).splitlines()]
    return "\n".join(lines)


# ---- where segue stands ------------------------------------------------------------------------------------------


def standing_table(said: dict[str, Any]) -> str:
    """segue's place in each metric among the methods that answer within `seconds`, and every method ahead of it.

    A method that takes longer has its seconds beside its name, and does not count for the place.
    """
    entries: Entries = {}
    for folder in said["standing"]:
        found = metrics_of(folder)["methods"]
        entries |= {key: one for key, one in found.items() if key not in ("oracle", "nothing")}
    unit = unit_of(metrics_of(said["standing"][0]))
    rows = [standing_row(METRICS[key], unit, entries, said["seconds"]) for key in said["metrics"]]
    return pipe_table(["", "segue", "place", "ahead of it"], rows, left=4, marked_up=True)


def standing_row(metric: Metric, unit: str, entries: Entries, seconds: float) -> list[str]:
    """The metric, segue's number, its place, and the methods ahead of it in their order."""
    known = sorted((metric.value(one), key) for key, one in entries.items() if metric.value(one) is not None)
    order = [key for _, key in known]
    texts = dict(zip(order, metric_column(metric, [entries[key] for key in order], unit, [False] * len(order)).cells(),
                     strict=True))  # fmt: skip
    slow = {key: took for key in order if (took := METRICS["seconds_per_image"].value(entries[key]) or 0) >= seconds}
    ahead = order[: order.index("segue")]
    times = {key: f" ({took:.1f} s)" for key, took in slow.items()}
    named = [f"{method_title(key)}{times.get(key, '')} {texts[key]}" for key in ahead]
    place = place_of(metric, entries, [key for key in ahead if key not in slow])
    return [metric.standalone.format(unit=unit), texts["segue"], place, "; ".join(named) or "no method"]


def place_of(metric: Metric, entries: Entries, ahead: list[str]) -> str:
    """Whether segue is first, or its number within the interval of the first."""
    if not ahead:
        return "first"
    first, number = entries[ahead[0]], metric.value(entries["segue"])
    ends = metric.ci95(first)
    inside = ends is not None and number is not None and ends[0] <= number <= ends[1]
    return "within the interval of the first" if inside else "behind the first"
