"""The ratio of a measurement of one structure to the same measurement of others, such as the cardiothoracic ratio."""

from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from segue.anatomy.measurement.area import Area
from segue.anatomy.measurement.base import Dimension, Measurement, Seen
from segue.anatomy.measurement.length import Length
from segue.errors import InputError

LEAST_DIVISOR = 1e-3  # of what is divided by, in its unit


@dataclass(frozen=True)
class Ratio(Measurement):
    """The area (or, with an `axis`, the length along it) of a structure over that of the structures `to` together.

    The cardiothoracic ratio (Danzer, Am J Med Sci 1919;157:513) is the greatest transverse diameter of the heart over
    that of the chest, which is the extent of heart and lungs along the horizontal:
    `ratio: {axis: 1, to: [heart, left_lung, right_lung]}`.

    >>> import torch
    >>> heart, lungs = torch.zeros(1, 1, 2, 8), torch.ones(1, 1, 2, 8)
    >>> heart[..., 1, 2:6], lungs[..., 1, 2:6] = 1, 0
    >>> masks = torch.cat([heart, lungs], dim=1)
    >>> seen = Seen(heart, lungs * 0 + 1, heart, masks, ("heart", "lungs"), torch.ones(1), torch.ones(1, 2),
    ...     torch.zeros(1, 1))
    >>> Ratio(axis=1, to=("heart", "lungs"))(seen).tolist()
    [[0.5]]
    """

    to: tuple[str, ...]
    axis: int | None = None
    key: ClassVar[str] = "ratio"
    dimension: ClassVar[Dimension] = "share"

    def __post_init__(self) -> None:
        if not self.to:
            raise InputError("ratio.to: names no structure; name at least one")

    def reads(self) -> tuple[str, ...]:
        """Further structures whose masks it reads."""
        return self.to

    def __call__(self, seen: Seen) -> Float[Tensor, "batch row"]:
        amount = Area() if self.axis is None else Length(axis=self.axis)
        together = seen.masks[:, [seen.structures.index(name) for name in self.to]].sum(1, keepdim=True)
        whole = replace(seen, mask=together.clamp_max(1).expand_as(seen.mask))
        return amount(seen) / amount(whole).clamp_min(LEAST_DIVISOR)
