"""What an image file holds."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped


@dataclass(frozen=True)
class Pixels:
    """What a file holds: the array as stored and, where the file tells them, its geometry.

    Attributes:
        spacing: mm per pixel, one entry an axis. axes: the anatomical directions of the axes.
        affine: from places in the array to mm, right, anterior and superior positive, as in NIfTI.
    """

    array: Shaped[np.ndarray, "*space"]
    spacing: tuple[float, ...] | None = None
    axes: tuple[str | None, ...] | None = None
    affine: Float[np.ndarray, "4 4"] | None = None
