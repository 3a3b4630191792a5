"""Change of grid by area: every new pixel is the mean of the pixels that it covers."""

import numpy as np
from jaxtyping import Float, Float64, Shaped


def overlap_matrix(source: int, target: int) -> Float64[np.ndarray, "target source"]:
    """Share of each of `target` equal cells that each of `source` equal cells covers, on the same interval.

    Rows sum to 1 and columns to `target / source`, so that a mean is kept.

    >>> overlap_matrix(3, 2).round(2).tolist()
    [[0.67, 0.33, 0.0], [0.0, 0.33, 0.67]]
    """
    # In units of 1 / (source * target) of the interval all edges are integers, so that no overlap is rounded.
    old, new = np.arange(source) * target, np.arange(target)[:, None] * source
    overlap = np.minimum(old + target, new + source) - np.maximum(old, new)
    return overlap.clip(min=0) / source


def area_resample(
    array: Shaped[np.ndarray, "*batch_and_space"], size: tuple[int, ...]
) -> Float[np.ndarray, "*batch_and_size"]:
    """Average `array` over the cells of a new grid, along its last `len(size)` axes.

    Separable and linear, for any factor. The mean is kept, and so is the sum times the area of a pixel: structures
    that are given as area fractions keep their areas in mm2.

    Args:
        array: (..., *space), of any real type.
        size: the new `space`.

    Returns:
        (..., *size), float64 where the array is, else float32; computed in float64.

    >>> area_resample(np.array([[0, 0, 0, 1, 1, 1]]), (1, 4)).tolist()
    [[0.0, 0.0, 1.0, 1.0]]
    """
    result = array
    for axis, target in zip(range(-len(size), 0), size, strict=True):
        if result.shape[axis] != target:
            weights = overlap_matrix(result.shape[axis], target)
            result = np.moveaxis(np.moveaxis(result, axis, -1) @ weights.T, -1, axis)
    return np.ascontiguousarray(result, dtype=np.float64 if array.dtype == np.float64 else np.float32)
