"""A row of the figure, and how a row of volumes becomes one of pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from segue.cohort.planes import Planes, central_voxel, montage
from segue.errors import InputError

__all__ = ["FigureRow", "Image", "check_rows", "in_planes", "in_slices"]

SLICES, COLUMNS = 8, 4  # of a montage
Image = Float[np.ndarray, "*space"]


@dataclass(frozen=True)
class FigureRow:
    """One intervention on one image.

    Args:
        title: the intervention, as a reader would say it: "do(calcified_plaque@mid = 6.1 mm2 (+80%))".
        factual: the image x, (*space) with two or three axes.
        counterfactuals: x* by method.
        region: weights of the intervened region; its border is drawn where they pass one half.
        outlines: soft masks of structures, drawn on the factual.
        asked: the structure that is intervened on, by its name in `outlines`, if it is one of them.
    """

    title: str
    factual: Image
    counterfactuals: Mapping[str, Image]
    region: Image
    outlines: Mapping[str, Image] = field(default_factory=dict)
    asked: str = ""

    @property
    def structure(self) -> Image:
        """The structure that is intervened on; the region if it is not known."""
        return self.outlines.get(self.asked, self.region)

    @property
    def part(self) -> Image:
        """Where the intervention is: the structure within the region, or the region if there is nothing of it."""
        inside = self.region * self.structure
        return inside if inside.sum() >= 1 else self.region


def in_planes(row: FigureRow) -> FigureRow:
    """Volumes as three planes through the centre of what was asked; images with two axes as they are."""
    if row.factual.ndim == 2:
        return row
    planes = Planes(row.factual.shape, central_voxel(row.part))
    return pictured(row, planes.picture)


def in_slices(rows: Sequence[FigureRow]) -> list[FigureRow]:
    """Volumes as slices through what was asked, all across the axis along which the structures are longest."""
    inside = [np.argwhere(row.structure > 0.5) for row in rows]
    axis = int(np.sum([np.ptp(where, axis=0) for where in inside if len(where)] or [[0, 0, 1]], axis=0).argmax())

    def in_montage(row: FigureRow) -> FigureRow:
        indices = slices_through(row.part, axis)
        return pictured(row, lambda volume, fill: montage(volume, axis, indices, columns=COLUMNS, fill=fill))

    return [in_montage(row) for row in rows]


def slices_through(part: Image, axis: int) -> list[int]:
    """`SLICES` indices along an axis, evenly spaced from one end of a part to the other.

    >>> part = np.zeros((4, 20, 4))
    >>> part[:, 3:18] = 1
    >>> slices_through(part, axis=1)
    [3, 5, 7, 9, 11, 13, 15, 17]
    """
    across = tuple(other for other in range(3) if other != axis)
    inside = np.flatnonzero((part > 0.5).any(axis=across))
    first, last = (inside[0], inside[-1]) if len(inside) else (0, part.shape[axis] - 1)
    return np.linspace(first, last, SLICES).round().astype(int).tolist()


def pictured(row: FigureRow, picture: Callable[[Image, float], Image]) -> FigureRow:
    """The same way from a volume to a picture for all images of a row; masks are 0 where images have a gap."""
    return replace(
        row,
        factual=picture(row.factual, np.nan),
        counterfactuals={name: picture(image, np.nan) for name, image in row.counterfactuals.items()},
        region=picture(row.region, 0.0),
        outlines={name: picture(mask, 0.0) for name, mask in row.outlines.items()},
    )


def check_rows(rows: Sequence[FigureRow], methods: Sequence[str]) -> None:
    """Raise InputError if the rows cannot be drawn side by side."""
    if not rows or not methods:
        raise InputError("figure: nothing to draw; give at least one row and one method")
    shape = rows[0].factual.shape
    for row in rows:
        if missing := [method for method in methods if method not in row.counterfactuals]:
            raise InputError(f"figure: {row.title!r} has no counterfactual of {missing[0]!r}; add it")
        images = [row.factual, row.region, *row.counterfactuals.values(), *row.outlines.values()]
        if any(image.shape != shape for image in images):
            raise InputError(f"figure: {row.title!r} has images of other shapes than {shape}; give one shape")
