"""One factual image, for which counterfactuals are requested."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32

from segue.cohort.origin import Origin


@dataclass(frozen=True)
class Case:
    """One image on the study's grid, in its own units.

    Attributes:
        spacing: mm per pixel of this grid; None where it is not known.
        affine: from pixels of this grid to mm, as in NIfTI.
        covariates: those of the study, by name.
        origin: the file; None where there is none.
    """

    id: str
    image: Float32[np.ndarray, "channel *space"]
    spacing: tuple[float, ...] | None
    affine: Float[np.ndarray, "4 4"]
    covariates: dict[str, float] = field(default_factory=dict)
    origin: Origin | None = None
