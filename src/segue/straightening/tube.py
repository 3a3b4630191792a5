"""The map between a straight tube and the tube around a curve: (u, v, s) in mm to mm in the patient, and back."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from segue.errors import InputError
from segue.straightening.centreline import Centreline
from segue.straightening.curve import SpaceCurve, fit_curve, unit
from segue.straightening.frame import first_normal, rotation_minimising

BEND = 0.9  # the largest curvature times radius; at 1 the sections of a tube meet, and beyond it the map folds
ITERATIONS = 12
MOST_SAMPLES = 1 << 15  # along each axis
EXACT = 1e-5  # mm: a foot point is found once the rest along the tangent is below


@dataclass(frozen=True)
class VesselSection:
    """What of a vessel is straightened, and how finely. All lengths in mm.

    Attributes:
        radius: of the tube around the centreline. step: of the samples along it.
        across: of the samples across it; `step` where it is not given.
        start: from the proximal end. length: along the centreline; to its end where it is not given.
        planes: longitudinal slices, at equal angles over half a turn. angle: of the first one, in degrees, from the
            direction in which the vessel bends at its proximal end (see `segue.straightening.frame.first_normal`).

    Raises:
        InputError: one of them is not possible.

    >>> VesselSection(radius=6, step=0.25).width
    48
    >>> VesselSection(planes=0)
    Traceback (most recent call last):
    segue.errors.InputError: planes is 0; give 1 or more
    """

    radius: float | int = 6.0
    step: float | int = 0.25
    across: float | int | None = None
    start: float | int = 0.0
    length: float | int | None = None
    planes: int = 1
    angle: float | int = 0.0

    def __post_init__(self) -> None:
        positive = {"radius": self.radius, "step": self.step, "across": self.between, "length": self.length}
        for name, value in positive.items():
            if value is not None and not (np.isfinite(value) and value > 0):
                raise InputError(f"{name} is {value}; give a length in mm, more than 0")
        if not (np.isfinite(self.start) and self.start >= 0 and np.isfinite(self.angle)):
            raise InputError(f"start is {self.start} and angle {self.angle}; give mm from 0, and degrees")
        if self.planes < 1:
            raise InputError(f"planes is {self.planes}; give 1 or more")
        if max(self.planes, 2 * self.radius / self.between) > MOST_SAMPLES:
            raise InputError(f"radius, across and planes ask for more than {MOST_SAMPLES:,} samples; ask for fewer")
        if self.width < 2 or self.planes == self.width:
            more = "other than planes" if self.width >= 2 else "at least"
            raise InputError(f"radius and across give {self.width} samples across; there must be 2, {more}")

    @property
    def between(self) -> float | int:
        """mm between samples across the tube."""
        return self.step if self.across is None else self.across

    @property
    def width(self) -> int:
        """Samples across the tube."""
        return round(2 * self.radius / self.between)

    @property
    def offsets(self) -> Float[np.ndarray, " across"]:
        """Signed distances of the samples from the centreline, mm."""
        return (np.arange(self.width) - (self.width - 1) / 2) * self.between

    @property
    def angles(self) -> Float[np.ndarray, " plane"]:
        """Of the planes, in radians."""
        return np.deg2rad(self.angle + 180 * np.arange(self.planes) / self.planes)


class TubeCoordinates(NamedTuple):
    """Of points in space: arc length s, and u, v across, mm. `within`: whether they have a foot point on the curve."""

    s: Float[np.ndarray, " n"]
    u: Float[np.ndarray, " n"]
    v: Float[np.ndarray, " n"]
    within: Bool[np.ndarray, " n"]


@dataclass(frozen=True)
class Tube:
    """c(s) + u U(s) + v V(s): a curve with its two normals, and the section of it that is straightened."""

    curve: SpaceCurve
    normals: CubicSpline
    section: VesselSection

    @cached_property
    def along(self) -> Float[np.ndarray, " sample"]:
        """Arc lengths of the samples, mm: centres of steps.

        Raises:
            InputError: the section is longer than the centreline.
        """
        start, step = self.section.start, self.section.step
        left = self.curve.length - start
        length = left if self.section.length is None else self.section.length
        count = int(np.floor(length / step + 1e-6))
        if count < 2 or length > left + 1e-6 * self.curve.length:
            raise InputError(
                f"the section from {start:g} mm, {length:g} mm long, does not fit the centreline of "
                f"{self.curve.length:.1f} mm; give another start, length or step"
            )
        if count > MOST_SAMPLES:
            raise InputError(f"step is {step:g} mm, which gives {count:,} samples; {MOST_SAMPLES:,} at most are taken")
        return start + (np.arange(count) + 0.5) * step

    @cached_property
    def tree(self) -> cKDTree:
        """Of the curve's nodes."""
        return cKDTree(self.curve.at(self.curve.nodes))

    def near(self, points: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, " n"]:
        """Whether points may lie in the tube."""
        most = self.section.radius + self.curve.nodes[1]
        return np.isfinite(self.tree.query(points, distance_upper_bound=most)[0])

    def frames(self, s: Float[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray]:
        """U and V at arc lengths, (n, 3) each: orthonormal with the tangent, which is U x V."""
        tangents, normal = self.curve.tangents(s), self.normals(s)
        one = unit(normal - (normal * tangents).sum(1, keepdims=True) * tangents)
        return one, np.cross(tangents, one)

    def radii(self, s: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The radius at arc lengths, mm: that of the section, or less where the tube would fold (see `BEND`)."""
        curvature = np.linalg.norm(self.curve.bending(s), axis=1)
        return np.minimum(self.section.radius, BEND / np.maximum(curvature, 1e-9))

    def positions(self, u: np.ndarray, v: np.ndarray) -> Float[np.ndarray, "*across sample 3"]:
        """Where the samples at offsets u, v (mm, of one shape) lie in the patient, at every arc length of `along`."""
        one, other = self.frames(self.along)
        return self.curve.at(self.along) + u[..., None, None] * one + v[..., None, None] * other

    def coordinates(self, points: Float[np.ndarray, "n 3"]) -> TubeCoordinates:
        """The inverse of `positions`: the foot point of each point, by Newton's method from the nearest node."""
        nearest = self.tree.query(points)[1]
        s, most = self.curve.nodes[nearest], self.curve.nodes[1]
        for _ in range(ITERATIONS):
            away, speed = points - self.curve.at(s), self.curve.spline(s, 1)
            rest = (away * speed).sum(1)
            slope = (speed**2).sum(1) - (away * self.curve.bending(s)).sum(1)
            s = np.clip(s + np.clip(rest / np.maximum(slope, 0.05), -most, most), 0, self.curve.length)
        away = points - self.curve.at(s)
        one, other = self.frames(s)
        rest = (away * self.curve.tangents(s)).sum(1)
        return TubeCoordinates(s, (away * one).sum(1), (away * other).sum(1), np.abs(rest) < EXACT)


def make_tube(centreline: Centreline, section: VesselSection) -> Tube:
    """The tube of a section of a centreline.

    >>> line = Centreline(np.array([[0.0, 0, 0], [0, 0, 10]]))
    >>> tube = make_tube(line, VesselSection(radius=2, step=1))
    >>> tube.positions(np.array(0.0), np.array(0.0))[:2].tolist()
    [[0.0, 0.0, 0.5], [0.0, 0.0, 1.5]]
    """
    curve = fit_curve(centreline.points, centreline.smoothing)
    points, tangents = curve.at(curve.nodes), curve.tangents(curve.nodes)
    normals = rotation_minimising(points, tangents, first_normal(points, tangents[0]))
    return Tube(curve, CubicSpline(curve.nodes, normals), section)
