"""What requests ask of images, and the values that no image can have."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float

from segue.anatomy import measurement_of
from segue.causal.request import Request, unbounded
from segue.errors import InputError
from segue.text import in_digits, shortened

if TYPE_CHECKING:
    from segue.engine.model import Model

FARTHEST = 100.0
"""How far outside the training range a covariate, or what is no area, may be asked, in sd."""


def requested_parents(
    model: "Model",
    requests: Sequence[Request],
    pa: Float[torch.Tensor, "row variable"],
    pixel_area: Float[torch.Tensor, " row"],
) -> Float[torch.Tensor, "row variable"]:
    """pa* of each row as its request is written: an area may be below 0, which the engine clamps and says.

    Raises:
        InputError: as of `segue.causal.request.resolve`, or a value that no image can have.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> requested_parents(model, [Request({"lumen@mid": 1e30})], torch.ones(1, 9), torch.ones(1))
    Traceback (most recent call last):
    segue.errors.InputError: lumen@mid: 1e+30 cannot be asked; give a value from 0 to 6,912
    """
    target = unbounded(requests, pa, model.space)
    ends = [possible(model, name, 1.0) for name in model.space.names]
    low, high = torch.tensor(ends, dtype=torch.float64).to(pixel_area.device).T
    scale = torch.ones_like(target, dtype=torch.float64)
    scale[:, [is_area_variable(name) for name in model.space.names]] = pixel_area[:, None].double()
    wrong = ~((low * scale <= target) & (target <= high * scale)) & (target != pa)
    for row, column in wrong.nonzero().tolist():
        raise InputError(_refusal(model, requests[row], column, float(target[row, column]), float(pixel_area[row])))
    return target


def _refusal(model: "Model", request: Request, column: int, value: float, pixel_area: float) -> str:
    """What is wrong with a value that no image can have, asked for or following from what is asked for."""
    name = model.space.names[column]
    low, high = possible(model, name, pixel_area)
    low = max(low, float(model.space.least[column]))
    if name in request.do:
        return beyond_range(name, request.do[name], low, high)
    return f"{beyond_range(name, in_digits(value), low, high)} (it follows from do({', '.join(request.do)}))"


def beyond_range(name: str, asked: object, low: float, high: float) -> str:
    """The message about a value outside of what can be asked.

    >>> beyond_range("age", "+200sd", 20.0, 90.0)
    'age: +200sd cannot be asked; give a value from 20.0 to 90.0'
    """
    return f"{name}: {shortened(str(asked))} cannot be asked; give a value from {in_digits(low)} to {in_digits(high)}"


def possible(model: "Model", name: str, pixel_area: float) -> tuple[float, float]:
    """The values that may be asked: of an area none larger than the image; less than 0 is clamped.

    Of other variables, none farther than `FARTHEST` from the training range, and none that the measurement cannot have.

    >>> import segue
    >>> possible(segue.load("coronary-phantom"), "lumen@mid", 1.0)
    (-6912.0, 6912.0)
    """
    if is_area_variable(name):
        whole = pixel_area * model.grid.pixels
        return -whole, whole
    low, high = model.space.training_range(name)
    margin = FARTHEST * float(model.parents.sd[model.space.index(name)])
    most = measurement_of(name).most if name in model.space.areas else math.inf
    return low - margin, min(high + margin, most)


def is_area_variable(name: str) -> bool:
    """Whether a variable is the area of a structure in a region; covariates are not.

    >>> is_area_variable("lumen@mid"), is_area_variable("lumen@mid:stenosis"), is_area_variable("age")
    (True, False, False)
    """
    return "@" in name and measurement_of(name).dimension == "area"
