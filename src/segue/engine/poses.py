"""What goes wrong between a file and an array: axes flipped, swapped or turned, brightness inverted; and the mend."""

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from segue.cohort.grid import Grid

__all__ = ["INVERTED", "Pose", "poses"]

INVERTED = "inverted"
Raw = Float[Tensor, "batch channel *space"]


class Pose(NamedTuple):
    """A wrong pose of an image.

    Attributes:
        said: what to tell the user, with the mend. taken: images as they look in this pose. mended: its inverse.

    >>> import torch
    >>> upside_down = poses(Grid((2, 2)))["flipped 0"]
    >>> upside_down.taken(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).tolist()
    [[[[3.0, 4.0], [1.0, 2.0]]]]
    """

    said: str
    taken: Callable[[Raw], Raw]
    mended: Callable[[Raw], Raw]


def poses(grid: Grid) -> Mapping[str, Pose]:
    """The wrong poses of a grid's images, by name; images stay on the grid.

    >>> list(poses(Grid((4, 8))))
    ['flipped 0', 'flipped 1', 'swapped 0 1', 'turned 90', 'turned 180', 'turned 270', 'inverted']
    """
    axes = range(len(grid.size))
    found = {f"flipped {axis}": flipped(axis, len(grid.size)) for axis in axes}
    found |= {f"swapped {one} {other}": swapped(one, other, grid) for one, other in combinations(axes, 2)}
    found |= {f"turned {90 * quarters}": turned(quarters, grid) for quarters in (1, 2, 3)}
    return found | {INVERTED: inverted(grid)}


def flipped(axis: int, dims: int) -> Pose:
    """Flipped along an axis, from 0."""
    looks = {(0, 2): "the image looks upside down", (1, 2): "left and right look swapped"}
    said = looks.get((axis, dims), "the image looks flipped")
    return involution(f"{said} (flipped along axis {axis}): flip it back", lambda raw: raw.flip(axis + 2))


def swapped(one: int, other: int, grid: Grid) -> Pose:
    """Two axes swapped, and brought to the grid again."""
    what = "rows and columns look" if len(grid.size) == 2 else f"axes {one} and {other} look"
    said = f"{what} swapped: transpose the image"
    return involution(said, lambda raw: on_grid(raw.transpose(one + 2, other + 2), grid))


def turned(quarters: int, grid: Grid) -> Pose:
    """Turned counter-clockwise in the plane of the last two axes."""
    way = {1: "90 degrees counter-clockwise", 2: "180 degrees", 3: "90 degrees clockwise"}[quarters]
    return Pose(
        f"the image looks turned by {way}: turn it back",
        lambda raw: on_grid(raw.rot90(quarters, (-2, -1)), grid),
        lambda raw: on_grid(raw.rot90(-quarters, (-2, -1)), grid),
    )


def inverted(grid: Grid) -> Pose:
    """Bright for dark, about the middle of the window."""

    def invert(raw: Raw) -> Raw:
        window = grid.window(raw)
        return grid.unscale(-grid.scale(raw, window), window)

    return involution("brightness looks inverted: swap bright and dark", invert)


def involution(said: str, change: Callable[[Raw], Raw]) -> Pose:
    """A pose that is its own mend."""
    return Pose(said, change, change)


def on_grid(raw: Raw, grid: Grid) -> Float[Tensor, "batch channel *grid"]:
    """On the grid, whatever the size."""
    if tuple(raw.shape[2:]) == grid.size:
        return raw
    return F.interpolate(raw, size=grid.size, mode="bilinear" if raw.ndim == 4 else "trilinear", align_corners=False)
