"""Work for `benchmarks.alone` that imports next to nothing, so that its process starts at once."""

import numpy as np


def hold(mb):
    """Work that needs so many MB, and says nothing."""
    return lambda: np.ones(mb << 17).fill(2)


def fail():
    """Work that goes wrong."""
    raise ValueError("no such work")
