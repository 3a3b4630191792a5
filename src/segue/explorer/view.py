"""An answer as HTML: pictures with outlines and pixel values, the verdicts, requested and achieved values."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segue.anatomy import said_value
from segue.cohort.planes import Voxel
from segue.engine.verdict import Verdict
from segue.explorer.asking import Answer, Reading
from segue.explorer.markup import filled
from segue.explorer.models import Chosen, Explored
from segue.explorer.panel import title, unit_in_words
from segue.explorer.pictures import (
    PixelValues,
    Plane,
    data_uri,
    display_grey,
    outline,
    png,
    sides,
    signed,
    values_of_plane,
)
from segue.explorer.planes import Shown, for_browser, shown_planes, to_picture
from segue.report.colours import STRUCTURES, colour_limit
from segue.report.columns import method_title
from segue.text import in_words, typeset, typeset_unit, with_sign

TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of the colour bar, as shares of its limit
NOTABLE = 0.25  # sd: an off-target change above this is marked


@dataclass(frozen=True)
class Picture:
    """One image of the page, and the outlines over it. `values`: of its pixels; None of a difference."""

    name: str
    alt: str
    source: str
    outlines: list[tuple[str, str]]
    values: PixelValues | None


@dataclass(frozen=True)
class VariableRow:
    """One variable of the table.

    Attributes:
        asked: whether the user requested it. followed: whether it follows from the request along the graph.
        judged: the judge's factual value. All values have their category beside them, if there is one.
        reached: by method, the guide's measurement, the judge's, the change in sd, and whether it is marked.
    """

    name: str
    asked: bool
    followed: bool
    factual: str
    judged: str
    requested: str
    reached: list[tuple[str, str, str, bool]]


def view(explored: Explored, chosen: Chosen, answer: Answer, *, place: Voxel | None = None) -> str:
    """The pictures of an answer.

    Args:
        place: of a volume, where the planes that are shown meet; by default where it changed most.
    """
    planes = shown_planes(answer, chosen.case.spacing, place)
    shown = to_picture(planes)
    shape = shown(answer.image, 0.0).shape
    span = 100 / (answer.window[1] - answer.window[0])
    changes = [span * shown(one.image - answer.image, 0.0) for one in answer.readings]
    limit = colour_limit(changes)
    factual = f"Factual image, {chosen.case.id}"
    return filled(
        "view.html.j2",
        shape=shape,
        aspect=aspect(shape, None if planes else chosen.case.spacing),
        planes=for_browser(planes),
        window=answer.window,
        borders=borders(answer, shown),
        factual=picture(answer.image, answer.outlines, shown, answer.window, name="Factual", alt=factual),
        methods=[
            seen_by(one, change, limit, shown, answer)
            for one, change in zip(answer.readings, changes, strict=True)
        ],
        ticks=[typeset(f"{share * limit:+.3g}") if share else "0" for share in TICKS],
        structures=list(zip(map(in_words, answer.outlines), STRUCTURES * len(answer.outlines), strict=False)),
        unit=unit_in_words(explored.first.grid),
        asked=asked_in_words(answer),
    )


def verdicts_shown(answer: Answer, *, measuring: bool = False) -> str:
    """The verdicts of an answer; with `measuring`, that they follow."""
    first, *others = (one.verdict.notes for one in answer.readings)
    common = [note for note in first if all(note in notes for notes in others)]
    names = [*answer.factual, *answer.outlines]
    return filled(
        "verdicts.html.j2",
        measuring=measuring and bool(answer.do),
        methods=[said_of(one, answer, common) for one in answer.readings],
        notes=[] if measuring else [in_titles(note, names) for note in common],
    )


def table(explored: Explored, answer: Answer) -> str:
    """Requested and achieved values of an answer."""
    return filled(
        "table.html.j2",
        methods=[method_title(one.method) for one in answer.readings],
        rows=table_rows(answer, explored.first.space.areas),
        judged=explored.judge is not None,
        unit=unit_in_words(explored.first.grid),
    )


def said_of(one: Reading, answer: Answer, common: Sequence[str]) -> dict[str, object]:
    """A method's verdict, leakage, reach and off-target change, and the notes that are not `common` to all methods."""
    names = [*answer.factual, *answer.outlines]
    return {
        "title": method_title(one.method),
        "verdict": verdict_items(one.verdict, names) if answer.do else [],
        "notes": [in_titles(note, names) for note in one.verdict.notes if note not in common],
        "word": one.verdict.word,
        "leakage": one.leakage,
        "reach": one.verdict.reach,
        "off_target": one.off_target,
    }


def seen_by(one: Reading, change: Plane, limit: float, shown: Shown, answer: Answer) -> dict[str, object]:
    """A method's pictures."""
    name = method_title(one.method)
    difference = data_uri(png(signed(change, limit)))
    alt = f"Counterfactual by {name}"
    return {
        "title": name,
        "counterfactual": picture(one.image, one.outlines, shown, answer.window, name="Counterfactual", alt=alt),
        "difference": Picture("Difference", f"Counterfactual minus factual, {name}", difference, [], None),
    }


def verdict_items(verdict: Verdict, names: Sequence[str]) -> list[tuple[str, str]]:
    """(kind, sentence): what was reached first, then the doubts, with `names` as the page writes them."""
    lines = [("met" if one.met else "not met", one.line) for one in verdict.reached]
    doubts = [("doubt", one.text) for one in verdict.doubts if one.kind != "not met"]
    return [(kind, typeset_unit(in_titles(line, names))) for kind, line in [*lines, *doubts]]


def in_titles(text: str, names: Sequence[str]) -> str:
    """A sentence in which variables and structures have the words of the page in place of their `names`.

    >>> in_titles("lumen@mid: ask for less of soft_plaque@mid", ["lumen@mid", "soft_plaque@mid", "soft_plaque"])
    'lumen, mid: ask for less of soft plaque, mid'
    """
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf"(?<![\w@])({known})(?![\w@])", lambda found: title(found[0]), text) if names else text


def picture(
    image: np.ndarray,
    outlines: Mapping[str, np.ndarray],
    shown: Shown,
    window: tuple[float, float],
    *,
    name: str,
    alt: str,
) -> Picture:
    """A grey image, black and white as of `window`, and the outlines of its structures."""
    lines = [
        (outline(shown(mask, 0.0)), colour)
        for mask, colour in zip(outlines.values(), STRUCTURES * len(outlines), strict=False)
    ]
    plane = shown(image, window[0])
    return Picture(name, alt, data_uri(png(display_grey(plane, window))), lines, values_of_plane(plane))


def borders(answer: Answer, shown: Shown) -> list[tuple[str, bool]]:
    """The regions' borders, each once, with a mark for those of requested variables, which come last."""
    planes = {name: shown(weights, 0.0) > 0.5 for name, weights in answer.regions.items()}
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
            factual=said_value(name, answer.factual[name]),
            judged=said_value(name, answer.judge[name]) if name in answer.judge else "–",
            requested=said_value(name, answer.requested[name]) if name in moving else "–",
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
    judge = said_value(name, one.judge[name]) if one.judge else "–"
    marked = abs(moved) > NOTABLE and name not in answer.moving
    return said_value(name, one.guide[name]), judge, with_sign(moved), marked


def asked_in_words(answer: Answer) -> str:
    """The request as a sentence."""
    if not answer.do:
        return "Nothing is requested yet: move a slider."
    changes = [
        f"{title(name)} = {said_value(name, value)}, measured {said_value(name, answer.factual[name])}"
        for name, value in answer.do.items()
    ]
    return "do(" + "; ".join(changes) + ")" + ("" if answer.propagate else ", everything else held")
