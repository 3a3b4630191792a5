"""The diameter stenosis of a vessel in a region."""

import math
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from segue.anatomy.measurement.base import Dimension, Measurement, Seen
from segue.anatomy.measurement.categories import Categories
from segue.anatomy.measurement.mean_width import MeanWidth
from segue.anatomy.measurement.min_width import MinWidth
from segue.anatomy.measurement.width import across

CAD_RADS = Categories(
    "cad_rads",
    "CAD-RADS",
    names=("0", "1", "2", "3", "4", "5"),
    ranges=("0%", "1-24%", "25-49%", "50-69%", "70-99%", "100%"),
    starts=(0.005, 0.245, 0.495, 0.695, 0.995),
    points=100.0,
    unit="points",
    source="CAD-RADS 2.0 (Cury et al., J Cardiovasc Comput Tomogr 2022); of one region, and not of a patient",
)
"""Percentages are rounded to whole ones, as they are reported. Category 4 is not divided into 4A and 4B, which depends
on the number of vessels. One vessel makes no CAD-RADS of a patient."""


@dataclass(frozen=True)
class Stenosis(Measurement):
    """1 - (smallest width in the region) / (mean width of the neighbouring regions, averaged).

    The reference of a diameter stenosis is the vessel proximal and distal of the lesion (Leipsic et al., J Cardiovasc
    Comput Tomogr 2014;8:342; CAD-RADS 2.0: Cury et al., J Cardiovasc Comput Tomogr 2022;16:536). A region at the
    vessel's end has one neighbour, and where the vessel tapers a value that is too high or below 0. The value is
    negative where the region is wider than its neighbours. A reference below one pixel counts as one pixel.

    >>> import torch
    >>> s = torch.zeros(1, 1, 8, 3)
    >>> s[..., :8, 0], s[..., :3, 1], s[..., :4, 2] = 1, 1, 1
    >>> weights = torch.eye(3)[None, :, None].expand(1, 3, 8, 3)
    >>> beside = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    >>> seen = Seen(s.expand(1, 3, 8, 3), weights, s, s, ("a",), torch.ones(1), torch.ones(1, 2), beside)
    >>> round(Stenosis(axis=1)(seen)[0, 1].item(), 3)
    0.5
    """

    axis: int
    key: ClassVar[str] = "stenosis"
    dimension: ClassVar[Dimension] = "share"
    least: ClassVar[float] = -math.inf
    most: ClassVar[float] = 1.0
    neighbours: ClassVar[bool] = True
    categories: ClassVar[Categories | None] = CAD_RADS

    def __call__(self, seen: Seen) -> Float[Tensor, "batch row"]:
        _, pixel = across(seen, self.axis)
        least = pixel ** (1 / (seen.spacing.shape[1] - 1))
        widths = MeanWidth(self.axis)(seen)
        reference = (seen.neighbours.to(widths) * widths[:, None]).sum(2)  # autocast rounds matrix products
        return 1 - MinWidth(self.axis)(seen) / reference.maximum(least)
