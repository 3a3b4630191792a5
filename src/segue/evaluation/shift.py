"""Other scanners, imitated: a fixed list of changes to raw images, and to masks where the field of view changes.

A study is judged on its own test images under one of them: what a method loses where brightness, tone, sharpness, noise
or field of view are not those that it was trained on.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from segue.cohort.window import percentile_window, scaled, unscaled
from segue.training.augment import smoothed, toned, warp

__all__ = ["SHIFTS", "Shift", "shifted"]

BLUR = 1 / 96  # sd of the Gaussian, as a share of the longer side: a pixel of 96
NOISE = 0.05  # sd of white noise, as a share of the image's range


@dataclass(frozen=True)
class Shift:
    """What is done to an image.

    Attributes:
        title: for tables and documentation.
        change: of intensities; the image's own range, from its darkest to its brightest pixel, is [-1, 1] here.
        kept: share of each side that is left of the field of view, around its centre.

    >>> SHIFTS["darker"].change(torch.tensor([0.5]))
    tensor([0.])
    """

    title: str
    change: Callable[[Tensor], Tensor] = lambda x: x
    kept: float = 1.0


def widely_blurred(x: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *space"]:
    """A Gaussian blur whose standard deviation is a share of the longer side."""
    return smoothed(x, torch.full((len(x),), BLUR * max(x.shape[2:]), device=x.device))


SHIFTS: dict[str, Shift] = {
    "gamma_0.6": Shift("gamma 0.6, lighter middle tones", lambda x: toned(x, 0.6)),
    "gamma_1.6": Shift("gamma 1.6, darker middle tones", lambda x: toned(x, 1.6)),
    "half_contrast": Shift("half of the contrast, about the middle of the range", lambda x: x / 2),
    "darker": Shift("darker by a quarter of the range", lambda x: x - 0.5),
    "blurred": Shift("Gaussian blur, sd 1/96 of the longer side", widely_blurred),
    "noisy": Shift("white noise, sd 5% of the range", lambda x: x + 2 * NOISE * torch.randn_like(x)),
    "cropped": Shift("the central 90% of each side, resized", kept=0.9),
}


def shifted(
    shift: Shift, raw: Float[Tensor, "batch channel *space"], fractions: Float[Tensor, "batch structure *space"]
) -> tuple[Float[Tensor, "batch channel *space"], Float[Tensor, "batch structure *space"]]:
    """Raw images and their masks as the shift leaves them, on the same grid.

    Args:
        raw: in the source's units. fractions: share of each pixel that each structure covers.

    >>> raw = torch.tensor([[[[0.0, 50.0, 100.0]]]])
    >>> shifted(SHIFTS["half_contrast"], raw, torch.zeros_like(raw))[0]
    tensor([[[[25., 50., 75.]]]])
    """
    window = percentile_window(raw, (0.0, 100.0))
    changed = unscaled(shift.change(scaled(raw, window)), window)
    if shift.kept == 1.0:
        return changed, fractions
    dims = raw.ndim - 2
    affine = shift.kept * torch.eye(dims, dims + 1).expand(len(raw), -1, -1)
    return warp(changed, affine, sharp=True), warp(fractions, affine)
