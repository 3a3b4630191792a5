"""The categories into which the clinic divides the values of a measurement."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

__all__ = ["Categories"]


@dataclass(frozen=True)
class Categories:
    """Consecutive ranges of a measurement's values, each with a name.

    Attributes:
        key: in metrics.json. title: before a category's name. names, ranges: of each category, for readers.
        starts: the value at which each category but the first begins.
        points: in a value of 1, and `unit` their name: in what the clinic counts.
        source: who defined them, and what they are not.

    >>> sizes = Categories("size", "size", ("S", "L"), ("below 2", "2 and more"), (2.0,), 10.0, "mm", "none")
    >>> sizes.of(np.array([1.0, 2.0, 3.0])).tolist(), sizes.said(3.0)
    ([0, 1, 1], 'size L')
    """

    key: str
    title: str
    names: tuple[str, ...]
    ranges: tuple[str, ...]
    starts: tuple[float, ...]
    points: float
    unit: str
    source: str

    def of(self, values: Float[np.ndarray, " value"]) -> Int[np.ndarray, " value"]:
        """The category of each value, from 0."""
        return np.digitize(values, self.starts)

    def said(self, value: float) -> str:
        """The category of a value, for readers."""
        return f"{self.title} {self.names[self.of(np.array([value]))[0]]}"
