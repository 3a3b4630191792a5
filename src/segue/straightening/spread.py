"""A change of the straight tube at the voxels of the volume, each of which belongs to one place of the centreline."""

from typing import NamedTuple, cast

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import map_coordinates

from segue.cohort.io import Pixels
from segue.straightening.geometry import mm_of, voxel_of
from segue.straightening.tube import Tube

BLEND = 1 / 6  # of the radius: how wide the edge is over which an edit fades


class TubeVoxels(NamedTuple):
    """The voxels of a tube: their indices, where they lie in it (mm), and how much of an edit they take (0 to 1)."""

    voxels: Int[np.ndarray, "voxel 3"]
    s: Float[np.ndarray, " voxel"]
    u: Float[np.ndarray, " voxel"]
    v: Float[np.ndarray, " voxel"]
    weight: Float[np.ndarray, " voxel"]


def tube_voxels(pixels: Pixels, tube: Tube) -> TubeVoxels:
    """The voxels of the section, each with the nearest point of the centreline."""
    voxels = boxes_along(pixels, tube)
    voxels = voxels[tube.near(mm_of(pixels, voxels))]
    found = tube.coordinates(mm_of(pixels, voxels))
    section, end = tube.section, tube.along[-1] + tube.section.step / 2
    depth = tube.radii(found.s) - np.hypot(found.u, found.v)
    depth = np.minimum(depth, np.minimum(found.s - section.start, end - found.s))
    weight = smooth_step(depth / (BLEND * section.radius))
    kept = found.within & (weight > 0)
    return TubeVoxels(voxels[kept], found.s[kept], found.u[kept], found.v[kept], weight[kept])


def boxes_along(pixels: Pixels, tube: Tube) -> Int[np.ndarray, "voxel 3"]:
    """The voxels in boxes along the centreline, which hold all of the tube."""
    radius, section = tube.section.radius, tube.section
    inverse = np.linalg.inv(cast(np.ndarray, pixels.affine))[:3, :3]
    reach = 1.5 * radius * np.linalg.norm(inverse, axis=1)
    ends = np.arange(section.start, tube.along[-1] + radius / 2, radius / 2)
    marked = np.zeros(pixels.array.shape, dtype=bool)
    for place in voxel_of(pixels, tube.curve.at(np.minimum(ends, tube.curve.length))):
        low, high = np.maximum(np.floor(place - reach), 0).astype(int), np.maximum(np.ceil(place + reach) + 1, 0)
        marked[tuple(slice(a, int(b)) for a, b in zip(low, high, strict=True))] = True
    return np.argwhere(marked)


def of_volume(change: np.ndarray, tube: Tube, reached: TubeVoxels) -> Float[np.ndarray, " voxel"]:
    """A change of the straightened volume at the voxels, linearly interpolated: it is 0 where its neighbours are."""
    places = [across_index(tube, reached.u), across_index(tube, reached.v), along_index(tube, reached.s)]
    return map_coordinates(change, places, order=1, mode="nearest")


def of_slices(change: np.ndarray, tube: Tube, reached: TubeVoxels) -> Float[np.ndarray, " voxel"]:
    """A change of slices at the voxels: that of the half-planes on both sides, weighted by angle."""
    planes, section = len(change), tube.section
    turn = (np.arctan2(reached.v, reached.u) - section.angles[0]) / (np.pi / planes) % (2 * planes)
    distance, along = np.hypot(reached.u, reached.v), along_index(tube, reached.s)
    total = np.zeros(len(distance))
    for half, share in ((np.floor(turn), 1 - turn % 1), (np.floor(turn) + 1, turn % 1)):
        plane, side = half % planes, np.where(half % (2 * planes) < planes, 1, -1)
        places = [plane, across_index(tube, side * distance), along]
        total += share * map_coordinates(change, places, order=1, mode="nearest")
    return total


def across_index(tube: Tube, offset: np.ndarray) -> np.ndarray:
    """The place of an offset among the samples across."""
    return offset / tube.section.between + (tube.section.width - 1) / 2


def along_index(tube: Tube, s: np.ndarray) -> np.ndarray:
    """The place of an arc length among the samples along."""
    return (s - tube.section.start) / tube.section.step - 0.5


def smooth_step(x: np.ndarray) -> np.ndarray:
    """0 up to 0, 1 from 1 on, 3 x^2 - 2 x^3 between.

    >>> smooth_step(np.array([-1.0, 0.5, 2.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    x = x.clip(0, 1)
    return x**2 * (3 - 2 * x)
