"""Where a volume's voxels lie in the patient."""

from typing import cast

import numpy as np
from jaxtyping import Float, Int

from segue.cohort.io import Pixels
from segue.errors import InputError
from segue.straightening.centreline import SPACES, Centreline


def check_inside(pixels: Pixels, centreline: Centreline, name: str) -> None:
    """Refuse a centreline of which most lies outside of the volume; say so where it is a matter of RAS and LPS."""
    inside = {
        space: float(np.mean(is_inside(pixels, centreline.points * signs))) for space, signs in SPACES.items()
    }  # of points in RAS, those signs give what they would be in the other space
    if inside["RAS"] < 0.5:
        mend = "the points look as if space were the other of RAS and LPS" if inside["LPS"] > 0.5 else "check both"
        raise InputError(f"{name}: {inside['RAS']:.0%} of the centreline's points lie in the volume; {mend}")


def is_inside(pixels: Pixels, points: Float[np.ndarray, "n 3"]) -> np.ndarray:
    """Whether points lie in the volume."""
    places = voxel_of(pixels, points)
    inside = (places >= -0.5) & (places <= np.array(pixels.array.shape) - 0.5)
    return np.asarray(inside.all(axis=1))


def voxel_of(pixels: Pixels, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Array indices of points in mm (RAS)."""
    inverse = np.linalg.inv(cast(np.ndarray, pixels.affine))
    return points @ inverse[:3, :3].T + inverse[:3, 3]


def mm_of(pixels: Pixels, voxels: Int[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Points in mm (RAS) of array indices."""
    affine = cast(np.ndarray, pixels.affine)
    return voxels @ affine[:3, :3].T + affine[:3, 3]
