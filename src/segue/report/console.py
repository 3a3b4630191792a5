"""The summary of an evaluation for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from segue.evaluation.metric import HEADLINE, shown_in
from segue.report.columns import MISSING, methods_of, unit_of


def summary_table(metrics: Mapping[str, Any]) -> Table:
    """One row for each method, one column for each metric of the console; the headline's interval beside it.

    >>> table = summary_table({"study": "chest", "n_images": 2, "methods": {"mine": {"mean": {"error_sd": 0.25}}}})
    >>> [(column.header, *column.cells) for column in table.columns[:3]]
    [('method', 'mine'), ('error (sd)', '0.250'), ('95% CI', '–')]
    """
    images = f"{metrics['n_images']} {metrics.get('split', 'test')} images"
    table = Table(title=f"{metrics['study']}: {images}, judged independently")
    table.add_column("method", justify="left", no_wrap=True)
    for metric in shown_in("console"):
        table.add_column(metric.head(unit_of(metrics)), justify="right", no_wrap=True)
        if metric is HEADLINE:
            table.add_column("95% CI", justify="right", no_wrap=True)
    for key, method in methods_of(metrics).items():
        table.add_row(key, *console_cells(method))
    return table


def console_cells(method: Mapping[str, Any]) -> list[str]:
    """The numbers of a method; small ones (an image's reversibility) with a digit more."""
    cells = []
    for metric in shown_in("console"):
        value, ends = metric.value(method), metric.ci95(method)
        cells.append(MISSING if value is None else f"{value:.{3 if metric.averaged else 4}f}")
        if metric is HEADLINE:
            cells.append(MISSING if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}")
    return cells
