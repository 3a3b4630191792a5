"""The length of a structure in a region, along an axis."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from segue.anatomy.measurement.base import Dimension, Measurement, Seen
from segue.anatomy.measurement.width import presence


@dataclass(frozen=True)
class Length(Measurement):
    """The length of the structure's projection onto `axis`: the sum over its positions of the largest share across.

    Of a lesion it is the length along the vessel; of the heart along the horizontal, its transverse diameter.

    >>> import torch
    >>> s = torch.tensor([[[[0.0, 1.0, 0.5, 0.0], [0.0, 0.0, 1.0, 0.5]]]])
    >>> seen = Seen(s, torch.ones_like(s), s, s, ("a",), torch.ones(1), torch.ones(1, 2), torch.zeros(1, 1))
    >>> Length(axis=1)(seen).tolist()
    [[2.5]]
    """

    axis: int
    key: ClassVar[str] = "length"
    dimension: ClassVar[Dimension] = "length"

    def __call__(self, seen: Seen) -> Float[Tensor, "batch row"]:
        return presence(seen.inside, self.axis).sum(2) * seen.spacing[:, self.axis, None]
