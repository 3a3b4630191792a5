"""Tables of pages, from the metrics.json of results/: `python -m docs.site.tables` writes them anew.

A table stands between two comments. The first one says what is in it, as YAML: the `columns` (keys of the registry of
metrics) and the `rows` (by title: folder of results/ and key of the method; `FOLDER/doing nothing` is the factual
image). With `studies` (folders by title) each study has these columns, and rows are keys of methods alone. With
`variables` (by title) each variable has them, in its own unit; a share is in points, 100 of them to the whole.
`titles` gives columns other heads. `leaderboard: FILE` is the table of a leaderboard, without its times.
"""

import functools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from docs.site.project import DOCS, ROOT
from segue.anatomy import variable_unit
from segue.evaluation.metric import METRICS
from segue.files import write_text
from segue.leaderboard.board import board_table, read_board
from segue.report.columns import NOTHING, TableColumn, family_rows, metric_column, unit_of
from segue.report.table import pipe_table, table1

TABLE = re.compile(r"<!-- table\n(.*?)-->\n.*?<!-- end -->", flags=re.DOTALL)
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


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


def results_table(said: dict[str, Any]) -> str:
    """The table that a comment asks for; the best number is bold where the report would have it bold."""
    if "leaderboard" in said:
        return leaderboard_table(ROOT / said["leaderboard"])
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


def leaderboard_table(path: Path) -> str:
    """A leaderboard; its times depend on the machine, and are left out."""
    lines = [line.rsplit("|", 2)[0].rstrip() + " |" for line in board_table(read_board(path)).splitlines()]
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """A page, its tables as results/ has them."""
    return TABLE.sub(
        lambda found: f"<!-- table\n{found[1]}-->\n{results_table(yaml.safe_load(found[1]))}\n<!-- end -->", text
    )


def write_tables() -> None:
    """Write the tables of the pages anew, and the table beside every metrics.json of results/."""
    for page in PAGES:
        if (text := page.read_text()) != (new := with_tables(text)):
            write_text(page, new)
    for path in (ROOT / "results").rglob("metrics.json"):
        write_text(path.with_name("table1.md"), table1(json.loads(path.read_text())))


if __name__ == "__main__":
    write_tables()
