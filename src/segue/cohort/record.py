"""One case of a cohort: an image, what it shows, and whose it is."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32


@dataclass(frozen=True)
class Record:
    """An image on its final grid, with the structures in it as area fractions.

    Attributes:
        id: unique name of the image in the cohort.
        subject: whose image it is; splits are drawn over subjects.
        image: intensities in the source's own units.
        fractions: share of each pixel that each structure covers, in [0, 1]; the rest of 1 is background.
        spacing: mm per pixel of this grid, one entry per space axis; None where it is not known.
        covariates: scalar facts about the case (age, sex as 0 or 1).
    """

    id: str
    subject: str
    image: Float32[np.ndarray, "channels *space"]
    fractions: Float32[np.ndarray, "structures *space"]
    spacing: tuple[float, ...] | None = None
    covariates: dict[str, float] = field(default_factory=dict)
