"""Crops around edits: the part of an image that a reader would look at."""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy import hard
from segue.causal.parents import Parents, SoftMasks
from segue.evaluation.asked import Asked

SHARE, SMALLEST = 1 / 3, {2: 24, 3: 16}
"""A crop's side: this share of the shorter side of the image, but at least so many pixels, by the number of axes."""

Site = tuple[int, int]
"""An image (its place in the store) and a variable."""


def crop_shape(size: tuple[int, ...]) -> tuple[int, ...]:
    """The sides of a crop: a square or cube, but no longer than the image.

    A square of 24 pixels is a small part of an image. A cube of 24 is most of many volumes, so a cube may be smaller.

    >>> crop_shape((96, 120)), crop_shape((16, 48)), crop_shape((32, 48, 32))
    ((32, 32), (16, 24), (16, 16, 16))
    """
    side = max(SMALLEST[len(size)], round(SHARE * min(size)))
    return tuple(min(side, length) for length in size)


def centre(
    structure: Float[Tensor, "batch *space"], region: Float[Tensor, "batch *space"]
) -> Float[Tensor, "batch dims"]:
    """The centroid of a structure's part in its region; that of the region where the structure is not there.

    >>> mask = torch.zeros(1, 4, 4)
    >>> mask[0, 1, 3] = 1
    >>> centre(mask, torch.ones(1, 4, 4)).tolist(), centre(0 * mask, torch.ones(1, 4, 4)).tolist()
    ([[1.0, 3.0]], [[1.5, 1.5]])
    """
    part = structure * region
    present = part.flatten(1).sum(1) > 0
    mass = torch.where(present.reshape(-1, *[1] * (region.ndim - 1)), part, region)
    mass = mass / mass.flatten(1).sum(1).clamp_min(1e-12).reshape(-1, *[1] * (region.ndim - 1))
    axes = [torch.arange(length, device=mass.device, dtype=mass.dtype) for length in region.shape[1:]]
    return torch.stack([(mass * grid).flatten(1).sum(1) for grid in torch.meshgrid(*axes, indexing="ij")], dim=1)


def cut(
    image: Float[Tensor, "batch channel *space"], centres: Float[Tensor, "batch dims"], shape: tuple[int, ...]
) -> Float[Tensor, "batch channel *crop"]:
    """A crop of each image around its centre, moved so that it stays inside the image.

    >>> cut(torch.arange(6.0).reshape(1, 1, 1, 6), torch.tensor([[0.0, 5.0]]), (1, 3)).tolist()
    [[[[3.0, 4.0, 5.0]]]]
    """
    room = torch.tensor(image.shape[2:]) - torch.tensor(shape)
    first = (centres.cpu() + 0.5 - torch.tensor(shape) / 2).round().long().clamp(min=0).minimum(room)
    slices = [tuple(slice(a, a + n) for a, n in zip(row, shape, strict=True)) for row in first.tolist()]
    return torch.stack([one[:, *where] for one, where in zip(image, slices, strict=True)])


def crops_of(
    asked: Asked, images: Sequence[Tensor], parents: Parents, judge: SoftMasks, wanted: Collection[Site]
) -> dict[Site, Float[Tensor, "channel *crop"]]:
    """The crops of a batch that are wanted, around each variable's structure in its region as the judge draws it.

    Args:
        images: (batch, channel, *space), one for each variable: counterfactuals, or the factual images again and again.
    """
    found: dict[Site, Tensor] = {}
    for v, (image, structure) in enumerate(zip(images, parents.structure_of.tolist(), strict=True)):
        rows = [row for row, place in enumerate(asked.places.tolist()) if (place, v) in wanted]
        if rows:
            chosen = image[rows]
            masks = hard(judge.soft(chosen))[:, 1 + structure]
            crops = cut(chosen, centre(masks, asked.facts.weights[rows, v]), crop_shape(tuple(image.shape[2:])))
            found |= {(int(asked.places[row]), v): crop for row, crop in zip(rows, crops, strict=True)}
    return found
