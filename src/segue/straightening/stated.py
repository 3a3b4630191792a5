"""What a file says of a centreline."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Stated:
    """Points in the file's order and, where the file says it, its space and the proximal end.

    Attributes:
        smoothing: mm; see `segue.straightening.Centreline`.
    """

    points: Float[np.ndarray, "point 3"]
    proximal: str | None = None
    space: str | None = None
    smoothing: float | int = 0.0
