"""The request: one slider for each structure x region, in its unit, one row for each structure."""

import json
import math
from dataclasses import dataclass

from segue.causal.request import Intervention
from segue.engine.model import Model
from segue.explorer.asking import Areas, training_range
from segue.explorer.markup import filled
from segue.text import in_words, typeset, typeset_unit

CHANGES = ("+50%", "-50%", "+100%", "q0.05", "q0.5", "q0.95")
IN_WORDS = {"q0.05": "5% quantile of", "q0.5": "median of", "q0.95": "95% quantile of"}


@dataclass(frozen=True)
class Slider:
    """One variable. `start`: its factual value, rounded to `step`. `trained`: its range in the training data."""

    name: str
    label: str
    part: str
    unit: str
    start: float
    low: float
    high: float
    step: float
    trained: tuple[float, float]

    def share(self, value: float) -> float:
        """The position of a value on the slider, in percent."""
        return round(100 * min(max((value - self.low) / (self.high - self.low), 0), 1), 2)

    def shown(self, value: float) -> str:
        """A value with the decimals of the step."""
        return f"{value:.{digits(self.step)}f}"


def sliders(model: Model, factual: Areas) -> list[Slider]:
    """One slider for each variable, covariates last."""
    found = []
    for i, name in enumerate(model.variables):
        measured = i < len(model.parents.variables)
        low, high = training_range(model, i)
        margin = 0.25 * max(high - low, float(model.parents.sd[i]))
        start = factual[name]
        bottom = 0.0 if measured else min(low - margin, start)
        top = max(high + margin, start + margin)
        step = 10.0 ** math.floor(math.log10((top - bottom) / 100))
        found.append(
            Slider(
                name=name,
                label=title(name),
                part=in_words(name.partition("@")[2] or name),
                unit=typeset_unit(model.grid.unit) if measured else "",
                start=round(start, digits(step)),
                low=math.floor(bottom / step) * step,
                high=math.ceil(top / step) * step,
                step=step,
                trained=(low, high),
            )
        )
    return found


def panel_rows(model: Model, found: list[Slider]) -> list[tuple[str, list[Slider]]]:
    """Rows of (structure, sliders of its regions), and one row of the covariates."""
    variables = model.parents.variables
    rows = [(in_words(structure), found[span]) for structure, span in variables.spans.items()]
    covariates = found[len(variables) :]
    return [*rows, ("covariates", covariates)] if covariates else rows


def presets(model: Model, found: list[Slider]) -> list[tuple[str, str]]:
    """Common requests as (label, values in JSON): each structure in all its regions, and each variable on its own."""
    offered: list[tuple[str, dict[str, float]]] = []
    for structure, span in model.parents.variables.spans.items():
        for change in CHANGES[:2]:
            values = {slider.name: preset_value(model, slider, change) for slider in found[span]}
            offered.append((f"{change} {in_words(structure)}, everywhere", values))
    for slider in found[: len(model.parents.variables)]:
        offered += [
            (f"{IN_WORDS.get(change, change)} {slider.label}", {slider.name: preset_value(model, slider, change)})
            for change in CHANGES
        ]
    return [(typeset(label), json.dumps(values)) for label, values in offered]


def preset_value(model: Model, slider: Slider, change: str) -> float:
    """The value that a change requests, rounded to the slider's step."""
    i = model.variables.index(slider.name)
    factual = model.space.marginal.new_tensor([slider.start])
    value = Intervention.parse(slider.name, change).apply(factual, sd=model.parents.sd[i], marginal=model.space.marginal[:, i])
    return round(float(value[0]), digits(slider.step))


def panel(model: Model, factual: Areas) -> str:
    """The sliders as HTML, at the factual values."""
    found = sliders(model, factual)
    return filled("panel.html.j2", rows=panel_rows(model, found), presets=presets(model, found))


def digits(step: float) -> int:
    """The number of decimals of a step."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def title(name: str) -> str:
    """`calcified_plaque@mid` as "calcified plaque, mid"."""
    return ", ".join(in_words(part) for part in name.split("@"))
