"""The longest path of a vessel mask's skeleton."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from segue.cohort.io import decode_labels
from segue.errors import InputError
from segue.straightening.stated import Stated


def read_skeleton(path: Path, label: int | None = None) -> Stated:
    """Points from end to end of the longest path of a mask's skeleton, in RAS; smoothing is half a voxel's diagonal.

    Args:
        label: the vessel's; everything that is not 0 without.

    Raises:
        InputError: the mask has no geometry, not the label, or is too small; or scikit-image is not installed.
    """
    pixels = decode_labels(path, 3)
    if pixels.affine is None:
        raise InputError(f"{path}: has no geometry, so it does not lie in mm; give the mask as NIfTI")
    found = sorted(int(value) for value in np.unique(pixels.array) if value)
    if label is None and len(found) > 1:
        raise InputError(f"{path}: has labels {', '.join(map(str, found[:9]))}; name the vessel's with --part")
    if (label is not None and label not in found) or not found:
        raise InputError(f"{path}: has labels {', '.join(map(str, found[:9])) or '0 alone'}, not {label}; give another")
    mask = pixels.array == (found[0] if label is None else label)
    voxels = longest_path(mask, pixels.affine)
    if len(voxels) < 4:
        raise InputError(f"{path}: the skeleton of its vessel is {len(voxels)} voxels long; give a longer vessel")
    half = float(np.linalg.norm(np.linalg.norm(pixels.affine[:3, :3], axis=0))) / 2
    return Stated(voxels @ pixels.affine[:3, :3].T + pixels.affine[:3, 3], space="RAS", smoothing=half)


def longest_path(mask: Bool[np.ndarray, "x y z"], affine: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "voxel 3"]:
    """Indices along the longest of all shortest paths in the largest part of a mask's skeleton, by length in mm.

    Twice the farthest voxel, which is exact on a tree. The skeleton is that of Lee, Kashyap & Chu (CVGIP 1994;56:462).

    >>> mask = np.zeros((5, 5, 9), bool)
    >>> mask[1:4, 1:4] = True
    >>> path = longest_path(mask, np.eye(4))
    >>> bool((path[:, :2] == 2).all())
    True
    """
    try:
        from skimage.morphology import skeletonize
    except ImportError:
        mend = 'pip install "segue-counterfactual[vessel]"'
        raise InputError(f"the centreline of a mask needs scikit-image: {mend}") from None
    voxels = np.argwhere(skeletonize(mask))
    if len(voxels) < 2:
        return voxels.astype(float)
    one, other = cKDTree(voxels).query_pairs(1.8, output_type="ndarray").T  # 26 neighbours: up to sqrt(3) apart
    lengths = np.linalg.norm((voxels[one] - voxels[other]) @ affine[:3, :3].T, axis=1)
    graph = csr_matrix((lengths, (one, other)), shape=(len(voxels), len(voxels)))
    part = connected_components(graph, directed=False)[1]
    largest = np.flatnonzero(part == np.bincount(part).argmax())
    begin = farthest(graph, int(largest[0]))[-1]
    return voxels[farthest(graph, begin)].astype(float)


def farthest(graph: csr_matrix, begin: int) -> list[int]:
    """The shortest path from a voxel to the one that is farthest from it."""
    distance, before = dijkstra(graph, directed=False, indices=begin, return_predecessors=True)
    path = [int(np.where(np.isfinite(distance), distance, -1).argmax())]
    while path[-1] != begin:
        path.append(int(before[path[-1]]))
    return path[::-1]
