"""Normals of a curve that do not twist about it: a rotation-minimising frame.

By double reflection (Wang, Juettler, Zheng & Liu, ACM Trans. Graph. 2008;27:2), which approximates parallel transport
(Bishop, Am. Math. Mon. 1975;82:246) with an error of the fourth order in the step.
"""

import numpy as np
from jaxtyping import Float

from segue.straightening.curve import unit

STRAIGHT = 1e-4  # of the curve's length: a curve whose centroid is nearer to its first tangent has no side of its own


def rotation_minimising(
    points: Float[np.ndarray, "n 3"], tangents: Float[np.ndarray, "n 3"], first: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "n 3"]:
    """A unit normal at each point, without twist; the other one is tangent x normal.

    Args:
        tangents: of length 1. first: the first normal; what of it lies along the first tangent is dropped.

    >>> turn = np.linspace(0, 3, 200)
    >>> arc = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1)
    >>> along = np.stack([-np.sin(turn), np.cos(turn), 0 * turn], 1)
    >>> normals = rotation_minimising(arc, along, np.array([0.0, 0.0, 1.0]))
    >>> bool(np.allclose(normals, [0, 0, 1]))  # the normal of a plane curve's plane stays
    True
    """
    normals = np.empty_like(points)
    normals[0] = unit(first - (first @ tangents[0]) * tangents[0])
    for i in range(len(points) - 1):
        chord = points[i + 1] - points[i]
        normal, tangent = (reflected(vector, chord) for vector in (normals[i], tangents[i]))
        normals[i + 1] = reflected(normal, tangents[i + 1] - tangent)
    return normals


def reflected(vector: Float[np.ndarray, " 3"], across: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    """A vector reflected in the plane whose normal is `across`.

    >>> reflected(np.array([1.0, 2.0, 0.0]), np.array([3.0, 0.0, 0.0])).tolist()
    [-1.0, 2.0, 0.0]
    """
    return vector - 2 * (vector @ across) / (across @ across) * across


def first_normal(points: Float[np.ndarray, "n 3"], tangent: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    """The first normal: towards the curve's centroid; of a straight curve, the patient's axis that is most across it.

    It turns with the curve, so that a vessel gives the same images however the patient lies. Of a plane curve it lies
    in the plane.

    >>> turn = np.linspace(0, 3, 50)
    >>> arc = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1)
    >>> first_normal(arc, np.array([0.0, 1.0, 0.0])).round(6).tolist()
    [-1.0, 0.0, 0.0]
    """
    towards = points.mean(axis=0) - points[0]
    across = towards - (towards @ tangent) * tangent
    if np.linalg.norm(across) < STRAIGHT * np.linalg.norm(points[-1] - points[0]):
        axis = np.eye(3)[np.abs(tangent).argmin()]
        across = axis - (axis @ tangent) * tangent
    return unit(across)
