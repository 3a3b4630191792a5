"""A counterfactual on the pixels of the file that its image came from.

The networks answer on the study's grid, which is often coarser than the file. Of the answer two things are known there:
how the anatomy moves (the displacement d), and the image x*. The displacement is brought to the file's grid and moves
the file's own pixels f, so that their detail is kept. What the motion does not explain is painted:

    f* = f + m + up(r)        m = W(f; up(d)) - W(f; 0)        r = (x* - x) - down(m)

Where the scanner has drawn on the image, what moves is the file without the marks, and f* has those of f
(`segue.cohort.marks`). `down` is the mean over the study's pixels, by which x was made from f. `up` is linear
interpolation; what it loses is added again (back-projection; Irani & Peleg, CVGIP 1991), so that down(f*) is x* but for
a small rest. A mechanism that does not move has m = 0. Where d and r are zero the change is zero, and the file's pixels
stay bit for bit. A file on the study's grid has the answer x* itself.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from segue.anatomy import hard
from segue.cohort.case import Case
from segue.cohort.grid import Grid
from segue.cohort.io import decode_image, place_pixels
from segue.cohort.marks import Marks
from segue.cohort.origin import Origin
from segue.cohort.resample import area_resample
from segue.mechanisms.diffeomorphism import resample

__all__ = ["case_on_file", "change_on_file", "file_pixels", "labels_on_file", "on_file_grid", "origin_of"]

if TYPE_CHECKING:
    from segue.engine.answer import CaseAnswer

STILL = 1e-3
"""Motion by less, in pixels of the study's grid, is none."""
UNPAINTED = 1e-4
"""Paint of less, as a share of the image's window, is none."""
ROUNDS = 6  # of back-projection


def origin_of(file: Path, grid: Grid, *, slice: int | None = None) -> Origin:
    """Where an image of this file lies in it, once it is on a study's grid.

    Args:
        slice: along the file's last axis, from 0, of a file with one axis more than the study.

    Raises:
        InputError: the file cannot be read, or its plane is another than the grid's.

    >>> import tempfile
    >>> from PIL import Image
    >>> file = Path(tempfile.mkdtemp()) / "a.png"
    >>> Image.fromarray(np.zeros((4, 6), np.uint8)).save(file)
    >>> origin_of(file, Grid((2, 3))).placement.shape
    (4, 6)
    """
    pixels = decode_image(file, len(grid.size), slice=slice)
    return Origin(file, place_pixels(file, pixels, axes=grid.axes), slice)


def labels_on_file(soft: Float[Tensor, "structure *size"], shape: tuple[int, ...]) -> UInt8[np.ndarray, "*space"]:
    """Soft masks of the study's grid as labels on the file's: 0 is background, k the k-th structure.

    >>> labels_on_file(torch.tensor([[[0.9, 0.1]]]), (1, 4)).tolist()
    [[1, 1, 0, 0]]
    """
    found = hard(on_file_grid(soft.float().cpu(), shape)[None])[0]
    return found.argmax(0).to(torch.uint8).numpy()


def file_pixels(origin: Origin, dims: int) -> Shaped[np.ndarray, "*space"]:
    """The file's own pixels, in the study's axes.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from segue.cohort.placement import placement
    >>> file = Path(tempfile.mkdtemp()) / "a.png"
    >>> Image.fromarray(np.array([[0, 255]], np.uint8)).save(file)
    >>> file_pixels(Origin(file, placement((1, 2))), dims=2).tolist()
    [[0, 255]]
    """
    return origin.placement.to_study(decode_image(origin.file, dims, slice=origin.slice).array)


def on_file_grid(values: Float[Tensor, "channel *size"], shape: tuple[int, ...]) -> Float[Tensor, "channel *space"]:
    """Values on the study's grid, interpolated linearly between its pixels' centres.

    >>> on_file_grid(torch.tensor([[[0.0, 1.0]]]), (1, 4))
    tensor([[[0.0000, 0.2500, 0.7500, 1.0000]]])
    """
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(shape)]
    return interpolate(values[None], size=shape, mode=mode, align_corners=False)[0]


@torch.inference_mode()
def change_on_file(
    pixels: Shaped[np.ndarray, "*space"],
    x: Float[np.ndarray, "*size"],
    x_star: Float[np.ndarray, "*size"],
    displacement: Float[np.ndarray, "dims *size"] | None,
    *,
    window: tuple[float, float],
    marks: Marks | None = None,
) -> Float[np.ndarray, "*space"]:
    """f* - f, in the file's units; exactly 0 where nothing changes, and on what the scanner has drawn.

    Args:
        pixels: f, in the study's axes. x, x_star: on the study's grid.
        displacement: in pixels of the study's grid (`segue.mechanisms.base.Moved`); None where nothing moves.
        window: (black, white) of the image. marks: of the study.

    >>> file, x = np.ones((8, 8)), np.ones((4, 4))
    >>> change_on_file(file, x, x, np.zeros((2, 4, 4)), window=(0.0, 1.0)).any()
    np.False_
    """
    size = x_star.shape
    if pixels.shape == size:
        return x_star.astype(np.float64) - x
    seen = pixels if marks is None else marks.removed(torch.from_numpy(pixels.astype(np.float32)), pixels.shape).numpy()
    moved = np.zeros(pixels.shape) if displacement is None else motion(seen, displacement)
    paint = x_star.astype(np.float64) - x - area_resample(moved, size)
    if marks is not None:
        paint = marks.removed(torch.from_numpy(paint), size).numpy()  # there x and x* are not known
    paint[np.abs(paint) < UNPAINTED * (window[1] - window[0])] = 0
    painted = to_file(paint, pixels.shape)
    touched = to_file((paint != 0).astype(np.float64), pixels.shape) > 0
    for _ in range(ROUNDS):
        painted += to_file(paint - area_resample(painted, size), pixels.shape) * touched
    change = moved + painted
    if marks is not None:
        change[marks.at(pixels.shape)] = 0
    return change


def case_on_file(case: Case, found: "CaseAnswer", grid: Grid) -> Float32[np.ndarray, "request 1 *file"]:
    """The counterfactuals of an image on the pixels of its file, in the file's axes; unchanged pixels are the file's.

    Args:
        grid: of the study; its images have one channel.
    """
    assert case.origin is not None  # the caller has asked
    dims = len(grid.size)
    pixels, window = file_pixels(case.origin, dims), grid.limits(case.image)
    shifts = [None] * len(found.images) if found.displacement is None else found.displacement
    answers = []
    for x_star, shift in zip(found.images, shifts, strict=True):
        change = change_on_file(pixels, case.image[0], x_star[0], shift, window=window, marks=grid.marks)
        changed = np.where(change == 0, pixels, pixels + change).astype(np.float32)
        answers.append(case.origin.placement.to_file(changed)[None])
    return np.stack(answers)


def to_file(values: Float[np.ndarray, "*size"], shape: tuple[int, ...]) -> Float[np.ndarray, "*space"]:
    """`on_file_grid`, of one map."""
    return on_file_grid(torch.from_numpy(values)[None], shape)[0].numpy()


def motion(
    pixels: Shaped[np.ndarray, "*space"], displacement: Float[np.ndarray, "dims *size"]
) -> Float[np.ndarray, "*space"]:
    """What moving changes of the file's pixels; 0 where they stay."""
    size, shape = displacement.shape[1:], pixels.shape
    field = torch.from_numpy(displacement.astype(np.float32))
    field = torch.where(field.abs().amax(0) < STILL, 0, field)
    ratio = torch.tensor([new / old for new, old in zip(shape, size, strict=True)])
    field = on_file_grid(field, shape) * ratio.reshape(-1, *[1] * len(shape))
    found, box = np.zeros(shape), moving_box(field)
    image = torch.from_numpy(pixels[box].astype(np.float32))[None, None]
    part = field[(slice(None), *box)][None]
    found[box] = (resample(image, part) - resample(image, torch.zeros_like(part)))[0, 0].double().numpy()
    return found


def moving_box(field: Float[Tensor, "dims *space"]) -> tuple[slice, ...]:
    """The box of all that moves and of all that it shows: a large volume is resampled there alone.

    >>> field = torch.zeros(1, 20)
    >>> field[0, 8] = 1.5
    >>> moving_box(field)
    (slice(3, 14, None),)
    """
    reach = int(field.abs().max().ceil()) + 3  # cubic interpolation reads two pixels on
    places = field.abs().amax(0).nonzero()
    if not len(places):
        return (slice(0, 1),) * len(field)
    first, last = (places.min(0).values - reach).tolist(), (places.max(0).values + reach + 1).tolist()
    return tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(first, last, field.shape[1:], strict=True))
