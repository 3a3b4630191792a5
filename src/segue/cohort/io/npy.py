"""NumPy's own format: rows, columns (, slices)."""

from pathlib import Path

import numpy as np

from segue.cohort.io.reader import Pixels, Reader


def is_npy(head: bytes) -> bool:
    """By the format's signature."""
    return head.startswith(b"\x93NUMPY")


def npy_shape(path: Path) -> tuple[int, ...]:
    """The shape in the header."""
    return tuple(np.load(path, mmap_mode="r", allow_pickle=False).shape)


def read_npy(path: Path, *, labels: bool) -> Pixels:
    """The array as stored; arrays of Python objects are refused, because they are unpickled."""
    return Pixels(np.load(path, allow_pickle=False))


NPY = Reader("NumPy", (".npy",), is_npy, npy_shape, read_npy)
