"""An Agatston-like calcium score of a structure in a region."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy.measurement.base import Dimension, Measurement, Seen, total
from segue.errors import InputError

CALCIUM = 130.0
"""HU from which tissue counts as calcium; its density factor is 1."""
DENSER = (200.0, 300.0, 400.0)
"""Peaks in HU, at each of which the density factor is one more."""
HU_SOFTNESS = 5.0
"""HU: of every threshold, and of the peak, so that all have a gradient."""
SLICE = 3.0
"""mm: the thickness of the slices for which the score was defined."""


@dataclass(frozen=True)
class Agatston(Measurement):
    """(slice / 3 mm) * area of calcium from 130 HU on * density factor: 1 to 4 by a peak from 130, 200, 300, 400 HU.

    Agatston et al., J Am Coll Cardiol 1990;15:827. There, a score is the sum over axial slices of 3 mm and over lesions
    of 1 mm2 and more, without contrast agent. Here a lesion is what there is of the structure in the region, and in 3-D
    the area times the slice is its volume. docs/measurements.md has the limits.

    Args:
        window: HU of the intensities that the network sees as -1 and 1: the study's `intensity`.
        slice: thickness of the slice, mm; of volumes the spacing is known, and it is not read.

    >>> s, hu = torch.tensor([[[[1.0, 1.0, 1.0, 0.0]]]]), torch.tensor([[[[350.0, 250.0, 20.0, 900.0]]]])
    >>> seen = Seen(s, torch.ones_like(s), hu / 500 - 1, s, ("calcium",), torch.tensor([0.5]), torch.ones(1, 2),
    ...     torch.zeros(1, 1))
    >>> Agatston(window=(0.0, 1000.0), slice=1.5)(seen).tolist()  # half a slice, 1 mm2, a factor of 3
    [[1.5...]]
    """

    window: tuple[float, float]
    slice: float = SLICE
    key: ClassVar[str] = "agatston"
    dimension: ClassVar[Dimension] = "score"

    def __post_init__(self) -> None:
        if len(self.window) != 2 or not self.window[0] < self.window[1]:
            raise InputError(f"agatston.window: {list(self.window)} is no range; give the HU of the study's intensity")
        if self.slice <= 0:
            raise InputError(f"agatston.slice: {self.slice:g} is no thickness; give mm above 0")

    def __call__(self, seen: Seen) -> Float[Tensor, "batch row"]:
        low, high = self.window
        hu = low + (high - low) * (seen.image.mean(1, keepdim=True) + 1) / 2
        calcium = seen.inside * over(hu, CALCIUM)
        peak = soft_peak(hu, seen.inside)
        factor = 1 + torch.stack([over(peak, start) for start in DENSER]).sum(0)
        slices = (1.0 if seen.spacing.shape[1] == 3 else self.slice) / SLICE
        return slices * seen.pixel_area[:, None] * total(calcium) * factor


def over(hu: Tensor, start: float) -> Tensor:
    """1 well above a threshold, 0 well below it, 1/2 at it.

    >>> over(torch.tensor([100.0, 130.0, 160.0]), 130.0).round(decimals=2).tolist()
    [0.0, 0.5, 1.0]
    """
    return torch.sigmoid((hu - start) / HU_SOFTNESS)


def soft_peak(hu: Float[Tensor, "batch 1 *space"], share: Float[Tensor, "batch row *space"]) -> Tensor:
    """The soft maximum of what the pixels have above 130 HU, each as far as it is of a share; in HU: (batch, row).

    >>> soft_peak(torch.tensor([[[[10.0, 300.0, 900.0]]]]), torch.tensor([[[[1.0, 1.0, 0.0]]]])).tolist()
    [[300.0]]
    """
    excess = (share * (hu - CALCIUM)).flatten(2)
    return CALCIUM + (torch.softmax(excess / HU_SOFTNESS, dim=2) * excess).sum(2)
