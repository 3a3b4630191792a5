"""An answer as HTML: pictures with outlines, requested and achieved values, leakage."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segue.engine.model import Model
from segue.explorer.asking import Answer, Areas, Reading, training_range
from segue.explorer.markup import filled
from segue.explorer.models import Chosen, Explored
from segue.explorer.panel import title
from segue.explorer.pictures import (
    Plane,
    data_uri,
    display_grey,
    display_plane,
    most_changed_slice,
    outline,
    png,
    sides,
    signed,
)
from segue.report.columns import method_title
from segue.report.figure import STRUCTURES, colour_limit
from segue.text import in_words, typeset, typeset_unit

TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of the colour bar, as shares of its limit
NOTABLE = 0.25  # sd: an off-target change above this is marked


@dataclass(frozen=True)
class Picture:
    """One image of the page, and the outlines over it."""

    name: str
    alt: str
    source: str
    outlines: list[tuple[str, str]]
    kind: str


@dataclass(frozen=True)
class VariableRow:
    """One variable of the table.

    Attributes:
        asked: whether the user requested it. followed: whether it follows from the request along the graph.
        reached: by method, the guide's measurement, the judge's, the change in sd, and whether it is marked.
    """

    name: str
    asked: bool
    followed: bool
    factual: str
    requested: str
    reached: list[tuple[str, str, str, bool]]


def view(explored: Explored, chosen: Chosen, answer: Answer, *, index: int | None = None) -> str:
    """The pictures and the table of an answer.

    Args:
        index: of a 3-D image, the slice that is shown; by default the one that changed most.
    """
    model = explored.first
    if index is None:
        index = most_changed_slice(np.sum([np.abs(one.image - answer.image) for one in answer.readings], axis=0))
    shape = display_plane(answer.image, index).shape
    span = 100 / (answer.window[1] - answer.window[0])
    changes = [span * (display_plane(one.image, index) - display_plane(answer.image, index)) for one in answer.readings]
    limit = colour_limit(changes)
    factual = f"Factual image, {chosen.case.id}"
    return filled(
        "view.html.j2",
        shape=shape,
        aspect=aspect(shape, chosen.case.spacing),
        wide=shape[1] >= 1.8 * shape[0],
        borders=borders(answer, index),
        factual=picture(answer.image, answer.outlines, index, answer.window, name="Factual", alt=factual),
        methods=[
            method(one, change, limit, index, answer.window)
            for one, change in zip(answer.readings, changes, strict=True)
        ],
        ticks=[typeset(f"{share * limit:+.3g}") if share else "0" for share in TICKS],
        structures=list(zip(map(in_words, answer.outlines), STRUCTURES * len(answer.outlines), strict=False)),
        rows=table_rows(answer, model.space.areas),
        judged=explored.judge is not None,
        unit=typeset_unit(answer.unit),
        asked=asked_in_words(answer),
        beyond=[f"{title(name)} {value:.3g}" for name, value in extrapolated(model, answer.do)],
    )


def method(one: Reading, change: Plane, limit: float, index: int, window: tuple[float, float]) -> dict[str, object]:
    """A method's pictures, leakage and off-target change."""
    name = method_title(one.method)
    difference = data_uri(png(signed(change, limit)))
    return {
        "title": name,
        "counterfactual": picture(
            one.image, one.outlines, index, window, name="Counterfactual", alt=f"Counterfactual by {name}"
        ),
        "difference": Picture("Difference", f"Counterfactual minus factual, {name}", difference, [], "signed"),
        "leakage": one.leakage,
        "off_target": one.off_target,
    }


def picture(
    image: np.ndarray,
    outlines: Mapping[str, np.ndarray],
    index: int,
    window: tuple[float, float],
    *,
    name: str,
    alt: str,
) -> Picture:
    """A grey image, black and white as of `window`, and the outlines of its structures."""
    lines = [
        (outline(display_plane(mask, index)), colour)
        for mask, colour in zip(outlines.values(), STRUCTURES * len(outlines), strict=False)
    ]
    shown = display_grey(display_plane(image, index), window)
    return Picture(name, alt, data_uri(png(shown)), lines, "grey")


def borders(answer: Answer, index: int) -> list[tuple[str, bool]]:
    """The regions' borders, each once, with a mark for those of requested variables, which come last."""
    planes = {name: display_plane(weights, index) > 0.5 for name, weights in answer.regions.items()}
    inside = {name: mask.tobytes() for name, mask in planes.items()}  # several structures have the same region
    asked = {inside[name] for name in answer.moving if name in inside}
    once = {inside[name]: mask for name, mask in planes.items()}
    return sorted(((sides(mask), key in asked) for key, mask in once.items()), key=lambda one: one[1])


def aspect(shape: tuple[int, ...], spacing: tuple[float, ...] | None) -> float:
    """Width over height, in mm where the spacing is known."""
    tall, wide = (spacing or (1.0, 1.0))[:2]
    return round(shape[1] * wide / (shape[0] * tall), 4)


def table_rows(answer: Answer, names: tuple[str, ...]) -> list[VariableRow]:
    """All measured variables, and the covariates that the request changes."""
    moving = answer.moving
    return [
        VariableRow(
            name=title(name),
            asked=name in answer.do,
            followed=name in moving and name not in answer.do,
            factual=f"{answer.factual[name]:.2f}",
            requested=f"{answer.requested[name]:.2f}" if name in moving else "–",
            reached=[reached(answer, one, name) for one in answer.readings],
        )
        for name in answer.factual
        if name in names or name in moving
    ]


def reached(answer: Answer, one: Reading, name: str) -> tuple[str, str, str, bool]:
    """By the guide, by the judge, the change in sd by the judge (without one, by the guide), whether it is marked."""
    if name not in one.guide:
        return "–", "–", "–", False
    before, after = (answer.judge, one.judge) if one.judge else (answer.factual, one.guide)
    moved = (after[name] - before[name]) / answer.sd[name]
    judge = f"{one.judge[name]:.2f}" if one.judge else "–"
    return (
        f"{one.guide[name]:.2f}",
        judge,
        typeset(f"{moved:+.2f}"),
        abs(moved) > NOTABLE and name not in answer.moving,
    )


def extrapolated(model: Model, do: Areas) -> list[tuple[str, float]]:
    """The requested values outside the range of the training data."""
    found = []
    for name, value in do.items():
        low, high = training_range(model, model.variables.index(name))
        if not low <= value <= high:
            found.append((name, value))
    return found


def asked_in_words(answer: Answer) -> str:
    """The request as a sentence."""
    if not answer.do:
        return "Nothing is requested yet: move a slider."
    changes = [
        f"{title(name)} = {value:.3g} (measured {answer.factual[name]:.3g})" for name, value in answer.do.items()
    ]
    return "do(" + "; ".join(changes) + ")" + ("" if answer.propagate else ", everything else held")
