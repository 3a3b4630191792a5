"""A tube around a helix, in closed form: independent of how segue fits curves and finds foot points."""

from functools import cache

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import erf

from segue.cohort.io import Pixels

RADIUS, PITCH, VOXEL, SHAPE = 8.0, 34.0, 0.6, (58, 58, 52)
LENGTH = np.hypot(1.5 * np.pi * RADIUS, 0.75 * PITCH)  # three quarters of a turn
BRIGHT, EDGE, LUMEN = 500.0, 0.8, 2.0  # HU, mm, mm
AFFINE = np.diag([VOXEL, VOXEL, VOXEL, 1.0])


def helix(count: int = 300) -> np.ndarray:
    """Points in mm, the lower end first."""
    t = np.linspace(0, 1.5 * np.pi, count)
    return np.stack([RADIUS * np.cos(t) + 17, RADIUS * np.sin(t) + 17, PITCH * t / (2 * np.pi) + 3], axis=1)


@cache
def foot_points() -> tuple[np.ndarray, np.ndarray]:
    """Of every voxel: its distance from the helix, and the share of the helix's length at its nearest point."""
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    distance, nearest = cKDTree(helix(4001)).query(grid * VOXEL, distance_upper_bound=7)  # farther: infinite
    return distance, nearest / 4000


def blurred_tube(distance: np.ndarray, radius: np.ndarray | float) -> np.ndarray:
    """Bright inside of a radius, with an edge as a scanner makes it."""
    return (BRIGHT / 2 * (1 - erf((distance - radius) / (np.sqrt(2) * EDGE)))).astype(np.float32)


def pixels_of(array: np.ndarray) -> Pixels:
    return Pixels(array, spacing=(VOXEL,) * 3, affine=AFFINE)
