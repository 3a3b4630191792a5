"""What the scanner draws on its images: calipers, a catheter, a scale. It is no anatomy, and no answer changes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from segue.cohort.io import decode_labels
from segue.cohort.resample import area_resample
from segue.errors import InputError


@dataclass(frozen=True)
class Marks:
    """Marks that lie at the same place in every image of a cohort.

    Args:
        file: a 2-D or 3-D label image with the images' proportions, of any size; what is not 0 is a mark. The formats
            are those of masks.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "marks.npy"
    >>> np.save(file, np.eye(4, dtype=np.uint8)[:, ::-1])
    >>> Marks(file).at((2, 2)).tolist()
    [[False, True], [True, False]]
    """

    file: Path

    def at(self, size: Sequence[int]) -> Bool[np.ndarray, "*space"]:
        """The pixels of an image of this size that hold part of a mark.

        Raises:
            InputError: the file is missing, of another format or unreadable, has another number of axes, or is empty.
        """
        return pixels_marked(self.file, tuple(size))


@lru_cache(maxsize=16)
def pixels_marked(file: Path, size: tuple[int, ...]) -> Bool[np.ndarray, "*space"]:
    """The pixels of a size that hold part of a mark."""
    try:
        drawn = decode_labels(file).array != 0
    except InputError as error:
        raise InputError(f"cohort.marks: {error}") from error
    if drawn.ndim != len(size):
        found = f"has {drawn.ndim} axes and the images {len(size)}"
        raise InputError(f"cohort.marks: {file}: {found}; draw it on an image of the cohort")
    if not drawn.any():
        raise InputError(f"cohort.marks: {file}: every pixel is 0; draw the marks, or leave cohort.marks out")
    return area_resample(drawn[None].astype(np.float32), size)[0] > 0
