"""How an image on a study's grid lies in its file: which axis is which, which way it runs, and where that is in space.

Axes are named as in NIfTI and nibabel, by the direction to which the index grows: R or L, A or P, S or I. An oblique
axis has the name of the nearest direction, and its affine says the rest.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from segue.errors import InputError

__all__ = [
    "BODY_LINES",
    "FROM_ITK",
    "PICTURE_AXES",
    "Affine",
    "Placement",
    "axis_codes",
    "check_axes",
    "common_axes",
    "placement",
    "scaled_axes",
    "turned_axes",
]

BODY_LINES = {"R": "RL", "L": "RL", "A": "AP", "P": "AP", "S": "SI", "I": "SI"}
"""The line in the body along which an axis with a letter runs."""
PICTURE_AXES = "rows, columns"
"""In place of letters: the axes of a cohort of pictures (PNG, JPEG, ...), which do not say where they point."""
FROM_ITK = "LPS"
"""The axes of the NIfTI files that ITK writes of pictures: columns are L, rows P."""
Affine = Float[np.ndarray, "4 4"]


def check_axes(axes: str, dims: int) -> str:
    """Names of axes as a study gives them: one letter an axis; in two dimensions a third one may name the normal.

    Raises:
        InputError: a letter is not known, or two are of one line.

    >>> check_axes("ras", 3), check_axes("IL", 2)
    ('RAS', 'IL')
    >>> check_axes("RLS", 3)
    Traceback (most recent call last):
    segue.errors.InputError: axes: 'RLS' does not name 3 axes; give one letter an axis, of R or L, A or P and S or I ...
    """
    if axes == PICTURE_AXES:
        return axes
    found = str(axes).upper()
    lines = [BODY_LINES.get(letter) for letter in found]
    if None in lines or len(set(lines)) < len(lines) or len(found) not in {dims, 3}:
        raise InputError(
            f"axes: {axes!r} does not name {dims} axes; give one letter an axis, of R or L, A or P and S or I (RAS)"
        )
    return found


def axis_codes(affine: Affine | None, dims: int) -> str | None:
    """The letters of a file's first axes; None where its orientation is not known.

    >>> axis_codes(np.diag([-1.0, -1.0, 1.0, 1.0]), 2), axis_codes(None, 2)
    ('LP', None)
    """
    if affine is None:
        return None
    import nibabel  # slow to import, and an image of an exported model needs none

    codes = nibabel.aff2axcodes(affine)[:dims]
    return "".join(codes) if codes and None not in codes else None


def scaled_axes(spacing: tuple[float, ...] | None) -> Affine:
    """The affine of a grid of which only the spacing is known.

    >>> scaled_axes((0.5, 0.25)).diagonal().tolist()
    [0.5, 0.25, 1.0, 1.0]
    """
    return np.diag([*(spacing or ()), 1.0, 1.0, 1.0][:3] + [1.0])


@dataclass(frozen=True)
class Placement:
    """The way from a file's axes to the study's, and back.

    Attributes:
        shape: of the file's space axes, as stored.
        order, flipped: axis i of the study is axis `order[i]` of the file, from its end where `flipped[i]`.
        spacing: mm per pixel along the file's axes. affine: from indices in the file's array to mm, as in NIfTI.

    >>> turned = Placement((2, 3), order=(1, 0), flipped=(False, True), spacing=(1.0, 0.5))
    >>> turned.to_study(np.array([[1, 2, 3], [4, 5, 6]])).tolist()
    [[4, 1], [5, 2], [6, 3]]
    >>> turned.to_file(turned.to_study(np.array([[1, 2, 3], [4, 5, 6]]))).tolist()
    [[1, 2, 3], [4, 5, 6]]
    >>> turned.spacing_on((6, 1))
    (0.25, 2.0)
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    flipped: tuple[bool, ...]
    spacing: tuple[float, ...] | None = None
    affine: Affine | None = None

    def axes(self, asked: str | None) -> str:
        """The letters of the study's axes, where `asked` or known; of a file that does not say them, `PICTURE_AXES`."""
        found = axis_codes(self.affine, len(self.shape))
        if asked == PICTURE_AXES:
            return asked
        return asked[: len(self.shape)] if asked else found or PICTURE_AXES

    @property
    def study_shape(self) -> tuple[int, ...]:
        """Of the file's pixels, along the study's axes."""
        return tuple(self.shape[axis] for axis in self.order)

    def to_study(self, array: Shaped[np.ndarray, "*lead_and_file"]) -> Shaped[np.ndarray, "*lead_and_study"]:
        """The file's last axes in the study's order and direction, not resampled."""
        lead = array.ndim - len(self.order)
        turned = array.transpose(*range(lead), *(lead + axis for axis in self.order))
        return np.flip(turned, self._backward(lead))

    def to_file(self, array: Shaped[np.ndarray, "*lead_and_study"]) -> Shaped[np.ndarray, "*lead_and_file"]:
        """The inverse of `to_study`."""
        lead = array.ndim - len(self.order)
        turned = np.flip(array, self._backward(lead))
        return turned.transpose(*range(lead), *(lead + int(axis) for axis in np.argsort(self.order)))

    def _backward(self, lead: int) -> tuple[int, ...]:
        return tuple(lead + axis for axis, back in enumerate(self.flipped) if back)

    def spacing_on(self, size: Sequence[int]) -> tuple[float, ...] | None:
        """mm per pixel of a grid of `size` over the file's field of view, along the study's axes."""
        if self.spacing is None:
            return None
        sides = zip(self.order, size, strict=True)
        return tuple(self.spacing[axis] * self.shape[axis] / count for axis, count in sides)

    def affine_on(self, size: Sequence[int]) -> Affine:
        """From indices in a grid of `size` over the file's field of view to mm; the corner of the image stays."""
        if self.affine is None:
            return scaled_axes(self.spacing_on(size))
        found = self.affine.copy()
        found[:3, 3] -= self.affine[:3, : len(self.shape)].sum(axis=1) / 2  # the corner of the first pixel
        for axis, (source, back, count) in enumerate(zip(self.order, self.flipped, size, strict=True)):
            side = self.affine[:3, source] * self.shape[source]
            found[:3, 3] += side if back else 0
            found[:3, axis] = (-side if back else side) / count
        found[:3, 3] += found[:3, : len(size)].sum(axis=1) / 2
        return found


def placement(
    shape: tuple[int, ...],
    *,
    spacing: tuple[float, ...] | None = None,
    affine: Affine | None = None,
    axes: str | None = None,
) -> Placement:
    """The placement of a file in a study with these axes; without axes, or without an affine, as stored.

    A file that does not say where its axes point (PNG, JPEG, an array) is taken to be in the study's axes already.

    Args:
        shape, spacing, affine: of the file. Where they disagree, `spacing` has precedence.

    Raises:
        InputError: the file's plane is another one than the study's.

    >>> placement((4, 5, 6), affine=np.diag([-1.0, -1.0, 1.0, 1.0]), axes="RAS").flipped
    (True, True, False)
    >>> placement((4, 5), affine=np.diag([1.0, 1.0, 1.0, 1.0]), axes="IL")
    Traceback (most recent call last):
    segue.errors.InputError: its axes are RA, which cannot be turned into IL: the plane is another one
    """
    dims = len(shape)
    if affine is not None and spacing is not None:
        lengths = np.linalg.norm(affine[:3, :dims], axis=0)
        affine = affine.copy()
        affine[:3, :dims] *= np.array(spacing) / np.where(lengths > 0, lengths, 1)
    codes = axis_codes(affine, dims)
    order, flipped = turned_axes(codes, axes) if codes and axes else (tuple(range(dims)), (False,) * dims)
    return Placement(tuple(shape), order, flipped, spacing, affine)


def turned_axes(codes: str, axes: str) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """`order` and `flipped` from axes with `codes` to those named in `axes`.

    >>> turned_axes("LPS", "PRS")
    ((1, 0, 2), (False, True, False))
    >>> turned_axes("LP", PICTURE_AXES)
    ((1, 0), (False, False))
    """
    dims = len(codes)
    if axes == PICTURE_AXES:  # ITK's way to store a picture is turned back; whatever else is as stored
        order = (1, 0, *range(2, dims)) if codes == FROM_ITK[:dims] else tuple(range(dims))
        return order, (False,) * dims
    lines = [BODY_LINES[letter] for letter in codes]
    wanted = axes[:dims]
    if sorted(lines) != sorted(BODY_LINES[letter] for letter in wanted):
        raise InputError(f"its axes are {codes}, which cannot be turned into {wanted}: the plane is another one")
    order = tuple(lines.index(BODY_LINES[letter]) for letter in wanted)
    return order, tuple(codes[axis] != letter for axis, letter in zip(order, wanted, strict=True))


def common_axes(axes: Counter[str | None]) -> str | None:
    """The axes that all images have.

    Raises:
        InputError: they differ.

    >>> common_axes(Counter({"RAS": 120, "LAS": 80}))
    Traceback (most recent call last):
    segue.errors.InputError: cohort.axes: the images lie differently (RAS: 120 images, LAS: 80); give cohort.axes: RAS
    """
    if len(axes) == 1:
        return next(iter(axes))
    ordered = [("not known" if one in (None, PICTURE_AXES) else str(one), count) for one, count in axes.most_common()]
    (first, count), *others = ordered
    said = ", ".join([f"{first}: {count} images", *(f"{one}: {many}" for one, many in others)])
    usual = next(one for one, _ in ordered if one != "not known")
    raise InputError(f"cohort.axes: the images lie differently ({said}); give cohort.axes: {usual}")
