"""The request: one slider for each structure x region, in its unit, laid out as the anatomy lies."""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from segue.causal.intervention import parse
from segue.engine.model import Model
from segue.explorer.asking import Areas, training_range
from segue.text import typeset, typeset_unit

HERE = Path(__file__).parent
CHANGES = ("+50%", "-50%", "+100%", "q0.05", "q0.5", "q0.95")
IN_WORDS = {"q0.05": "5% quantile of", "q0.5": "median of", "q0.95": "95% quantile of"}


@dataclass(frozen=True)
class Slider:
    """One variable's range. `start` is what was measured, to the slider's step; `trained` the training range."""

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
        """Where a value lies on the slider, in percent."""
        return round(100 * min(max((value - self.low) / (self.high - self.low), 0), 1), 2)

    def shown(self, value: float) -> str:
        return f"{value:.{digits(self.step)}f}"


def sliders(model: Model, factual: Areas) -> list[Slider]:
    """One for each variable, covariates last."""
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
                part=name.partition("@")[2] or name,
                unit=typeset_unit(model.unit) if measured else "",
                start=round(start, digits(step)),
                low=math.floor(bottom / step) * step,
                high=math.ceil(top / step) * step,
                step=step,
                trained=(low, high),
            )
        )
    return found


def rows(model: Model, found: list[Slider]) -> list[tuple[str, list[Slider]]]:
    """A structure and its regions' sliders, row by row; covariates in a row of their own."""
    variables = model.parents.variables
    laid = [(words(structure), found[span]) for structure, span in variables.spans.items()]
    given = found[len(variables) :]
    return [*laid, ("covariates", given)] if given else laid


def presets(model: Model, found: list[Slider]) -> list[tuple[str, str]]:
    """What is often asked, in words, and its values as JSON: each variable changed, each structure in all regions."""
    offered: list[tuple[str, dict[str, float]]] = []
    for structure, span in model.parents.variables.spans.items():
        for change in CHANGES[:2]:
            offered.append(
                (f"{change} {words(structure)}, everywhere", {s.name: asked(model, s, change) for s in found[span]})
            )
    for slider in found[: len(model.parents.variables)]:
        offered += [
            (f"{IN_WORDS.get(change, change)} {slider.label}", {slider.name: asked(model, slider, change)})
            for change in CHANGES
        ]
    return [(typeset(label), json.dumps(values)) for label, values in offered]


def asked(model: Model, slider: Slider, change: str) -> float:
    """The value that a change asks for, to the slider's step."""
    i = model.variables.index(slider.name)
    factual = model.marginal.new_tensor([slider.start])
    value = parse(slider.name, change).apply(factual, sd=model.parents.sd[i], marginal=model.marginal[:, i])
    return round(float(value[0]), digits(slider.step))


def panel(model: Model, factual: Areas) -> str:
    """The sliders as HTML, at what was measured."""
    found = sliders(model, factual)
    template = templates().get_template("panel.html.j2")
    return template.render(rows=rows(model, found), presets=presets(model, found))


@cache
def templates() -> Environment:
    """HTML with everything escaped that was not written here."""
    return Environment(
        loader=PackageLoader("segue.explorer"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def digits(step: float) -> int:
    """Decimals that a step has."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def words(name: str) -> str:
    return name.replace("_", " ")


def title(name: str) -> str:
    """`calcified_plaque@mid` as "calcified plaque, mid"."""
    return ", ".join(words(part) for part in name.split("@"))
