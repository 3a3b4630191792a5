"""A partition drawn by hand: one label image for the whole cohort."""

from pathlib import Path

import nibabel
import numpy as np
import torch
from jaxtyping import Float, Integer
from PIL import Image
from torch import Tensor

from segue.anatomy.cohort_wide import CohortWide
from segue.anatomy.names import check_regions
from segue.cohort.resample import area_resample
from segue.errors import InputError


class LabelMapPartition(CohortWide):
    """Regions read off a label image: label i + 1 is region i, 0 is covered by none.

    At another resolution, a pixel's weight is the share of its area that bears the label.

    Args:
        regions: names in the order of their labels.
        map: integer labels, (*space), of any size with the images' proportions.
        source: what messages call the map.
    """

    def __init__(
        self, *, regions: tuple[str, ...], map: Integer[np.ndarray, "*space"], source: str = "partition.file"
    ) -> None:
        self.regions = check_regions(regions)
        found, wanted = set(np.unique(map).tolist()), set(range(1, len(regions) + 1))
        if extra := sorted(found - {0} - wanted):
            raise InputError(f"{source}: label {extra[0]} has no region; use 1 to {len(regions)}, 0 for none")
        if missing := sorted(wanted - found):
            name = regions[missing[0] - 1]
            raise InputError(f"{source}: no pixel has label {missing[0]}, region {name!r}; draw it")
        self._fractions = np.stack([map == label for label in sorted(wanted)]).astype(np.float32)
        self._resized: dict[tuple[int, ...], Tensor] = {}

    @classmethod
    def from_file(cls, path: Path, *, regions: tuple[str, ...]) -> "LabelMapPartition":
        """Read the map from a PNG (grey or palette), NIfTI or .npy file.

        Raises:
            InputError: where the file is missing, of another kind, unreadable, or does not fit `regions`.
        """
        return cls(regions=regions, map=read_labels(path), source=f"partition.file: {path}")

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


def read_labels(path: Path) -> Integer[np.ndarray, "*space"]:
    """Integer labels from a PNG, NIfTI (as stored, without trailing axes of length one) or .npy file."""
    name = path.name.lower()
    if not name.endswith((".png", ".nii", ".nii.gz", ".npy")):
        raise InputError(f"partition.file: {path} is no .png, .nii, .nii.gz or .npy file; convert it")
    if not path.is_file():
        raise InputError(f"partition.file: {path} is not there; check the path")
    try:
        labels = _read(path)
    except Exception as error:  # each library has its own; the user needs file and reason
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"partition.file: {path} cannot be read ({reason}); write it anew") from error
    if labels.ndim not in (2, 3):
        raise InputError(f"partition.file: {path} has {labels.ndim} axes; give a 2-D or 3-D label image")
    if not np.array_equal(labels, np.rint(labels)):
        raise InputError(f"partition.file: {path} holds values that are not whole numbers; store labels")
    return labels.astype(np.int64)


def _read(path: Path) -> np.ndarray:
    name = path.name.lower()
    if name.endswith(".npy"):
        return np.load(path, allow_pickle=False)
    if name.endswith(".png"):
        with Image.open(path) as image:
            if image.mode not in ("1", "L", "P", "I", "I;16"):
                raise ValueError(f"its mode is {image.mode}, not grey or palette")
            return np.asarray(image)
    labels = np.asanyarray(nibabel.nifti1.load(path).dataobj)
    while labels.ndim > 2 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    return labels
