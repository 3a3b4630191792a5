"""What may be asked of a variable: an absolute value, a change, or a quantile of the training marginal."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from segue.errors import InputError, nearest

Request = float | int | str | Tensor
Kind = Literal["value", "percent", "sd", "quantile"]
NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
FORMS: dict[Kind, re.Pattern[str]] = {
    "percent": re.compile(rf"^{NUMBER}\s*%$"),
    "sd": re.compile(rf"^{NUMBER}\s*sd$"),
    "quantile": re.compile(rf"^q\s*{NUMBER}$"),
    "value": re.compile(rf"^{NUMBER}$"),
}


@dataclass(frozen=True)
class Intervention:
    """do(variable = ...): `amount` is in the variable's unit, in percent or sd of change, or a quantile's level."""

    kind: Kind
    amount: float

    def apply(
        self, factual: Float[Tensor, " batch"], *, sd: Float[Tensor, ""], marginal: Float[Tensor, " sample"]
    ) -> Float[Tensor, " batch"]:
        """The requested values, from the factual ones, the training sd and the sorted training values."""
        if self.kind == "percent":
            return factual * (1 + self.amount / 100)
        if self.kind == "sd":
            return factual + self.amount * sd
        if self.kind == "quantile":
            return marginal.quantile(self.amount).expand_as(factual)
        return factual.new_full(factual.shape, self.amount)


def parse(name: str, request: float | int | str) -> Intervention:
    """Read a request: `4.2` (absolute, in the variable's unit), `"+20%"`, `"-1.5sd"`, or `"q0.9"` (a quantile)."""
    text = str(request).strip()
    for kind, form in FORMS.items():
        if found := form.match(text):
            amount = float(found.group(1))
            if math.isfinite(amount) and (kind != "quantile" or 0 <= amount <= 1):
                return Intervention(kind, amount)
    raise InputError(
        f"do({name} = {request!r}): give a value (4.2), a change ('+20%', '-1.5sd') or a quantile ('q0.9', 0 to 1)"
    )


def position(name: str, names: tuple[str, ...]) -> int:
    """The index of variable `name`; InputError naming the nearest ones where there is none."""
    if name in names:
        return names.index(name)
    raise InputError(f"unknown variable {name!r}{nearest(name, names)}")
