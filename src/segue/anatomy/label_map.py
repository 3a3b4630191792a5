"""A partition drawn by hand: one label image for the whole cohort."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy.cohort_wide import CohortWide
from segue.anatomy.names import check_regions
from segue.cohort.io import decode_labels
from segue.cohort.io.limits import check_decoded
from segue.cohort.resample import area_resample
from segue.errors import InputError

FRACTION_BYTES = 4  # of a pixel, for each region


class LabelMapPartition(CohortWide):
    """Regions read from a label image: label i + 1 is region i, and 0 belongs to no region.

    At another resolution, the weight of a pixel is the share of its area that has the label.

    Args:
        regions: names in the order of their labels.
        file: a 2-D or 3-D label image with the images' proportions, of any size: PNG (grey or palette), NIfTI, DICOM
            or NumPy (`.npy`).

    Raises:
        InputError: the file is missing, of another format, unreadable, or does not fit `regions`.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "map.npy"
    >>> np.save(file, np.array([[1, 1], [0, 2]]))
    >>> part = LabelMapPartition(regions=("apex", "base"), file=file)
    >>> part.weights(torch.zeros(1, 0), (1, 1)).flatten().tolist()
    [0.5, 0.25]
    """

    def __init__(self, *, regions: tuple[str, ...], file: Path) -> None:
        self.regions = check_regions(regions)
        try:
            labels = decode_labels(file).array
            check_decoded(file, labels.shape, FRACTION_BYTES * len(regions))
        except InputError as error:
            raise InputError(f"partition.file: {error}") from error
        found, wanted = set(np.unique(labels).tolist()), set(range(1, len(regions) + 1))
        if extra := sorted(found - {0} - wanted):
            mend = f"use 1 to {len(regions)}, and 0 for no region"
            raise InputError(f"partition.file: {file}: label {extra[0]:g} has no region; {mend}")
        if missing := sorted(wanted - found):
            name = regions[missing[0] - 1]
            raise InputError(f"partition.file: {file}: no pixel has label {missing[0]}, region {name!r}; draw it")
        self._fractions = np.stack([labels == label for label in sorted(wanted)]).astype(np.float32)
        self._resized: dict[tuple[int, ...], Tensor] = {}

    def weights(
        self, frame: Float[Tensor, "batch 0"], size: tuple[int, ...]
    ) -> Float[Tensor, "batch region *space"]:
        """The map at `size`, expanded over the batch."""
        return self._at(size).to(frame).expand(len(frame), -1, *size)

    def _at(self, size: tuple[int, ...]) -> Tensor:
        if size not in self._resized:
            space = self._fractions.shape[1:]
            if len(space) != len(size):
                found = f"the map has {len(space)} axes and the images {len(size)}"
                raise InputError(f"partition.file: {found}; draw it on an image of the cohort")
            self._resized[size] = torch.from_numpy(area_resample(self._fractions, size))
        return self._resized[size]
