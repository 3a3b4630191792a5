"""A curve through points, by arc length."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline, make_splprep

from segue.errors import InputError

SAME_POINT = 1e-6  # mm: two points closer than this are one
FINE = 20_000  # samples by which arc length is summed
NODES = (200, 4000)  # of the spline by arc length: at least and at most
NODE = 0.1  # mm between nodes, within these limits


@dataclass(frozen=True)
class SpaceCurve:
    """c(s), s from 0 to `length` in mm.

    >>> curve = fit_curve(np.array([[0.0, 0, 0], [3, 0, 0], [5, 0, 0]]))
    >>> curve.length, curve.at(np.array([2.0])).round(6).tolist()
    (5.0, [[2.0, 0.0, 0.0]])
    """

    nodes: Float[np.ndarray, " node"]
    spline: CubicSpline

    @property
    def length(self) -> float:
        """In mm."""
        return float(self.nodes[-1])

    def at(self, s: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
        """c(s)."""
        return self.spline(s)

    def tangents(self, s: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
        """c'(s), of length 1."""
        return unit(self.spline(s, 1))

    def bending(self, s: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
        """c''(s): its length is the curvature, in 1/mm."""
        return self.spline(s, 2)


def unit(vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Vectors at length 1.

    >>> unit(np.array([3.0, 0.0, 4.0])).tolist()
    [0.6, 0.0, 0.8]
    """
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def fit_curve(points: Float[np.ndarray, "point 3"], smoothing: float | int = 0.0) -> SpaceCurve:
    """The cubic spline through points, or near them.

    Args:
        points: in mm, in order. smoothing: the root mean square distance from them that is allowed, in mm; 0: none.

    Raises:
        InputError: there are fewer than two different points.

    >>> turn = np.linspace(0, np.pi, 40)
    >>> half = fit_curve(np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1))
    >>> bool(abs(half.length - np.pi) < 1e-5)
    True
    """
    moved = np.linalg.norm(np.diff(points, axis=0), axis=1) > SAME_POINT
    distinct = points[np.concatenate([[True], moved])]
    if len(distinct) < 2:
        raise InputError(f"the centreline has {len(distinct)} different points; give two or more")
    degree = min(3, len(distinct) - 1)
    fitted, _ = make_splprep(distinct.T, k=degree, s=len(distinct) * smoothing**2)
    parameters = np.linspace(0, 1, FINE)
    fine = fitted(parameters).T
    arc = np.concatenate([[0.0], np.linalg.norm(np.diff(fine, axis=0), axis=1).cumsum()])
    count = int(np.clip(np.ceil(arc[-1] / NODE), *NODES)) + 1
    nodes = np.linspace(0, arc[-1], count)
    return SpaceCurve(nodes, CubicSpline(nodes, fitted(np.interp(nodes, arc, parameters)).T))
