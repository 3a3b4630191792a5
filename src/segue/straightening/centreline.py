"""A centreline: points in mm in the patient, the proximal end first. Which end that is must be stated."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from segue.cohort.io import split_suffix
from segue.errors import InputError
from segue.straightening.csv_points import read_csv
from segue.straightening.skeleton import read_skeleton
from segue.straightening.stated import Stated
from segue.straightening.vtk_points import read_vtk

SPACES = {"RAS": (1.0, 1.0, 1.0), "LPS": (-1.0, -1.0, 1.0)}
ENDS = ("first", "last")
DIRECTIONS = {
    "right": (0, 1), "left": (0, -1), "anterior": (1, 1), "posterior": (1, -1), "superior": (2, 1), "inferior": (2, -1)
}  # fmt: skip
"""By word, the axis of RAS and the sign of what is farther that way."""

FILES: dict[tuple[str, ...], Callable[[Path, int | None], Stated]] = {
    (".csv", ".tsv", ".txt"): read_csv,
    (".vtp", ".vtk"): read_vtk,
}


@dataclass(frozen=True)
class Centreline:
    """Points of a vessel's centreline.

    Attributes:
        points: in mm, right, anterior and superior positive (RAS, as in NIfTI); the proximal end first.
        smoothing: how far the curve may pass from the points, the root mean square in mm.

    >>> Centreline.of([[0, 0, 0], [0, 0, 9]], proximal="superior").points[0].tolist()
    [0.0, 0.0, 9.0]
    """

    points: Float[np.ndarray, "point 3"]
    smoothing: float | int = 0.0

    @classmethod
    def of(
        cls,
        points: object,
        *,
        proximal: str,
        space: str = "RAS",
        smoothing: float | int = 0.0,
        name: str = "centreline",
    ) -> "Centreline":
        """Points as they come.

        Args:
            points: (point, 3), mm. space: `RAS` or `LPS` (as in ITK and DICOM).
            proximal: `first` or `last` of the points; or `left`, `right`, `anterior`, `posterior`, `superior` or
                `inferior`: the end that lies farther that way.

        Raises:
            InputError: they are not points, or it does not follow which end is proximal.
        """
        array = np.asarray(points, dtype=float)
        if array.ndim != 2 or array.shape[1] != 3 or len(array) < 2 or not np.isfinite(array).all():
            raise InputError(f"{name}: has shape {array.shape}; give two points or more, each x, y, z in mm")
        if space not in SPACES:
            raise InputError(f"{name}: space is {space!r}; choose from {', '.join(SPACES)}")
        if not (np.isfinite(smoothing) and smoothing >= 0):
            raise InputError(f"{name}: smoothing is {smoothing}; give mm, 0 or more")
        return cls(from_proximal(array * SPACES[space], proximal, name), smoothing)


def from_proximal(points: Float[np.ndarray, "point 3"], proximal: str, name: str) -> Float[np.ndarray, "point 3"]:
    """Points in RAS with the proximal end first."""
    if proximal in ENDS:
        return points if proximal == "first" else points[::-1]
    if proximal not in DIRECTIONS:
        raise InputError(f"{name}: proximal is {proximal!r}; choose from {', '.join([*ENDS, *DIRECTIONS])}")
    axis, sign = DIRECTIONS[proximal]
    first, last = sign * points[0, axis], sign * points[-1, axis]
    if abs(first - last) < 1:
        raise InputError(f"{name}: its ends are equally far {proximal} (within 1 mm); name another direction")
    return points if first > last else points[::-1]


def read_centreline(
    path: Path | str,
    *,
    proximal: str | None = None,
    space: str | None = None,
    part: int | None = None,
    smoothing: float | int | None = None,
) -> Centreline:
    """A centreline from a file: CSV, VTK polydata (`.vtp`, `.vtk`), or a mask, of which the skeleton's longest path.

    Args:
        proximal, space: as of `Centreline.of`, where the file does not say it. RAS where nobody does.
            `first` and `last` mean nothing for a mask.
        part: the line of a VTK file that has several, from 0; the label of a mask that has several.
        smoothing: in mm; by default 0, and half the diagonal of a voxel for a mask.

    Raises:
        InputError: the file is missing or damaged, or does not say which end is proximal and nobody else does; or file
            and argument disagree.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "lad.csv"
    >>> _ = file.write_text("x,y,z\\n0,0,0\\n0,0,9\\n")
    >>> read_centreline(file, proximal="superior").points[0].tolist()
    [0.0, 0.0, 9.0]
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the centreline as CSV, .vtp, .vtk or a mask")
    read = next((read for suffixes, read in FILES.items() if path.suffix.lower() in suffixes), None)
    if read is None and not split_suffix(path.name)[1]:
        raise InputError(f"{path}: not a centreline that is read; give CSV, .vtp, .vtk, or a mask (NIfTI, DICOM)")
    said = read_skeleton(path, part) if read is None else read(path, part)
    end = stated_once(path, "proximal", said.proximal, proximal)
    if end is None:
        ways = ", ".join(DIRECTIONS if read is None else [*ENDS, *DIRECTIONS])
        raise InputError(f"{path}: does not say which end is proximal; give --proximal, one of {ways}")
    if read is None and end in ENDS:
        raise InputError(f"{path}: a mask has no {end} point; proximal is one of {', '.join(DIRECTIONS)}")
    return Centreline.of(
        said.points,
        proximal=end,
        space=stated_once(path, "space", said.space, space) or "RAS",
        smoothing=said.smoothing if smoothing is None else smoothing,
        name=str(path),
    )


def stated_once(path: Path, what: str, stated: str | None, given: str | None) -> str | None:
    """What the file states or the caller gives; both must say the same."""
    if stated is not None and given is not None and stated != given:
        raise InputError(f"{path}: states {what} {stated}, and {given} was given; leave one out, or correct the file")
    return given if stated is None else stated
