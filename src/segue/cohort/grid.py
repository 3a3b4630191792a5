"""The grid of a study's images: their size, channels and intensities, and the unit of an area."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.errors import InputError

Spacing = tuple[float, ...] | None
"""mm per pixel along each axis; None where it is not known."""


def scaled(image: Tensor, intensity: tuple[float, float]) -> Tensor:
    """Raw values to the networks' range: `intensity` goes to [-1, 1], unclipped (so that it can be undone exactly).

    >>> scaled(torch.tensor([0.0, 255.0]), (0.0, 255.0))
    tensor([-1.,  1.])
    """
    low, high = intensity
    return (image - low) * (2 / (high - low)) - 1


def unscaled(image: Tensor, intensity: tuple[float, float]) -> Tensor:
    """The inverse of `scaled`.

    >>> unscaled(torch.tensor([-1.0, 1.0]), (0.0, 255.0))
    tensor([  0., 255.])
    """
    low, high = intensity
    return (image + 1) * ((high - low) / 2) + low


@dataclass(frozen=True)
class Grid:
    """What an image of a study is.

    Attributes:
        size: pixels along each axis, two or three. channels: of an image.
        intensity: the raw values that the networks see as -1 and +1.
        unit: of an area or volume: mm2, mm3, or px where no spacing is known.
        pixel_area: of one pixel in `unit`, where all training images agree; else None.

    >>> grid = Grid((4, 8), intensity=(0.0, 255.0), unit="mm2", pixel_area=None)
    >>> grid.area((0.5, 0.25))
    0.125
    >>> grid.scale(torch.tensor([255.0]))
    tensor([1.])
    """

    size: tuple[int, ...]
    channels: int = 1
    intensity: tuple[float, float] = (0.0, 255.0)
    unit: str = "px"
    pixel_area: float | None = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel, *space) of an image."""
        return (self.channels, *self.size)

    @property
    def pixels(self) -> int:
        """Pixels of one channel."""
        return math.prod(self.size)

    @property
    def span(self) -> float:
        """Length of the intensity range, in raw units."""
        return self.intensity[1] - self.intensity[0]

    def scale(self, raw: Tensor) -> Tensor:
        """Raw values to the networks' range."""
        return scaled(raw, self.intensity)

    def unscale(self, image: Tensor) -> Tensor:
        """The networks' range to raw values."""
        return unscaled(image, self.intensity)

    def area(self, spacing: Spacing) -> float:
        """The area of a pixel of an image with this spacing, in `unit`.

        Raises:
            InputError: the spacing is needed and not known, or not positive.
        """
        if spacing is not None and not all(mm > 0 for mm in spacing):
            raise InputError(f"spacing is {spacing}, not mm per pixel")
        if self.unit == "px":
            return 1.0
        if spacing is not None:
            return float(np.prod(spacing))
        if self.pixel_area is None:
            raise InputError(f"the study measures in {self.unit} and its spacings differ: pass spacing=(mm, mm)")
        return self.pixel_area

    def areas(self, spacing: Spacing | Sequence[Spacing], batch: int) -> Float[Tensor, " batch"]:
        """`area` of each image of a batch, whose spacing is one for all or one an image."""
        each = isinstance(spacing, Sequence) and any(one is None or isinstance(one, Sequence) for one in spacing)
        listed: Sequence[Spacing] = spacing if each else [spacing] * batch  # type: ignore[assignment, list-item]
        if len(listed) != batch:
            raise InputError(f"{len(listed)} spacings for {batch} images: give one for all, or one an image")
        return torch.tensor([self.area(one) for one in listed])

    def check(self, images: Tensor | np.ndarray) -> Float[Tensor, "batch channel *space"]:
        """Images as float32, if they are on this grid and finite.

        Raises:
            InputError: they are not.
        """
        x = torch.as_tensor(images, dtype=torch.float32)
        if x.ndim != len(self.size) + 2 or len(x) == 0 or tuple(x.shape[1:]) != self.shape:
            wanted = ", ".join(map(str, self.shape))
            raise InputError(
                f"images have shape {tuple(x.shape)}: give (batch, {wanted}), one image at least; "
                "model.read(path) brings a file to this grid"
            )
        if not bool(x.isfinite().all()):
            raise InputError("images hold values that are not finite: replace them")
        return x
