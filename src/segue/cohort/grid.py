"""The grid of a study's images: their size, channels and intensities, and the unit of an area."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from segue.cohort.intensity import Intensity
from segue.cohort.marks import Marks
from segue.cohort.window import Window, scaled, unscaled
from segue.errors import InputError

EIGHT_BITS = Intensity((0.0, 255.0))
Spacing = tuple[float, ...] | None
"""mm per pixel along each axis; None where it is not known."""


@dataclass(frozen=True)
class Grid:
    """What an image of a study is.

    Attributes:
        size: pixels along each axis, two or three. channels: of an image.
        axes: letters of the axes (`segue.cohort.placement`), into which files are turned; None: as stored.
        intensity: how raw values become what the networks see.
        unit: of an area or volume: mm2, mm3, or px where no spacing is known.
        pixel_area: of one pixel in `unit`, where all training images agree; else None.
        marks: what the scanner draws on every image; None where it draws nothing.
        spacing: of the pixels, likewise; None where it is not known, and then pixels are as long along every axis.

    >>> from segue.cohort.intensity import make_intensity
    >>> grid = Grid((4, 8), intensity=Intensity((0.0, 255.0)), unit="mm2", pixel_area=None)
    >>> grid.area((0.5, 0.25))
    0.125
    >>> grid.scale(torch.tensor([255.0]))
    tensor([1.])
    >>> by_image = Grid((1, 101), intensity=make_intensity({"percentiles": [1, 99]}, found=(0.0, 255.0)))
    >>> raw = torch.arange(101.0).reshape(1, 1, 1, 101)
    >>> torch.allclose(by_image.scale(raw), by_image.scale(0.5 * raw + 30), atol=1e-6)
    True
    """

    size: tuple[int, ...]
    channels: int = 1
    intensity: Intensity = EIGHT_BITS
    unit: str = "px"
    pixel_area: float | None = 1.0
    axes: str | None = None
    marks: Marks | None = None
    spacing: Spacing = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel, *space) of an image."""
        return (self.channels, *self.size)

    @property
    def pixels(self) -> int:
        """Pixels of one channel."""
        return math.prod(self.size)

    @property
    def marked(self) -> Bool[Tensor, "*space"]:
        """The pixels that hold part of a mark: every answer has the factual image's there.

        >>> Grid((2, 3)).marked.any()
        tensor(False)
        """
        none = torch.zeros(self.size, dtype=torch.bool)
        return none if self.marks is None else torch.from_numpy(self.marks.at(self.size))

    @property
    def span(self) -> float:
        """Length of the usual intensity range, in raw units."""
        return self.intensity.usual[1] - self.intensity.usual[0]

    def window(self, raw: Tensor) -> Float[Tensor, "batch 2"]:
        """The two raw values of each image that become -1 and +1."""
        return self.intensity.window(raw)

    def limits(self, raw: Float[np.ndarray, "channel *space"]) -> tuple[float, float]:
        """The window of one image: its (black, white)."""
        low, high = self.window(torch.from_numpy(raw)[None])[0].tolist()
        return low, high

    def scale(self, raw: Tensor, window: Window | None = None) -> Tensor:
        """Raw values to the networks' range, by each image's own window; without marks, which no network sees.

        Args:
            window: another one. An answer to an image is scaled, and unscaled, by the window of that image.
        """
        image = scaled(raw, self.window(raw) if window is None else window)
        return image if self.marks is None else self.marks.removed(image, self.size)

    def unscale(self, image: Tensor, window: Window | None = None) -> Tensor:
        """The networks' range to raw values.

        Args:
            window: of the factual images. None: the usual one, as for images that are of nobody.
        """
        return unscaled(image, self.intensity.usual if window is None else window)

    def answered(self, image: Tensor, x: Tensor, raw: Tensor, window: Window) -> Tensor:
        """An answer x* in raw units, with the factual image's own bits where nothing changed, and on marks.

        Args:
            image: x*, and x the factual image, scaled by `window`. raw: the factual image.
        """
        kept = (image == x) | self.marked.to(image.device)
        return torch.where(kept, raw, self.unscale(image, window))

    def area(self, spacing: Spacing) -> float:
        """The area of a pixel of an image with this spacing, in `unit`.

        Raises:
            InputError: the spacing is needed and not known, has another number of entries than the grid has axes, or
                one of them is not a positive, finite number.

        >>> Grid((4, 8)).area((0.5, 0.5, 3.0))
        Traceback (most recent call last):
        segue.errors.InputError: spacing is (0.5, 0.5, 3.0): give 2 numbers above 0, mm per pixel along each axis
        """
        if spacing is not None and not (
            len(spacing) == len(self.size) and all(0 < mm < math.inf for mm in spacing)
        ):
            count = len(self.size)
            raise InputError(f"spacing is {spacing}: give {count} numbers above 0, mm per pixel along each axis")
        if self.unit == "px":
            return 1.0
        if spacing is not None:
            return float(np.prod(spacing))
        if self.pixel_area is None:
            raise InputError(f"the study measures in {self.unit} and its spacings differ: pass spacing=(mm, mm)")
        return self.pixel_area

    def areas(self, spacing: Spacing | Sequence[Spacing], batch: int) -> Float[Tensor, " batch"]:
        """`area` of each image of a batch, whose spacing is one for all or one an image."""
        return torch.tensor([self.area(one) for one in self.spacings(spacing, batch)])

    def sides(self, spacing: Spacing) -> tuple[float, ...]:
        """The sides of a pixel of an image with this spacing, in mm, or 1 where areas are in px.

        Raises:
            InputError: as of `area`.

        >>> Grid((4, 8), unit="mm2", pixel_area=0.25).sides(None), Grid((4, 8)).sides((0.5, 0.25))
        ((0.5, 0.5), (1.0, 1.0))
        """
        area, dims = self.area(spacing), len(self.size)
        if self.unit == "px":
            return (1.0,) * dims
        return spacing or self.spacing or (area ** (1 / dims),) * dims

    def pixels_of(
        self, spacing: Spacing | Sequence[Spacing], batch: int
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch dims"]]:
        """Area and sides of a pixel of each image of a batch."""
        each = self.spacings(spacing, batch)
        return torch.tensor([self.area(one) for one in each]), torch.tensor([self.sides(one) for one in each])

    def spacings(self, spacing: Spacing | Sequence[Spacing], batch: int) -> tuple[Spacing, ...]:
        """The spacing of each image of a batch.

        >>> Grid((4, 8)).spacings((0.5, 0.5), 2)
        ((0.5, 0.5), (0.5, 0.5))
        """
        each = isinstance(spacing, Sequence) and any(one is None or isinstance(one, Sequence) for one in spacing)
        listed: Sequence[Spacing] = spacing if each else [spacing] * batch  # type: ignore[assignment, list-item]
        if len(listed) != batch:
            raise InputError(f"{len(listed)} spacings for {batch} images: give one for all, or one an image")
        return tuple(listed)

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
