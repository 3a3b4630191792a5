"""A measurement: a number for each structure in each region, from soft masks and image, with a gradient to both."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from segue.anatomy.measurement.categories import Categories

__all__ = ["Dimension", "Measurement", "Seen"]

Dimension = Literal["area", "length", "share", "score"]
"""What a measurement's unit follows from: an area (mm2, mm3, px), a length (mm, px), or a pure number. A share is
asked for in percent."""


@dataclass(frozen=True)
class Seen:
    """What is measured: the masks of some structures, each in one region. A row is a structure in a region.

    Attributes:
        mask: each row's structure. weights: each row's region.
        image: scaled to [-1, 1]. masks: all structures, by name in `structures`.
        pixel_area: of one pixel, in mm2 (mm3), or 1. spacing: of the pixels along each axis, in mm, or 1.
        neighbours: each row averages the rows of the neighbouring regions of the same structure.

    >>> import torch
    >>> ones = torch.ones(1, 1, 2, 3)
    >>> seen = Seen(ones, ones, ones, ones, ("a",), torch.ones(1), torch.ones(1, 2), torch.zeros(1, 1))
    >>> seen.inside.sum().item()
    6.0
    """

    mask: Float[Tensor, "batch row *space"]
    weights: Float[Tensor, "batch row *space"]
    image: Float[Tensor, "batch channel *space"]
    masks: Float[Tensor, "batch structure *space"]
    structures: tuple[str, ...]
    pixel_area: Float[Tensor, " batch"]
    spacing: Float[Tensor, "batch dims"]
    neighbours: Float[Tensor, "row row"]

    @property
    def inside(self) -> Float[Tensor, "batch row *space"]:
        """The share of each pixel that is of the structure and of the region."""
        return self.weights * self.mask


class Measurement(ABC):
    """A measurement: a frozen dataclass, whose fields are the settings that a study gives.

    Attributes:
        key: the name in variables, `structure@region:key`. dimension: what the unit follows from.
        least, most: the values that it can have.
        neighbours: whether it reads the neighbouring regions.
        categories: into which the clinic divides its values, if it does.

    >>> from segue.anatomy.measurement.area import Area
    >>> Area().key, Area.dimension, Area.least
    ('area', 'area', 0.0)
    """

    key: ClassVar[str]
    dimension: ClassVar[Dimension]
    least: ClassVar[float] = 0.0
    most: ClassVar[float] = math.inf
    neighbours: ClassVar[bool] = False
    categories: ClassVar[Categories | None] = None

    @abstractmethod
    def __call__(self, seen: Seen) -> Float[Tensor, "batch row"]:
        """The value of each row."""

    def reads(self) -> tuple[str, ...]:
        """Further structures whose masks it reads."""
        return ()


def total(inside: Float[Tensor, "batch row *space"]) -> Float[Tensor, "batch row"]:
    """The sum over all pixels.

    >>> import torch
    >>> total(torch.ones(1, 1, 2, 3)).tolist()
    [[6.0]]
    """
    return inside.flatten(2).sum(2)
