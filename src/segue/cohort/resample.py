"""Change of grid by area: every new pixel is the mean of what it covers."""

import numpy as np
from jaxtyping import Float, Float64, Shaped


def overlap_matrix(source: int, target: int) -> Float64[np.ndarray, "target source"]:
    """Share of each of `target` equal cells that each of `source` equal cells covers, on the same interval.

    Rows sum to 1 and columns to `target / source`: a mean is kept, whatever the two numbers are.
    """
    # On a ruler of source * target ticks all edges are integers, so that no overlap is rounded.
    old, new = np.arange(source) * target, np.arange(target)[:, None] * source
    overlap = np.minimum(old + target, new + source) - np.maximum(old, new)
    return overlap.clip(min=0) / source


def area_resample(
    array: Shaped[np.ndarray, "*batch_and_space"], size: tuple[int, ...]
) -> Float[np.ndarray, "*batch_and_size"]:
    """Average `array` over the cells of a new grid, along its last `len(size)` axes.

    Separable and linear, up or down, by any factor. The mean is kept, hence also the sum times the area of a
    pixel: structures given as area fractions keep their areas in mm2.

    Args:
        array: (..., *space), of any real type.
        size: the new `space`.

    Returns:
        (..., *size), float64 where the array is, else float32; worked out in float64 either way.
    """
    result = array
    for axis, target in zip(range(-len(size), 0), size, strict=True):
        if result.shape[axis] != target:
            weights = overlap_matrix(result.shape[axis], target)
            result = np.moveaxis(np.moveaxis(result, axis, -1) @ weights.T, -1, axis)
    return np.ascontiguousarray(result, dtype=np.float64 if array.dtype == np.float64 else np.float32)
