"""A frame of a DICOM image: its values and its place. Enhanced files say both in functional groups, frame by frame."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Integer

LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])  # left and posterior are positive in DICOM, negative in NIfTI
GROUPS = tuple(
    f"{name}Sequence" for name in ("PixelValueTransformation", "PixelMeasures", "PlaneOrientation", "PlanePosition")
)
"""Functional groups that are looked into (DICOM PS3.3, C.7.6.16.2)."""
UNEQUAL = 0.01  # of a distance between frames, by which the others may differ from it


class Frame:
    """What a data set says of one of its frames: for it alone, for all frames, or at its top level, in this order."""

    def __init__(self, dataset: Any, index: int) -> None:
        self.dataset, self.index = dataset, index

    def sources(self) -> Iterator[Any]:
        """The data sets that are asked, in this order."""
        each = self.dataset.get("PerFrameFunctionalGroupsSequence") or []
        own = [each[self.index]] if self.index < len(each) else []
        for group in (*own, *(self.dataset.get("SharedFunctionalGroupsSequence") or [])):
            yield from (group[name][0] for name in GROUPS if group.get(name))
        yield self.dataset

    def get(self, name: str) -> Any:
        """The first value of an element that is there and not empty; None where there is none."""
        return next((value for one in self.sources() if (value := one.get(name)) not in (None, "", [])), None)

    def number(self, name: str, default: float) -> float:
        """The element as a number."""
        value = self.get(name)
        return default if value is None else float(value)

    def values(self, stored: Integer[np.ndarray, "row column"]) -> Float32[np.ndarray, "row column"]:
        """Stored values through the modality's table or slope and intercept; of MONOCHROME1 the largest first.

        Stored values are turned over within their range, which begins below 0 where they have a sign.
        """
        turned = self.dataset.get("PhotometricInterpretation") == "MONOCHROME1"
        if self.dataset.get("ModalityLUTSequence"):
            from pydicom.pixels import apply_modality_lut

            bits = int(self.dataset.ModalityLUTSequence[0].LUTDescriptor[2])
            looked_up = np.asarray(apply_modality_lut(stored, self.dataset), dtype=np.float32)
            return 2**bits - 1 - looked_up if turned else looked_up
        whole = stored.astype(np.int64)
        if turned:
            signed = int(self.dataset.get("PixelRepresentation", 0)) == 1
            whole = -1 - whole if signed else (1 << int(self.dataset.BitsStored)) - 1 - whole
        rescaled = whole * (self.number("RescaleSlope", 1.0) or 1.0) + self.number("RescaleIntercept", 0.0)
        return rescaled.astype(np.float32)

    def in_plane(self) -> tuple[float, float] | None:
        """mm from row to row, and from column to column."""
        pixel = self.get("PixelSpacing") or self.get("ImagerPixelSpacing")
        return (float(pixel[0]), float(pixel[1])) if pixel else None

    def directions(self) -> Float[np.ndarray, "3 2"] | None:
        """Unit vectors from row to row and from column to column, left and posterior positive."""
        cosines = self.get("ImageOrientationPatient")
        return None if cosines is None else np.array(cosines, dtype=float).reshape(2, 3)[::-1].T

    def position(self) -> Float[np.ndarray, " 3"] | None:
        """Of the centre of the first pixel."""
        place = self.get("ImagePositionPatient")
        return None if place is None else np.array(place, dtype=float)


def frame_geometry(
    frames: Sequence[Frame],
) -> tuple[tuple[float, ...] | None, Float[np.ndarray, "4 4"] | None]:
    """mm per row, column (and frame), and from (row, column, frame) to mm in NIfTI's directions; None if not told.

    DICOM PS3.3, C.7.6.2.1.1. The step from frame to frame is that of their positions, or else what the file says.

    Raises:
        ValueError: frames are of different planes or pixels, or do not lie at equal distances.
    """
    first, count = frames[0], len(frames)
    in_plane, directions, position = first.in_plane(), first.directions(), first.position()
    for other in frames[1:]:
        if other.in_plane() != in_plane or not same(other.directions(), directions):
            raise ValueError("its frames differ in pixel spacing or orientation")
    step = frame_step(frames) if count > 1 else None
    between = first.get("SpacingBetweenSlices") or first.get("SliceThickness")
    apart = float(np.linalg.norm(step)) if step is not None else float(between) if between else None
    if in_plane is None or (count > 1 and apart is None):
        return None, None
    spacing = (*in_plane, *([apart] if count > 1 and apart is not None else []))
    if not all(np.isfinite(mm) and mm > 0 for mm in spacing):
        return None, None
    if directions is None or position is None:
        return spacing, None
    affine = np.eye(4)
    affine[:3, :2] = directions * in_plane
    normal = np.cross(directions[:, 1], directions[:, 0])
    affine[:3, 2] = step if step is not None else normal * (apart or 1)
    affine[:3, 3] = position
    affine[:3] *= LPS_TO_RAS[:, None]
    return spacing, affine


def frame_step(frames: Sequence[Frame]) -> Float[np.ndarray, " 3"] | None:
    """mm from one frame to the next, by their positions; None where they have none, or all one (a film)."""
    places = [frame.position() for frame in frames]
    if any(place is None for place in places):
        return None
    steps = np.diff(np.stack([place for place in places if place is not None]), axis=0)
    if not steps.any():
        return None
    mean = steps.mean(0)
    if not np.allclose(steps, mean, rtol=0, atol=UNEQUAL * float(np.linalg.norm(mean))):
        raise ValueError("its frames do not lie at equal distances")
    return mean


def same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Whether both are not told, or equal."""
    return (one is None and other is None) or (one is not None and other is not None and np.allclose(one, other))
