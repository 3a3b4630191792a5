"""What requests ask of images, and the values that no image can have."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float

from segue.causal.request import Request, unbounded
from segue.errors import InputError
from segue.text import in_digits

if TYPE_CHECKING:
    from segue.engine.model import Model

FARTHEST = 100.0
"""How far outside the training range a covariate may be asked, in sd."""


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
    for row, request in enumerate(requests):
        for name, text in request.do.items():
            low, high = possible(model, name, float(pixel_area[row]))
            if not low <= float(target[row, model.space.index(name)]) <= high:
                least = max(low, 0.0) if name in model.space.areas else low
                ends = f"{in_digits(least)} to {in_digits(high)}"
                raise InputError(f"{name}: {text} cannot be asked; give a value from {ends}")
    return target


def possible(model: "Model", name: str, pixel_area: float) -> tuple[float, float]:
    """The values that may be asked: of an area none larger than the image; less than 0 is clamped.

    >>> import segue
    >>> possible(segue.load("coronary-phantom"), "lumen@mid", 1.0)
    (-6912.0, 6912.0)
    """
    if name in model.space.areas:
        whole = pixel_area * model.grid.pixels
        return -whole, whole
    low, high = model.space.training_range(name)
    margin = FARTHEST * float(model.parents.sd[model.space.index(name)])
    return low - margin, high + margin
