"""The table: every method's error by structure and region, and what else an edit did, in Markdown."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from segue.evaluation.columns import (
    IDEAL,
    Column,
    floor_columns,
    human,
    method_columns,
    method_title,
    methods_of,
    unit_of,
)


def table1(metrics: Mapping[str, Any]) -> str:
    """Methods by structure and region, the means, and the segmentors' floors, as Markdown.

    One block of columns a structure; the lowest number of a column is bold. What `metrics` lacks is left out
    or shown as a dash.

    Args:
        metrics: the dictionary of `metrics.json`.

    Raises:
        InputError: where it holds no methods.
    """
    names = [method_title(key) for key in methods_of(metrics)]
    parts = [caption(metrics)]
    for group, columns in groupby(method_columns(metrics), key=lambda column: column.group):
        head = (
            "mean over all variables" if group == "mean" else f"{group}: error (sd) by region [95% interval]"
        )
        if group == "covariates":
            head = "covariates: error (sd) [95% interval]"
        parts += [f"**{head}**", markdown("method", names, list(columns))]
    if floors := floor_columns(metrics):
        named = [Column(one.group, f"{one.group}: {one.title}", one.values, one.intervals) for one in floors]
        parts += [f"**segmentors** {floor_caption()}", markdown("segmentor", segmentor_names(metrics), named)]
    return "\n\n".join(parts) + "\n"


def markdown(corner: str, rows: list[str], columns: list[Column]) -> str:
    """A pipe table, columns aligned in the source as well."""
    texts = [[corner, *rows]]
    for column in columns:
        cells = [f"**{text}**" if i in column.best else text for i, text in enumerate(column.cells())]
        texts.append([column.title, *cells])
    texts = [[text.replace("|", r"\|") for text in column] for column in texts]
    widths = [max(4, *map(len, column)) for column in texts]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in zip(*texts, strict=True)
    ]
    rule = "| " + " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def caption(metrics: Mapping[str, Any]) -> str:
    """How to read the table, in a paragraph."""
    counts = {"images": metrics.get("n_images"), "subjects": metrics.get("n_subjects")}
    counted = " of ".join(f"{count} {word}" for word, count in counts.items() if count)
    inside = ", but for the change inside" if has_changes(metrics) else ""
    oracle = " (the oracle aside)" if IDEAL in methods_of(metrics) else ""
    sentences = [
        "Error: distance between the value asked for and the one that the independent judge measures on the "
        f"counterfactual, in {unit_of(metrics)} or in the variable's standard deviations (sd) in training.",
        "Off-target: change of the other variables.",
        "Leakage: share of the image's change that falls outside the intervened region; change outside and "
        "inside: its mean per pixel, as a fraction of the intensity range.",
        "Composition and reversibility: distance from the factual after doing nothing, and there and back.",
        f"Lower is better{inside}; bold is the best of its column{oracle}.",
        "Intervals: 95%, by bootstrap over subjects.",
    ]
    return " ".join(sentences) + (f" {counted}." if counted else "")


def has_changes(metrics: Mapping[str, Any]) -> bool:
    """Whether the table has a column that has no better and worse."""
    return any(column.title == "change inside" for column in method_columns(metrics))


def floor_caption() -> str:
    """How to read the segmentors' table."""
    return (
        "measured against the expert masks of the test images: Dice (higher is better), and the error of the "
        "areas themselves, a floor under the errors above"
    )


def segmentor_names(metrics: Mapping[str, Any]) -> list[str]:
    """Names of the segmentors' rows."""
    return [human(key) for key in metrics.get("segmentors") or {}]
