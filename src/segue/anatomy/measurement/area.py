"""The area of a structure in a region, in 3-D its volume."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from segue.anatomy.measurement.base import Dimension, Measurement, Seen, total


@dataclass(frozen=True)
class Area(Measurement):
    """a = pixel_area * sum_i w(i) s(i). It is the variable `structure@region`, without a further name.

    >>> import torch
    >>> s, w = torch.ones(1, 1, 1, 4), torch.tensor([[[[1.0, 1.0, 0.5, 0.0]]]])
    >>> Area()(Seen(s, w, s, s, ("a",), torch.tensor([0.25]), torch.ones(1, 2), torch.zeros(1, 1))).tolist()
    [[0.625]]
    """

    key: ClassVar[str] = "area"
    dimension: ClassVar[Dimension] = "area"

    def __call__(self, seen: Seen) -> Float[Tensor, "batch row"]:
        return area_of(seen.inside, seen.pixel_area)


def area_of(
    inside: Float[Tensor, "batch row *space"], pixel_area: Float[Tensor, " batch"]
) -> Float[Tensor, "batch row"]:
    """pixel_area * sum_i inside(i), where `inside` is the product of masks and regions.

    Product and sum rather than a matrix product, which autocast would round to 16 bits.

    >>> import torch
    >>> area_of(torch.ones(1, 1, 2, 3), torch.tensor([0.5])).tolist()
    [[3.0]]
    """
    return pixel_area[:, None] * total(inside)
