"""The table: every method's error by structure and region, and what else an edit did, in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from segue.report.columns import (
    IDEAL,
    Column,
    bystanders,
    floor_columns,
    human,
    method_columns,
    method_title,
    methods_of,
    overfitting_columns,
    overfitting_rows,
    realism_columns,
    realism_rows,
    truth_columns,
    truth_rows,
    unit_of,
)

WELL_POSED = "error, well-posed (sd)"


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
    for head, rows, more in (
        (f"distance to the true counterfactual** {truth_caption()}", truth_rows(metrics), truth_columns(metrics)),
        (f"realism** {realism_caption()}", realism_rows(metrics), realism_columns(metrics)),
        (f"over-fitting** {overfitting_caption()}", overfitting_rows(metrics), overfitting_columns(metrics)),
    ):
        if more:
            parts += [f"**{head}", markdown("method", list(rows), named(more))]
    if moved := bystanders(metrics):
        lines = [[row, *cells] for row, cells in moved.items()]
        parts += [f"**what else moved most** {bystander_caption()}", grid(["asked to change", *names], lines)]
    if floors := floor_columns(metrics):
        parts += [f"**segmentors** {floor_caption()}", markdown("segmentor", segmentor_names(metrics), named(floors))]
    return "\n\n".join(parts) + "\n"


def named(columns: list[Column]) -> list[Column]:
    """Heads that say their group too, for a table without a row of groups."""
    return [replace(one, title=f"{one.group}: {one.title}") for one in columns]


def markdown(corner: str, rows: list[str], columns: list[Column]) -> str:
    """A pipe table, columns aligned in the source as well."""
    texts = []
    for column in columns:
        texts.append([f"**{text}**" if i in column.best else text for i, text in enumerate(column.cells())])
    heads = [corner, *(column.title for column in columns)]
    return grid(heads, [list(line) for line in zip(rows, *texts, strict=True)])


def grid(heads: list[str], rows: list[list[str]]) -> str:
    """A pipe table of texts, the first column to the left."""
    texts = [[text.replace("|", r"\|") for text in line] for line in [heads, *rows]]
    widths = [max(4, *map(len, column)) for column in zip(*texts, strict=True)]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in texts
    ]
    rule = "| " + " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def caption(metrics: Mapping[str, Any]) -> str:
    """How to read the table, in a paragraph."""
    counts = {"images": metrics.get("n_images"), "subjects": metrics.get("n_subjects")}
    counted = " of ".join(f"{count} {word}" for word, count in counts.items() if count)
    inside = ", but for the change inside" if has(metrics, "change inside") else ""
    oracle = " (the oracle aside)" if IDEAL in methods_of(metrics) else ""
    sentences = [
        "Error: distance between the value asked for and the one that the independent judge measures on the "
        f"counterfactual, in {unit_of(metrics)} or in the variable's standard deviations (sd) in training.",
        "Off-target: change of the other variables.",
        "Leakage: share of the image's change that falls outside the intervened region; change outside and "
        "inside: its mean per pixel, as a fraction of the intensity range.",
        "Composition and reversibility: distance from the factual after doing nothing, and there and back.",
        *(["Well-posed: over the requests that the factual image determines."] if has(metrics, WELL_POSED) else []),
        f"Lower is better{inside}; bold is the best of its column{oracle}.",
        "Intervals: 95%, by bootstrap over subjects.",
        *([cross_validation(metrics["folds"])] if metrics.get("folds") else []),
    ]
    return " ".join(sentences) + (f" {counted}." if counted else "")


def cross_validation(folds: Sequence[Mapping[str, float]]) -> str:
    """What a cross-validation is, and how far its folds lie apart."""
    spans = {name: [fold[name] for fold in folds] for name in folds[0]}
    apart = ", ".join(f"{method_title(name)} {min(span):.2f} to {max(span):.2f}" for name, span in spans.items())
    return (
        f"Cross-validation: each subject is tested once, by models of {len(folds)} folds that have not seen it, which "
        f"intervals take as one. Mean error (sd) of the folds: {apart}."
    )


def truth_caption() -> str:
    """How to read the distances to the truth."""
    return (
        "over the requests that the factual image determines: mean absolute difference (MAE, in the image's units), "
        "PSNR and SSIM of the answer; the row `doing nothing` is the factual image itself"
    )


def realism_caption() -> str:
    """How to read the two-sample test."""
    return (
        "distances, to the judge's eye, between facts of one half of the subjects and counterfactuals of the other; "
        "the row `facts alone` is that between the facts of both halves, with the band that holds 95% of halvings. "
        "Over: the difference, with its interval; where that holds 0, the test tells nothing apart"
    )


def overfitting_caption() -> str:
    """How to read the gap between splits."""
    return (
        "the model's negative ELBO (nats per pixel, one posterior sample an image) on images as they are; "
        "the gap is that of test subjects less that of training subjects"
    )


def has(metrics: Mapping[str, Any], title: str) -> bool:
    """Whether the table has a column of that head."""
    return any(column.title == title for column in method_columns(metrics))


def bystander_caption() -> str:
    """How to read what moved besides."""
    return "mean change, by the judge, of the other variable that moved most, in sd; a whole request is about one sd"


def floor_caption() -> str:
    """How to read the segmentors' table."""
    return (
        "measured against the expert masks of the test images: Dice (higher is better), and the error of the "
        "areas themselves, a floor under the errors above"
    )


def segmentor_names(metrics: Mapping[str, Any]) -> list[str]:
    """Names of the segmentors' rows."""
    return [human(key) for key in metrics.get("segmentors") or {}]
