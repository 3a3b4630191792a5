"""What an image file holds, and the interface of a file format."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped


@dataclass(frozen=True)
class Pixels:
    """What a file holds: the array as stored and, where the file has it, its geometry.

    Attributes:
        spacing: mm per pixel, one entry per axis.
        axes: the anatomical directions of the axes.
        affine: from array indices to mm (right, anterior and superior are positive), as in NIfTI.

    >>> Pixels(np.zeros((2, 3)), spacing=(0.5, 0.5)).array.shape
    (2, 3)
    """

    array: Shaped[np.ndarray, "*space"]
    spacing: tuple[float, ...] | None = None
    axes: tuple[str | None, ...] | None = None
    affine: Float[np.ndarray, "4 4"] | None = None


@dataclass(frozen=True)
class Reader:
    """A file format. To add one, write a module with a `Reader` and register it in `segue.cohort.io.readers`.

    Attributes:
        name: of the format, for messages.
        suffixes: of its files, in lower case. One that ends in `.gz` is the format compressed by gzip.
        sniff: whether the first bytes of a file (decompressed) are of this format.
        shape: from a path to the array's shape, from the header alone.
        read: from a path and `labels` to the pixels. With `labels` they are the labels of a mask, else intensities,
            and colour becomes luminance. It asks `segue.cohort.io.limits.check_decoded` before it decodes. Any
            exception means that the file is damaged; an `InputError` is shown as it is.

    >>> from segue.cohort.io import READERS
    >>> [reader.name for reader in READERS if reader.sniff(b"\\x89PNG\\r\\n\\x1a\\n")]
    ['PNG']
    """

    name: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes], bool]
    shape: Callable[..., tuple[int, ...]]
    read: Callable[..., Pixels]
