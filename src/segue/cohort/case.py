"""One factual image, for which counterfactuals are requested."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from segue.cohort.placement import Placement


@dataclass(frozen=True)
class Origin:
    """The file that an image came from, for an answer on the file's own pixels.

    Attributes:
        slice: along the file's last axis, where the image is a slice of a volume.
    """

    file: Path
    placement: Placement
    slice: int | None = None


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
