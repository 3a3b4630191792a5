"""What the scanner draws on its images: calipers, a catheter, a scale. It is no anatomy.

No network sees marks, for what it sees it learns, moves and paints: their pixels are filled from around them. No answer
changes them: they are put back, bit for bit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import SuperLU, splu
from torch import Tensor

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
            InputError: the file is missing, of another format or unreadable, has another number of axes, or marks no
                pixel or every one.
        """
        return pixels_marked(self.file, tuple(size))

    def removed(self, image: Float[Tensor, "*shape"], size: Sequence[int]) -> Float[Tensor, "*shape"]:
        """Images without their marks, each marked pixel the mean of its neighbours (Laplace's equation).

        Args:
            image: its last axes are of `size`.

        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "marks.npy"
        >>> np.save(file, np.array([[0, 1, 1, 0]], np.uint8))
        >>> Marks(file).removed(torch.tensor([[1.0, 9.0, 9.0, 4.0]]), (1, 4))
        tensor([[1., 2., 3., 4.]])
        """
        inside, border, system = filling(self.file, tuple(size))
        pixels = image.reshape(-1, math.prod(size)).clone()
        found = system.solve(border @ pixels.T.cpu().double().numpy())
        pixels[:, torch.from_numpy(inside).to(pixels.device)] = torch.from_numpy(found.T).to(pixels)
        return pixels.reshape(image.shape)


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
    marked = area_resample(drawn[None].astype(np.float32), size)[0] > 0
    if marked.all():
        raise InputError(f"cohort.marks: {file}: marks every pixel of an image; draw the marks alone, on 0")
    return marked


class Filling(NamedTuple):
    """Laplace's equation on marked pixels: `system` times their values is `border` times all pixels (flattened).

    >>> Filling._fields
    ('inside', 'border', 'system')
    """

    inside: Int[np.ndarray, " marked"]
    border: csr_array
    system: SuperLU


@lru_cache(maxsize=16)
def filling(file: Path, size: tuple[int, ...]) -> Filling:
    """The equation of the marks on images of a size."""
    marked = pixels_marked(file, size)
    inside = np.flatnonzero(marked)
    one, other = neighbours(marked)
    row, known = np.searchsorted(inside, one), ~marked.ravel()[other]
    border = coo_array((np.ones(known.sum()), (row[known], other[known])), shape=(len(inside), marked.size))
    column = np.searchsorted(inside, other[~known])
    among = coo_array((np.ones(len(column)), (row[~known], column)), shape=(len(inside), len(inside)))
    degree = diags_array(np.bincount(row, minlength=len(inside)).astype(float))
    return Filling(inside, border.tocsr(), splu((degree - among).tocsc()))


def neighbours(marked: Bool[np.ndarray, "*space"]) -> tuple[Shaped[np.ndarray, " pair"], Shaped[np.ndarray, " pair"]]:
    """Each marked pixel with each of its neighbours along the axes, by flat index.

    >>> neighbours(np.array([[False, True, False]]))
    (array([1, 1]), array([2, 0]))
    """
    index, pairs = np.arange(marked.size).reshape(marked.shape), []
    for axis in range(marked.ndim):
        before, after = (np.moveaxis(index, axis, 0)[part].ravel() for part in (np.s_[:-1], np.s_[1:]))
        for one, other in ((before, after), (after, before)):
            of_marks = marked.ravel()[one]
            pairs.append((one[of_marks], other[of_marks]))
    one, other = map(np.concatenate, zip(*pairs, strict=True))
    return one, other
