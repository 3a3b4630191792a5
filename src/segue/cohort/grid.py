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
Window = tuple[float, float] | Float[Tensor, "images 2"]
"""The two raw values that become -1 and +1: of all images, or one row an image."""
NARROWEST = 0.01  # width of a window by percentiles, as a share of the image's whole range, at least


def scaled(image: Tensor, window: Window) -> Tensor:
    """Raw values to the networks' range: the window goes to [-1, 1], unclipped (so that it can be undone exactly).

    >>> scaled(torch.tensor([0.0, 255.0]), (0.0, 255.0))
    tensor([-1.,  1.])
    >>> scaled(torch.tensor([[0.0, 255.0], [10.0, 20.0]]), torch.tensor([[0.0, 255.0], [0.0, 10.0]]))
    tensor([[-1.,  1.],
            [ 1.,  3.]])
    """
    low, width = low_and_width(window, image)
    return (image - low.to(image.dtype)) * (2 / width).to(image.dtype) - 1


def unscaled(image: Tensor, window: Window) -> Tensor:
    """The inverse of `scaled`.

    >>> unscaled(torch.tensor([-1.0, 1.0]), (0.0, 255.0))
    tensor([  0., 255.])
    """
    low, width = low_and_width(window, image)
    return (image + 1) * (width / 2).to(image.dtype) + low.to(image.dtype)


def low_and_width(window: Window, image: Tensor) -> tuple[Tensor, Tensor]:
    """Lower edge and width of a window, in double precision, with the axes of the image.

    >>> [side.shape for side in low_and_width((0.0, 255.0), torch.zeros(4, 1, 8, 8))]
    [torch.Size([1, 1, 1, 1]), torch.Size([1, 1, 1, 1])]
    """
    edges = torch.as_tensor(window, dtype=torch.float64, device=image.device).reshape(-1, 2)
    low, high = (edge.reshape(-1, *[1] * (image.ndim - 1)) for edge in edges.unbind(1))
    return low, high - low


def percentile_window(
    raw: Float[Tensor, "batch channel *space"], percentiles: tuple[float, float]
) -> Float[Tensor, "batch 2"]:
    """Two percentiles of each image, over all its pixels and channels, interpolated linearly.

    A window is at least a hundredth of its image's whole range wide (`NARROWEST`), so that a bright spot on an even
    image does not become a huge value. An image of one value has a window of width 1 above it: all of it becomes -1.

    >>> percentile_window(torch.arange(101.0).reshape(1, 1, 101), (1.0, 99.0)).tolist()
    [[1.0, 99.0]]
    >>> percentile_window(torch.full((1, 1, 4), 7.0), (1.0, 99.0)).tolist()
    [[7.0, 8.0]]
    """
    ordered = raw.flatten(1).sort(dim=1).values
    last = ordered.shape[1] - 1
    places = torch.tensor(percentiles, dtype=torch.float64, device=raw.device) * last / 100
    below = places.floor().long()
    one, other = ordered[:, below].double(), ordered[:, (below + 1).clamp(max=last)].double()
    low, high = (one + (places - below) * (other - one)).unbind(1)
    least = NARROWEST * (ordered[:, last] - ordered[:, 0]).double()
    width = torch.maximum(high - low, torch.where(least > 0, least, 1.0))
    return torch.stack([low, low + width], dim=1)


@dataclass(frozen=True)
class Grid:
    """What an image of a study is.

    Attributes:
        size: pixels along each axis, two or three. channels: of an image.
        intensity: the raw values that the networks see as -1 and +1.
        percentiles: of each image, if given: these then are its own two values, and `intensity` is what is usual.
        axes: letters of the axes (`segue.cohort.placement`), into which files are turned; None: as stored.
        unit: of an area or volume: mm2, mm3, or px where no spacing is known.
        pixel_area: of one pixel in `unit`, where all training images agree; else None.

    >>> grid = Grid((4, 8), intensity=(0.0, 255.0), unit="mm2", pixel_area=None)
    >>> grid.area((0.5, 0.25))
    0.125
    >>> grid.scale(torch.tensor([255.0]))
    tensor([1.])
    >>> by_image = Grid((1, 101), percentiles=(1.0, 99.0))
    >>> raw = torch.arange(101.0).reshape(1, 1, 1, 101)
    >>> torch.allclose(by_image.scale(raw), by_image.scale(0.5 * raw + 30), atol=1e-6)
    True
    """

    size: tuple[int, ...]
    channels: int = 1
    intensity: tuple[float, float] = (0.0, 255.0)
    unit: str = "px"
    pixel_area: float | None = 1.0
    percentiles: tuple[float, float] | None = None
    axes: str | None = None

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
        """Length of the usual intensity range, in raw units."""
        return self.intensity[1] - self.intensity[0]

    def window(self, raw: Tensor) -> Float[Tensor, "batch 2"]:
        """The two raw values of each image that become -1 and +1: its own percentiles, or `intensity`."""
        if self.percentiles is not None:
            return percentile_window(raw, self.percentiles)
        return torch.tensor(self.intensity, dtype=torch.float64, device=raw.device).expand(len(raw), 2)

    def limits(self, raw: Float[np.ndarray, "channel *space"]) -> tuple[float, float]:
        """The window of one image: its (black, white)."""
        low, high = self.window(torch.from_numpy(raw)[None])[0].tolist()
        return low, high

    def scale(self, raw: Tensor, window: Window | None = None) -> Tensor:
        """Raw values to the networks' range, by each image's own window.

        Args:
            window: another one. An answer to an image is scaled, and unscaled, by the window of that image.
        """
        return scaled(raw, self.window(raw) if window is None else window)

    def unscale(self, image: Tensor, window: Window | None = None) -> Tensor:
        """The networks' range to raw values.

        Args:
            window: of the factual images. None: `intensity`, as for images that are of nobody.
        """
        return unscaled(image, self.intensity if window is None else window)

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
