"""The mean width of a structure in a region, across an axis."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from segue.anatomy.measurement.base import Dimension, Measurement, Seen
from segue.anatomy.measurement.width import as_width, presence, sections

SHORTEST = 1e-6  # pixels of length; where there is nothing, the width is 0


@dataclass(frozen=True)
class MeanWidth(Measurement):
    """The mean section over the positions along `axis` at which the structure is there: area over length.

    In 3-D, the diameter of the disc of the mean section.

    >>> import torch
    >>> s = torch.tensor([[[[0.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]]])
    >>> seen = Seen(s, torch.ones_like(s), s, s, ("a",), torch.ones(1), torch.ones(1, 2), torch.zeros(1, 1))
    >>> MeanWidth(axis=1)(seen).tolist()
    [[2.5]]
    """

    axis: int
    key: ClassVar[str] = "mean_width"
    dimension: ClassVar[Dimension] = "length"

    def __call__(self, seen: Seen) -> Float[Tensor, "batch row"]:
        positions = presence(seen.inside, self.axis).sum(2)
        section = sections(seen, self.axis).sum(2) / positions.clamp_min(SHORTEST)
        return as_width(section, seen.spacing.shape[1])
