"""NumPy's own format: rows, columns (, slices)."""

from pathlib import Path

import numpy as np

from segue.cohort.io.limits import check_decoded
from segue.cohort.io.reader import Pixels, Reader


def is_npy(head: bytes) -> bool:
    """By the format's signature."""
    return head.startswith(b"\x93NUMPY")


def npy_shape(path: Path) -> tuple[int, ...]:
    """The shape in the header."""
    return tuple(np.lib.format.open_memmap(path, mode="r").shape)


def read_npy(path: Path, *, labels: bool) -> Pixels:
    """The array as stored; arrays of Python objects are refused, because they are unpickled."""
    mapped = np.lib.format.open_memmap(path, mode="r")
    check_decoded(path, mapped.shape, mapped.itemsize)
    return Pixels(np.array(mapped))


NPY = Reader("NumPy", (".npy",), is_npy, npy_shape, read_npy)
