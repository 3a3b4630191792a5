"""One case of a cohort: an image, its structures and its subject."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32


@dataclass(frozen=True)
class Record:
    """An image on its final grid, with the structures in it as area fractions.

    Attributes:
        id: unique name of the image in the cohort.
        subject: the person of whom the image is; splits are drawn over subjects.
        image: intensities in the source's own units.
        fractions: share of each pixel that each structure covers, in [0, 1]; what is left of 1 is background.
        spacing: mm per pixel of this grid, one entry per space axis; None where it is not known.
        covariates: numbers that are known of the case (age; sex as 0 or 1).
        axes: letters of this grid's axes (`segue.cohort.placement`); None where nothing is known of them.

    >>> image, fractions = np.zeros((1, 4, 6), np.float32), np.zeros((2, 4, 6), np.float32)
    >>> Record("p1_left", "p1", image, fractions, spacing=(0.5, 0.5), covariates={"age": 61.0}).image.shape
    (1, 4, 6)
    """

    id: str
    subject: str
    image: Float32[np.ndarray, "channels *space"]
    fractions: Float32[np.ndarray, "structures *space"]
    spacing: tuple[float, ...] | None = None
    covariates: dict[str, float] = field(default_factory=dict)
    axes: str | None = None
