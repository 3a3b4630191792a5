"""An answer as HTML: pictures with their lines, what was asked and what was reached, where it leaked."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segue.engine.model import Model
from segue.explorer.asking import Answer, Areas, Reading, training_range
from segue.explorer.models import Chosen, Explored
from segue.explorer.panel import templates, title, words
from segue.explorer.pictures import Plane, data_uri, grey, outline, plane, png, sides, signed
from segue.report.columns import method_title
from segue.report.figure import STRUCTURES, colour_limit
from segue.text import typeset_unit

TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of the colours' limit
NOTED = 0.25  # sd: an unasked variable that moved by more is marked


@dataclass(frozen=True)
class Picture:
    """One image of the page, and the lines over it."""

    name: str
    alt: str
    source: str
    outlines: list[tuple[str, str]]
    kind: str


@dataclass(frozen=True)
class Row:
    """One variable of the table; `reached` has the guide's and the judge's measure and the change in sd, by method.

    Attributes:
        asked: by the user. followed: by the graph, in consequence.
    """

    name: str
    asked: bool
    followed: bool
    factual: str
    requested: str
    reached: list[tuple[str, str, str, bool]]


def view(explored: Explored, chosen: Chosen, answer: Answer, *, index: int | None = None) -> str:
    """Everything that is seen of an answer.

    Args:
        index: of a 3-D image, the slice that is shown; by default the one that changed most.
    """
    model = explored.first
    index = telling_slice(answer) if index is None else index
    shape = plane(answer.image, index).shape
    span = 100 / (model.intensity[1] - model.intensity[0])
    changes = [span * (plane(one.image, index) - plane(answer.image, index)) for one in answer.readings]
    limit = colour_limit(changes)
    factual = picture(
        answer.image, answer.outlines, index, model, name="Factual", alt=f"Factual image, {chosen.case.id}"
    )
    return templates().get_template("view.html.j2").render(
        shape=shape,
        aspect=aspect(shape, chosen.case.spacing),
        wide=shape[1] >= 1.8 * shape[0],
        borders=borders(answer, index),
        factual=factual,
        methods=[
            method(one, change, limit, answer, index, model)
            for one, change in zip(answer.readings, changes, strict=True)
        ],
        ticks=[f"{share * limit:+.3g}".replace("-", "−") if share else "0" for share in TICKS],
        structures=list(zip(map(words, answer.outlines), STRUCTURES * len(answer.outlines), strict=False)),
        rows=table(answer, model.measured_names),
        judged=explored.judge is not None,
        unit=typeset_unit(answer.unit),
        asked=asked_in_words(answer),
        beyond=[f"{title(name)} {value:.3g}" for name, value in extrapolated(model, answer.do)],
    )  # fmt: skip


def method(one: Reading, change: Plane, limit: float, answer: Answer, index: int, model: Model) -> dict[str, object]:
    """A method's pictures and its gauges."""
    name = method_title(one.method)
    difference = data_uri(png(signed(change, limit)))
    return {
        "title": name,
        "counterfactual": picture(
            one.image, one.outlines, index, model, name="Counterfactual", alt=f"Counterfactual by {name}"
        ),
        "difference": Picture("Difference", f"Counterfactual minus factual, {name}", difference, [], "signed"),
        "leakage": one.leakage,
        "off_target": one.off_target,
    }


def picture(
    image: np.ndarray, outlines: Mapping[str, np.ndarray], index: int, model: Model, *, name: str, alt: str
) -> Picture:
    """A grey image and the outlines of its structures."""
    lines = [
        (outline(plane(mask, index)), colour)
        for mask, colour in zip(outlines.values(), STRUCTURES * len(outlines), strict=False)
    ]
    return Picture(name, alt, data_uri(png(grey(plane(image, index), model.intensity))), lines, "grey")


def borders(answer: Answer, index: int) -> list[tuple[str, bool]]:
    """The regions' borders, each once, those that were asked last (and marked)."""
    planes = {name: plane(weights, index) > 0.5 for name, weights in answer.regions.items()}
    inside = {name: mask.tobytes() for name, mask in planes.items()}  # structures share regions
    asked = {inside[name] for name in answer.moving if name in inside}
    once = {inside[name]: mask for name, mask in planes.items()}
    return sorted(((sides(mask), key in asked) for key, mask in once.items()), key=lambda one: one[1])


def aspect(shape: tuple[int, ...], spacing: tuple[float, ...] | None) -> float:
    """Width over height, in mm where the spacing is known."""
    tall, wide = (spacing or (1.0, 1.0))[:2]
    return round(shape[1] * wide / (shape[0] * tall), 4)


def telling_slice(answer: Answer) -> int:
    """Of the last axis, the slice that changed most; the middle one where nothing did."""
    if answer.image.ndim == 2:
        return 0
    change = np.sum([np.abs(one.image - answer.image).sum((0, 1)) for one in answer.readings], axis=0)
    return int(change.argmax()) if change.max() > 0 else answer.image.shape[-1] // 2


def table(answer: Answer, names: tuple[str, ...]) -> list[Row]:
    """All measured variables, and covariates that were to move."""
    moving = answer.moving
    return [
        Row(
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
    """By the guide, by the judge, the change in sd by the judge (the guide, without one), and whether it is marked."""
    if name not in one.guide:
        return "–", "–", "–", False
    before, after = (answer.judge, one.judge) if one.judge else (answer.factual, one.guide)
    moved = (after[name] - before[name]) / answer.sd[name]
    judge = f"{one.judge[name]:.2f}" if one.judge else "–"
    return (
        f"{one.guide[name]:.2f}",
        judge,
        f"{moved:+.2f}".replace("-", "−"),
        abs(moved) > NOTED and name not in answer.moving,
    )


def extrapolated(model: Model, do: Areas) -> list[tuple[str, float]]:
    """What was asked outside of the training data."""
    found = []
    for name, value in do.items():
        low, high = training_range(model, model.variables.index(name))
        if not low <= value <= high:
            found.append((name, value))
    return found


def asked_in_words(answer: Answer) -> str:
    """The request as a sentence."""
    if not answer.do:
        return "Nothing is asked yet: move a slider."
    changes = [
        f"{title(name)} = {value:.3g} (measured {answer.factual[name]:.3g})" for name, value in answer.do.items()
    ]
    return "do(" + "; ".join(changes) + ")" + ("" if answer.propagate else ", everything else held")
