"""What goes wrong with an image before a model sees it."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from segue.cohort.grid import Grid
from segue.training.augment import smoothed

BLOCK = 4  # side of the squares of the checkerboard, in pixels


def corruptions(raw: Tensor, grid: Grid) -> Iterator[tuple[str, str, Tensor]]:
    """Images (batch, channel, row, column) in the source's units under each corruption: name, right mend, images.

    The mend is a part of the sentence that should name it; "" where there is none.
    """
    low, high = raw.amin((1, 2, 3), keepdim=True), raw.amax((1, 2, 3), keepdim=True)
    start, end = grid.intensity.usual
    yield "all pixels 0", "is it empty", torch.zeros_like(raw)
    yield "all pixels white", "is it empty", torch.full_like(raw, end)
    yield "all pixels grey", "is it empty", torch.full_like(raw, (start + end) / 2)
    yield "white noise alone", "", start + (end - start) * torch.rand_like(raw)
    for share in (0.05, 0.1, 0.2):
        yield f"white noise added, sd {share:.0%} of the range", "", raw + share * (high - low) * torch.randn_like(raw)
    yield "inverted", "inverted", low + high - raw
    yield from turned(raw, grid)
    yield "divided by 255", "multiply by 255", raw / 255
    yield "16 bits (times 257)", "divide by 257", raw * 257
    yield "16 bits (own range to 0 to 65535)", "", (raw - low) / (high - low) * 65535
    yield "1024 added", "subtract 1024", raw + 1024
    yield from moved(raw, low)
    for share in (32, 16):
        sd = torch.full((len(raw),), max(grid.size) / share)
        yield f"blurred, sd 1/{share} of the longer side", "", smoothed(raw, sd)
    order = torch.randperm(grid.pixels)
    yield "pixels shuffled", "", raw.flatten(2)[:, :, order].reshape(raw.shape)
    yield "checkerboard", "", torch.where(checkerboard(grid), low, high).expand_as(raw).contiguous()


def turned(raw: Tensor, grid: Grid) -> Iterator[tuple[str, str, Tensor]]:
    """Axes swapped, flipped and turned."""
    yield "transposed", "transpose", resized(raw.transpose(2, 3), grid.size)
    yield "flipped up-down", "upside down", raw.flip(2)
    yield "flipped left-right", "left and right", raw.flip(3)
    yield "turned by 90 degrees", "90 degrees counter", resized(raw.rot90(1, (2, 3)), grid.size)
    yield "turned by 180 degrees", "180 degrees", raw.flip(2, 3)


def moved(raw: Tensor, low: Tensor) -> Iterator[tuple[str, str, Tensor]]:
    """Parts of the image missing."""
    height, width = raw.shape[2:]
    rows, columns = slice(height // 4, height // 4 + height // 2), slice(width // 4, width // 4 + width // 2)
    yield "middle half of each side alone", "", resized(raw[:, :, rows, columns], (height, width))
    yield "upper left quarter alone", "", resized(raw[:, :, : height // 2, : width // 2], (height, width))
    half = raw.clone()
    half[:, :, height // 2 :] = low
    yield "lower half blank", "", half
    small = low.expand_as(raw).clone()
    small[:, :, rows, columns] = resized(raw, (height // 2, width // 2))
    yield "half the size in a blank border", "", small


def resized(raw: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resampled linearly."""
    return F.interpolate(raw, size=size, mode="bilinear", align_corners=False, antialias=True)


def checkerboard(grid: Grid) -> Tensor:
    """Which squares are dark."""
    row, column = (torch.arange(side) // BLOCK for side in grid.size)
    return (row[:, None] + column) % 2 == 0


def stretched(raw: Tensor, like: Tensor) -> Tensor:
    """Another cohort's images with the mean darkest and brightest values of these."""
    low, high = raw.amin((1, 2, 3), keepdim=True), raw.amax((1, 2, 3), keepdim=True)
    dark, bright = like.amin((1, 2, 3)).mean(), like.amax((1, 2, 3)).mean()
    return (raw - low) / (high - low) * (bright - dark) + dark
