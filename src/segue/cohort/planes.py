"""Volumes as pictures: three orthogonal planes through one place, and a montage of slices.

A plane across an axis shows the earlier of the two other axes from left to right, and the later one from bottom to top.
So of a volume with axes RAS, head and front are up, and the patient's right is on the right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

__all__ = ["Planes", "Tile", "central_voxel", "montage", "plane_across", "repeats_of"]

GAP_BETWEEN = 2  # pixels between two planes of a picture
Voxel = tuple[int, int, int]


class Tile(NamedTuple):
    """One plane of a picture: the axis that it is across, and where it stands, in pixels of the picture."""

    axis: int
    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Planes:
    """Three planes through one voxel, as one picture: across axis 1 and across axis 0 above, across axis 2 below.

    Neighbouring planes share an axis, which runs on from one to the other.

    Attributes:
        size: of the volume. place: the voxel in which the planes meet.
        repeats: pixels of the picture for a voxel along each axis.

    >>> planes = Planes((2, 3, 4), place=(1, 0, 3))
    >>> planes.shape
    (9, 7)
    >>> planes.tiles[0], planes.voxel(row=0, column=1)
    (Tile(axis=1, top=0, left=0, height=4, width=2), (1, 0, 3))
    """

    size: tuple[int, ...]
    place: Voxel
    repeats: tuple[int, ...] = (1, 1, 1)

    @property
    def sides(self) -> tuple[int, ...]:
        """Pixels along each axis."""
        return tuple(n * times for n, times in zip(self.size, self.repeats, strict=True))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture."""
        across, along, up = self.sides
        return up + GAP_BETWEEN + along, across + GAP_BETWEEN + along

    @property
    def tiles(self) -> tuple[Tile, Tile, Tile]:
        """Where the planes stand."""
        across, along, up = self.sides
        below, beside = up + GAP_BETWEEN, across + GAP_BETWEEN
        return Tile(1, 0, 0, up, across), Tile(0, 0, beside, up, along), Tile(2, below, 0, along, across)

    def picture(
        self, volume: Shaped[np.ndarray, "x y z"], fill: float = np.nan
    ) -> Shaped[np.ndarray, "height width"]:
        """The planes of a volume; between them is `fill`."""
        found = np.full(self.shape, fill, dtype=np.result_type(volume.dtype, np.float32))
        for tile in self.tiles:
            plane = plane_across(volume, tile.axis, self.place[tile.axis])
            columns, rows = (self.repeats[axis] for axis in range(3) if axis != tile.axis)
            where = slice(tile.top, tile.top + tile.height), slice(tile.left, tile.left + tile.width)
            found[where] = plane.repeat(rows, axis=0).repeat(columns, axis=1)
        return found

    def voxel(self, row: int, column: int) -> Voxel | None:
        """The voxel that is shown at a pixel of the picture; None between the planes."""
        for tile in self.tiles:
            down, right = row - tile.top, column - tile.left
            if 0 <= down < tile.height and 0 <= right < tile.width:
                first, second = (axis for axis in range(3) if axis != tile.axis)
                found = list(self.place)
                found[first] = right // self.repeats[first]
                found[second] = (tile.height - 1 - down) // self.repeats[second]
                return found[0], found[1], found[2]
        return None


def plane_across(
    volume: Shaped[np.ndarray, "x y z"], axis: int, index: int
) -> Shaped[np.ndarray, "height width"]:
    """One slice of a volume as it is shown.

    >>> plane_across(np.arange(8).reshape(2, 2, 2), axis=0, index=1).tolist()  # 4 = (1, 0, 0) is at the bottom left
    [[5, 7], [4, 6]]
    """
    return np.take(volume, index, axis=axis).T[::-1]


def montage(
    volume: Shaped[np.ndarray, "x y z"], axis: int, indices: Sequence[int], *, columns: int, fill: float = np.nan
) -> Shaped[np.ndarray, "height width"]:
    """Slices across an axis, row by row.

    >>> montage(np.zeros((4, 5, 6)), axis=2, indices=[0, 2, 4], columns=2).shape
    (12, 10)
    """
    planes = [plane_across(volume, axis, index) for index in indices]
    height, width = (side + GAP_BETWEEN for side in planes[0].shape)
    rows, columns = -(-len(planes) // columns), min(columns, len(planes))
    shape = rows * height - GAP_BETWEEN, columns * width - GAP_BETWEEN
    found = np.full(shape, fill, dtype=np.result_type(volume.dtype, np.float32))
    for i, plane in enumerate(planes):
        top, left = (i // columns) * height, (i % columns) * width
        found[top : top + height - GAP_BETWEEN, left : left + width - GAP_BETWEEN] = plane
    return found


def central_voxel(weights: Float[np.ndarray, "x y z"]) -> Voxel:
    """The voxel nearest to the centre of mass; the middle of the volume where there is no mass.

    >>> weights = np.zeros((3, 4, 5))
    >>> weights[2, 0, 4] = 1
    >>> central_voxel(weights), central_voxel(0 * weights)
    ((2, 0, 4), (1, 2, 2))
    """
    total = weights.sum()
    if not total > 0:
        return tuple(n // 2 for n in weights.shape)  # type: ignore[return-value]
    others = [tuple(other for other in range(3) if other != axis) for axis in range(3)]
    profiles = [weights.sum(axis=axes) for axes in others]
    return tuple(round(float((p * np.arange(len(p))).sum() / total)) for p in profiles)  # type: ignore[return-value]


def repeats_of(spacing: Sequence[float] | None) -> tuple[int, ...]:
    """Pixels of a picture for a voxel along each axis, so that proportions are about right.

    >>> repeats_of((1.0, 1.0, 5.2)), repeats_of(None)
    ((1, 1, 5), (1, 1, 1))
    """
    return (1, 1, 1) if spacing is None else tuple(max(1, round(mm / min(spacing))) for mm in spacing)
