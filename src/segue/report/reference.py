"""The tables of docs/metrics.md, from the registry: `python -m segue.report.reference docs/metrics.md` updates them."""

import re
import sys
from pathlib import Path

from segue.evaluation.metric import AVERAGED, FAMILIES, HEADLINE, Metric
from segue.files import write_text
from segue.report.table import pipe_table

TABLE = re.compile(r"<!-- metrics: (\w+) -->\n.*?<!-- end -->", flags=re.DOTALL)


def metrics_table(family: str) -> str:
    """The metrics of a family as a pipe table.

    >>> metrics_table("axioms").splitlines()[0].replace(" ", "")
    '|key|whatitis|unit|better|interval|'
    """
    rows = [
        [f"`{json_key(metric)}`", metric.caption, metric.unit, metric.direction or "", interval_key(metric)]
        for metric in FAMILIES[family].metrics
        if not metric.minus  # such a difference is not in the file
    ]
    return pipe_table(["key", "what it is", "unit", "better", "interval"], rows, left=5, marked_up=True)


def json_key(metric: Metric) -> str:
    """Where the metric stands: its key among those of a variable, or its path in the method's entry."""
    return metric.key if metric.compute else metric.path


def interval_key(metric: Metric) -> str:
    """Where its interval stands."""
    if not metric.interval:
        return ""
    of_mean_only = metric.averaged and metric is not HEADLINE
    return f"`{metric.interval.removeprefix(AVERAGED)}`" + (", mean" if of_mean_only else "")


def updated(text: str) -> str:
    """A document with its tables as the registry has them.

    A table stands between the comments `metrics: FAMILY` and `end`.
    """
    return TABLE.sub(lambda found: f"<!-- metrics: {found[1]} -->\n{metrics_table(found[1])}\n<!-- end -->", text)


if __name__ == "__main__":
    document = Path(sys.argv[1])
    write_text(document, updated(document.read_text()))
