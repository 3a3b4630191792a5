"""Tables of pages, from the numbers in results/: `python -m docs.site.tables` writes them anew.

A table stands between two comments. The first one says what is in it, as YAML, and one of its keys says the kind:

- `rows`: of metrics.json. `columns` are keys of the registry of metrics, `rows` are (by title) a folder of results/ and
  the key of a method; `FOLDER/doing nothing` is the factual image. With `studies` (folders by title) each study has
  these columns, and rows are keys of methods alone. With `variables` (by title) each variable has them, in its unit;
  a share is in points, 100 of them to the whole. `titles` gives columns other heads.
- `standing`: folders of results/; segue's place in each of `metrics` among their methods that take less than `seconds`.
- `leaderboard`: a file; its times are left out.
- `ablation`: its name; `columns` are metrics, for each of `methods`.
- `categories`: a folder of results/; of the `variable`, its error and the share of answers in the requested category.
- `tuning`: a file of results/ with settings of baselines. `tuned`: such files by title; how many settings and images.
- `use`: augmentation, bias or progression.
- `rank`: a file of results/ with the pairs of the mini-benchmark.
- `ratios`: by row and head of a column, a file under results/benchmarks/ and the words of a ratio in it.
- `measured`: a file under results/benchmarks/; `columns` (keys by head) of its rows, those that are as `where` says.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import yaml

from docs.site.metric_tables import leaderboard_table, metrics_table, standing_table
from docs.site.number_tables import (
    ablation_table,
    category_table,
    measured_table,
    rank_table,
    ratios_table,
    tuned_table,
    tuning_table,
    use_table,
)
from docs.site.project import DOCS, ROOT
from segue.files import write_text
from segue.report.table import table1

TABLE = re.compile(r"<!-- table\n(.*?)-->\n.*?<!-- end -->", flags=re.DOTALL)
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
KINDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "standing": standing_table,
    "leaderboard": leaderboard_table,
    "ablation": ablation_table,
    "categories": category_table,
    "tuned": tuned_table,
    "tuning": tuning_table,
    "use": use_table,
    "rank": rank_table,
    "ratios": ratios_table,
    "measured": measured_table,
    "rows": metrics_table,
}


def results_table(said: dict[str, Any]) -> str:
    """The table that a comment asks for."""
    return next(table(said) for kind, table in KINDS.items() if kind in said)


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
