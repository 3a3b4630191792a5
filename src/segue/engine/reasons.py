"""Why an image is unlike the training images, where no mend is known: one sentence for each kind of reason."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from segue.anatomy import measurement_of, variable_unit
from segue.cohort.grid import Grid
from segue.engine.image_statistics import AREA, POSE, outer
from segue.engine.mends import lies_in
from segue.engine.typical import Typical

__all__ = ["INTENSITY", "constant", "reasons", "usual_intensities"]

if TYPE_CHECKING:
    from segue.engine.model import Model

INTENSITY = ("dark", "bright", "contrast")
KINDS = (
    INTENSITY,
    ("even", "sharpness", "grain"),
    ("layout", POSE),
    (AREA, "uncertainty", "disagreement", "likelihood"),
)
"""Statistics, or how their names begin, of one kind: the most unusual is said."""
CONSTANT = 0.98  # share of pixels that equal their neighbour, from which on an image is empty
SAID = {
    "even": ("", "more of the image is blank or clipped than of training images: crop borders, do not clip"),
    "sharpness": (
        "the image is smoother than training images: give it at its own resolution, not blurred",
        "the image is noisier or sharper than training images: give it as it was made, at its own resolution",
    ),
    "layout": ("", "bright and dark lie otherwise than in training images: check body part, orientation and crop"),
    "uncertainty": (
        "the guide is more certain than on training images: check that the image shows the anatomy",
        "the guide is less certain of its masks than on training images: do not trust the measured areas",
    ),
    "disagreement": ("", "guide and ensemble disagree more than on training images: do not trust the measured areas"),
    "likelihood": (
        "the image model finds the image less likely than training images: check that it is the same kind of image",
        "the image model finds the image likelier than training images: check that it shows all of the anatomy",
    ),
}
"""Of a statistic below its usual range, and above it."""
SAID |= {"grain": SAID["sharpness"], POSE: SAID["layout"]}


def constant(raw: Float[Tensor, "1 channel *space"], even: float) -> str | None:
    """What is said of an image that shows nothing; None where it shows something.

    >>> import torch
    >>> constant(torch.zeros(1, 1, 4, 4), 1.0)
    'the image is nearly constant (all pixels are 0): is it empty?'
    """
    if even < CONSTANT:
        return None
    low, high = raw.amin().item(), raw.amax().item()
    held = f"all pixels are {low:.4g}" if low == high else f"{even:.1%} of its pixels equal their neighbour"
    return f"the image is nearly constant ({held}): is it empty?"


def usual_intensities(typical: Typical, grid: Grid) -> tuple[float, float]:
    """The raw values between which the intensities of the cohort's images lie."""
    low, _, _ = typical.usual["dark"]
    _, _, high = typical.usual["bright"]
    return grid.intensity.usual[0] + grid.span * low, grid.intensity.usual[0] + grid.span * high


def reasons(
    raw: Float[Tensor, "1 channel *space"],
    found: Mapping[str, float],
    excess: Mapping[str, float],
    typical: Typical,
    model: "Model",
) -> list[str]:
    """One sentence for each kind of statistic of which one is unusual.

    Args:
        raw: one image. found: its statistics. excess: how far each is beyond its limit; above 1 it is unusual.
    """
    said = []
    for kind in KINDS:
        name = max((name for name in excess if name.startswith(kind)), key=excess.__getitem__)
        if excess[name] > 1:
            said.append(sentence(raw, name, found[name], typical, model))
    return said


def sentence(
    raw: Float[Tensor, "1 channel *space"], name: str, value: float, typical: Typical, model: "Model"
) -> str:
    """What is said of an unusual value of a statistic."""
    if name in INTENSITY:
        usual, (low, high) = usual_intensities(typical, model.grid), outer(raw)[0].tolist()
        inside = usual[0] <= low and high <= usual[1]
        span = f"intensities fill only [{low:.4g}, {high:.4g}] of the training images' [{usual[0]:.4g}, {usual[1]:.4g}]"
        return f"{span if inside else lies_in(raw, usual)}: give them as the cohort has them"
    if name.startswith(AREA):
        return said_of_area(name.removeprefix(AREA), value, typical.usual[name], model)
    below, above = next(texts for start, texts in SAID.items() if name.startswith(start))
    return above if value > typical.usual[name][1] else below


def said_of_area(variable: str, value: float, usual: tuple[float, float, float], model: "Model") -> str:
    """What is said of a measured area.

    Args:
        value, usual: in standard deviations from the mean.
    """
    parents, column = model.parents, model.variables.index(variable)
    mean, sd = parents.mean[column].item(), parents.sd[column].item()
    least, named = measurement_of(variable).least, variable_unit(variable, model.grid.unit)
    area, low, high = (max(least, mean + sd * one) for one in (value, usual[0], usual[2]))
    unit = f" {named}" if named else ""
    return (
        f"the guide measures {variable} as {area:,.4g}{unit}, and {low:,.4g} to {high:,.4g} in training "
        "images: check that the image shows the same anatomy in the same field of view"
    )
