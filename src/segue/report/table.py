"""The table in Markdown: every method's error by structure and region, the means, and what else is known."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from segue.evaluation.metric import HEADLINE
from segue.quoting import in_markdown
from segue.report.category_tables import category_sections
from segue.report.columns import TableColumn, mean_columns, method_title, methods_of, variable_columns
from segue.report.sections import Section, further_sections, main_caption, section
from segue.report.segmentors import segmentor_sections


def table1(metrics: Mapping[str, Any]) -> str:
    """Methods by structure and region, the means, and the segmentors' measurement errors, as Markdown.

    The best number of a column is bold, if it is no matter of chance. What no method has is left out; what one method
    lacks is a dash.

    Args:
        metrics: the dictionary of `metrics.json`.

    Raises:
        InputError: it holds no methods.

    >>> print(table1({"methods": {"no_cft": {"composition": 0.25}, "mine": {}}}).split("\\n\\n")[2].strip())
    | method | composition |
    | ------ | ----------: |
    | No-CFT | 0.250       |
    | mine   | –           |
    """
    names, parts = [method_title(key) for key in methods_of(metrics)], [main_caption(metrics)]
    for group, columns in groupby(variable_columns(metrics), key=lambda column: column.group):
        by_region = "" if group == "covariates" else " by region"
        title = f"**{in_markdown(group)}: {HEADLINE.title}{by_region} [95% interval]**"
        parts += [title, markdown("method", names, list(columns))]
    if means := mean_columns(metrics):
        parts += [f"**{means[0].group}**", markdown("method", names, means)]
    for one in [*further_sections(metrics), *category_sections(metrics), *segmentor_sections(metrics)]:
        parts += [f"**{one.title}.** {one.caption}.", section_table(one)]
    return "\n\n".join(parts) + "\n"


def markdown(corner: str, rows: Sequence[str], columns: Sequence[TableColumn]) -> str:
    """Columns as a pipe table."""
    return pipe_table([corner, *(column.title for column in columns)], marked(section("", corner, rows, columns)))


def section_table(one: Section) -> str:
    """A section as a pipe table."""
    heads = [one.corner, *(f"{group}: {head}" if group else head for group, head in one.heads)]
    return pipe_table(heads, marked(one))


def marked(one: Section) -> list[list[str]]:
    """The rows of a section, bold cells with asterisks."""
    return [[name, *(f"**{text}**" if bold else text for text, bold in cells)] for name, cells in one.rows]


def pipe_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, marked_up: bool = False) -> str:
    """A pipe table of texts, padded in the source; the first `left` columns to the left, the others to the right.

    Args:
        marked_up: whether the texts are segue's own Markdown; otherwise what is markup in them is shown as it is.

    >>> print(pipe_table(["split", "n"], [["test", "18"]]))
    | split | n    |
    | ----- | ---: |
    | test  | 18   |
    """
    cell = (lambda text: text.replace("|", r"\|")) if marked_up else in_markdown
    texts = [[cell(text) for text in line] for line in [heads, *rows]]
    widths = [max(4, *map(len, column)) for column in zip(*texts, strict=True)]
    lines = [f"| {' | '.join(map(str.ljust, line, widths))} |" for line in texts]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([lines[0], f"| {' | '.join(rule)} |", *lines[1:]])
