"""The request: one slider for each structure x region, in its unit, one row for each structure."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from segue.anatomy import measurement_of, variable_unit
from segue.causal.request import Intervention
from segue.cohort.grid import Grid
from segue.engine.asked import possible
from segue.engine.model import Model
from segue.engine.verdict import SMALLEST_CHANGE
from segue.explorer.asking import Answer, training_range
from segue.explorer.markup import filled
from segue.explorer.models import Chosen
from segue.text import in_digits, in_words, typeset, typeset_unit

CHANGES = ("+50%", "-50%", "+100%", "q0.05", "q0.5", "q0.95")
IN_WORDS = {"q0.05": "5% quantile of", "q0.5": "median of", "q0.95": "95% quantile of"}


@dataclass(frozen=True)
class Slider:
    """One variable.

    Attributes:
        start: its factual value, rounded to `step`. trained: its range in the training data. slack: what is no farther
        outside counts as inside, as in the verdict.
        possible: the values that may be asked.
    """

    name: str
    label: str
    part: str
    unit: str
    start: float
    low: float
    high: float
    step: float
    trained: tuple[float, float]
    slack: float
    possible: tuple[float, float]

    def share(self, value: float) -> float:
        """The position of a value on the slider, in percent."""
        return round(100 * min(max((value - self.low) / (self.high - self.low), 0), 1), 2)

    def shown(self, value: float) -> str:
        """A value with the decimals of the step, for an input."""
        return f"{value:.{digits(self.step)}f}"

    def said(self, value: float) -> str:
        """The same for a reader."""
        return typeset(f"{value:,.{digits(self.step)}f}")


def sliders(model: Model, factual: Mapping[str, float], pixel_area: float) -> list[Slider]:
    """One slider for each variable, covariates last."""
    found = []
    for i, name in enumerate(model.variables):
        low, high = training_range(model, i)
        margin = 0.25 * max(high - low, float(model.parents.sd[i]))
        start = factual[name]
        bottom = max(min(low - margin, start), least) if (least := floor_of(name)) else 0.0
        allowed = possible(model, name, pixel_area)
        top = min(max(high + margin, start + margin), allowed[1])
        step = 10.0 ** math.floor(math.log10((top - bottom) / 100))
        found.append(
            Slider(
                name=name,
                label=title(name),
                part=in_words((name.partition("@")[2] or name).replace(":", ", ")),
                unit=typeset_unit(variable_unit(name, model.grid.unit)),
                start=round(start, digits(step)),
                low=math.floor(bottom / step) * step,
                high=math.ceil(top / step) * step,
                step=step,
                trained=(low, high),
                slack=SMALLEST_CHANGE * float(model.space.sd[i]),
                possible=allowed,
            )
        )
    return found


def panel_rows(model: Model, found: list[Slider]) -> list[tuple[str, list[Slider]]]:
    """Rows of (structure, sliders of its regions), and one row of the covariates."""
    variables = model.parents.variables
    rows = [(in_words(structure), found[span]) for structure, span in variables.spans.items()]
    covariates = found[len(variables) :]
    return [*rows, ("covariates", covariates)] if covariates else rows


def presets(model: Model, found: list[Slider]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Common requests, in one group a structure: (label, values in JSON) of all its regions, then of each variable."""
    groups = []
    for structure, span in model.parents.variables.spans.items():
        name, offered = in_words(structure), list[tuple[str, dict[str, float]]]()
        if len(found[span]) > 1:
            for change in CHANGES[:2]:
                values = {slider.name: preset_value(model, slider, change) for slider in found[span]}
                offered.append((f"{change} {name}, everywhere", values))
        for slider in found[span]:
            offered += [
                (f"{IN_WORDS.get(change, change)} {slider.label}", {slider.name: preset_value(model, slider, change)})
                for change in CHANGES
            ]
        groups.append((name, [(typeset(label), json.dumps(values)) for label, values in offered]))
    return groups


def preset_value(model: Model, slider: Slider, change: str) -> float:
    """The value that a change requests, rounded to the slider's step."""
    i = model.variables.index(slider.name)
    space = model.space
    factual = space.marginal.new_tensor([slider.start])
    value = Intervention.parse(slider.name, change).apply(factual, sd=space.sd[i], marginal=space.marginal[:, i])
    return round(float(value[0]), digits(slider.step))


def on_steps(model: Model, chosen: Chosen, asked: Answer) -> dict[str, float]:
    """The values that are asked, rounded to the sliders' steps."""
    found = sliders(model, asked.factual, model.grid.area(chosen.case.spacing))
    return {one.name: round(asked.do[one.name], digits(one.step)) for one in found if one.name in asked.do}


def panel(model: Model, chosen: Chosen, answer: Answer) -> str:
    """The sliders of an image as HTML, at its factual values."""
    found = sliders(model, answer.factual, model.grid.area(chosen.case.spacing))
    rows, offered = panel_rows(model, found), presets(model, found)
    # an upload has no id that a link could name
    image = "" if chosen.index is None else chosen.case.id
    asked = {"key": chosen.key, "image": image, "do": json.dumps(answer.do)}
    return filled("panel.html.j2", rows=rows, presets=offered, said=in_digits, **asked)


def digits(step: float) -> int:
    """The number of decimals of a step."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def title(name: str) -> str:
    """`calcified_plaque@mid` as "calcified plaque, mid", `lumen@mid:stenosis` as "lumen, mid, stenosis"."""
    return ", ".join(in_words(part) for part in re.split("[@:]", name))


def floor_of(name: str) -> float:
    """The smallest value of a variable; -inf of covariates."""
    return measurement_of(name).least if "@" in name else -math.inf


def unit_in_words(grid: Grid) -> str:
    """The unit of an area; of pixels with the grid that they are of.

    >>> unit_in_words(Grid((96, 80))), unit_in_words(Grid((4, 8), unit="mm2"))
    ('px of 96 × 80', 'mm²')
    """
    return f"px of {' × '.join(map(str, grid.size))}" if grid.unit == "px" else typeset_unit(grid.unit)
