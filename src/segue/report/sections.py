"""The tables of a report as text, ready for Markdown and HTML."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from segue.evaluation.comparison import IDEAL
from segue.evaluation.metric import FAMILIES
from segue.report.columns import (
    MISSING,
    TableColumn,
    family_columns,
    family_rows,
    main_metrics,
    mean_columns,
    method_title,
    methods_of,
    unit_of,
    variable_title,
    variables_of,
)

Cell = tuple[str, bool]
"""Text, and whether it is set in bold."""


class Section(NamedTuple):
    """A table with its title and caption.

    Attributes:
        corner: head of the first column. heads: (group, head) of the others. rows: name and cells.
    """

    title: str
    caption: str
    corner: str
    heads: list[tuple[str, str]]
    rows: list[tuple[str, list[Cell]]]

    @property
    def groups(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Neighbouring heads of one group together."""
        return [(name, list(members)) for name, members in groupby(self.heads, key=itemgetter(0))]

    def split(self, widest: int) -> "list[Section]":
        """The same table in parts of at most `widest` columns, all with the names of the rows."""
        width = -(-len(self.heads) // -(-len(self.heads) // widest)) if self.heads else 1  # parts of one size
        parts = [slice(first, first + width) for first in range(0, len(self.heads), width)]
        return [
            self._replace(heads=self.heads[part], rows=[(name, cells[part]) for name, cells in self.rows])
            for part in parts
        ]


def section(
    title: str, corner: str, names: Sequence[str], columns: Sequence[TableColumn], caption: str = ""
) -> Section:
    """Columns turned into rows."""
    cells = [[(text, i in column.best) for i, text in enumerate(column.cells())] for column in columns]
    heads = [(column.group, column.title) for column in columns]
    return Section(title, caption, corner, heads, [(name, [one[i] for one in cells]) for i, name in enumerate(names)])


def further_sections(metrics: Mapping[str, Any]) -> list[Section]:
    """What stands below the main table: what else moved, then the families of metrics with tables of their own."""
    found = [moved_section(metrics)]
    for key, family in FAMILIES.items():
        if family.table == "own":
            rows, columns = list(family_rows(key, metrics)), family_columns(key, metrics)
            found.append(section(family.title, "method", rows, columns, family.caption))
    return [one for one in found if one.rows and one.heads]


def moved_section(metrics: Mapping[str, Any]) -> Section:
    """By variable and method: the other variable that moved most, and by how many sd."""
    methods, rows = methods_of(metrics), []
    for name in variables_of(metrics):
        moved = [((method.get("variables") or {}).get(name) or {}).get("moved") or {} for method in methods.values()]
        most = [max(((size, other) for other, size in one.items() if other != name), default=None) for one in moved]
        if any(most):
            texts = [f"{one[0]:.2f} {variable_title(one[1])}" if one else MISSING for one in most]
            rows.append((variable_title(name), [(text, False) for text in texts]))
    caption = (
        "For each variable that was requested to change: the other variable that moved most, and its mean change by "
        "the judge, in sd. A request is a change of about one sd"
    )
    heads = [("", method_title(key)) for key in methods]
    return Section("what else moved most", caption, "requested to change", heads, rows)


def independence_section(tests: Sequence[Mapping[str, Any]], most: int = 15) -> Section | None:
    """The independencies with the smallest p-values, and all that are refuted (bold); None if there are none."""
    heads = {
        "correlation": ("linear", "partial r"), "linear_p": ("linear", "p"),
        "covariance": ("general", "residual covariance"), "p": ("general", "p"),
        "corrected": ("general", "corrected p"),
    }  # fmt: skip
    rows = []
    for i, test in enumerate(tests):
        if i < most or test["refuted"]:
            given = f" | {', '.join(test['given'])}" if test["given"] else ""
            cells = [(f"{test[key]:.2g}", key == "corrected" and test["refuted"]) for key in heads]
            rows.append((f"{test['one']} ⫫ {test['other']}{given}", cells))
    return Section("", "", "independent, by the graph", list(heads.values()), rows) if rows else None


# ---- the caption of the main table -------------------------------------------------------------------------------


def main_caption(metrics: Mapping[str, Any]) -> str:
    """How to read the main table, in a paragraph."""
    terms = [f"{capitalised(head)}: {caption}." for head, caption in metric_captions(metrics)]
    return " ".join([*terms, *reading_rules(metrics)])


def metric_captions(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Head and explanation of every metric of the main table."""
    unit, known = unit_of(metrics), {column.title for column in mean_columns(metrics)}
    return [(metric.head(unit), metric.caption) for _, metric in main_metrics() if metric.head(unit) in known]


def reading_rules(metrics: Mapping[str, Any]) -> list[str]:
    """What is better, what is bold, what intervals are, and what was evaluated; a sentence each."""
    unit, known = unit_of(metrics), {column.title for column in mean_columns(metrics)}
    others = [m.head(unit) for _, m in main_metrics() if m.direction != "low" and m.head(unit) in known]
    exceptions = f", except for: {', '.join(others)}" if others else ""
    oracle = " (not counting the oracle)" if IDEAL in methods_of(metrics) else ""
    counts = {"images": metrics.get("n_images"), "subjects": metrics.get("n_subjects")}
    counted = " of ".join(f"{count} {word}" for word, count in counts.items() if count)
    return [
        f"Lower is better{exceptions}.",
        f"Bold: the best of its column{oracle}, if its interval overlaps no other's and, where the judge measures "
        "areas, it is ahead by more than the judge's measurement error. Numbers without an interval are not compared.",
        "Intervals: 95%, by bootstrap over subjects.",
        *([cross_validation(metrics["folds"])] if metrics.get("folds") else []),
        *([f"Evaluated on {counted}."] if counted else []),
    ]


def cross_validation(folds: Sequence[Mapping[str, float | None]]) -> str:
    """What a cross-validation is, and how much its folds differ."""
    errors = {name: [value for fold in folds if (value := fold.get(name)) is not None] for name in folds[0]}
    apart = ", ".join(f"{method_title(name)} {min(e):.2f} to {max(e):.2f}" for name, e in errors.items() if e)
    return (
        f"Cross-validation: each subject is tested once, by models of {len(folds)} folds that were not trained on it; "
        f"the intervals treat these models as one. Mean error (sd) of the folds: {apart}."
    )


def capitalised(text: str) -> str:
    """The first letter as a capital.

    >>> capitalised("error (sd)")
    'Error (sd)'
    """
    return text[:1].upper() + text[1:]
