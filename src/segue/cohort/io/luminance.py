"""Colour to grey."""

import numpy as np
from jaxtyping import Shaped

WEIGHTS = (19595, 38470, 7471)  # of red, green and blue, in 65536ths (ITU-R BT.601)


def luminance(colour: Shaped[np.ndarray, "*space channel"]) -> Shaped[np.ndarray, "*space"]:
    """Luminance of red, green and blue (ITU-R BT.601), rounded, of the same type; a fourth channel (alpha) is ignored.

    >>> luminance(np.array([[255, 0, 0], [9, 9, 9]], np.uint8)).tolist()
    [76, 9]
    """
    if colour.dtype.kind == "f":
        return (colour[..., :3] @ (np.array(WEIGHTS) / 65536)).astype(colour.dtype)
    total = colour[..., :3].astype(np.int64) @ np.array(WEIGHTS)
    return ((total + 32768) >> 16).astype(colour.dtype)
