"""Reach: how much of a change lies far from the outlines of the structure that was asked to change.

A structure that grows or shrinks moves its outline. So an edit that is only that edit changes the image between the old
outline and the new one. Unlike leakage, this does not depend on the region: it means the same where a region is the
whole image.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from segue.anatomy.measure import hard

FAR = 0.06
"""A pixel is far from an outline beyond this share of the shorter image side."""


def both_sides(mask: Bool[Tensor, "batch *space"]) -> Bool[Tensor, "batch *space"]:
    """The pixels on both sides of a mask's border: those with a neighbour, diagonals included, of the other kind.

    The edge of the image is no border.

    >>> import torch
    >>> both_sides(torch.tensor([[[False, False, True, True]]])).tolist()
    [[[False, True, True, False]]]
    """
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[mask.ndim - 2]
    values = mask.float()[:, None]
    highest, lowest = (sign * pool(sign * values, 3, stride=1, padding=1) for sign in (1, -1))
    return (highest != lowest)[:, 0]


def far_from(outlines: Bool[Tensor, "batch *space"]) -> Bool[Tensor, "batch *space"]:
    """The pixels that are farther than `FAR` from the nearest pixel of an outline; all of them where there is none."""
    from scipy.ndimage import distance_transform_edt  # slow to import

    each = [distance_transform_edt(image) for image in (~outlines).cpu().numpy()]
    distance = torch.from_numpy(np.stack(each)).to(outlines.device)
    none = ~outlines.flatten(1).any(1).reshape(-1, *[1] * (outlines.ndim - 1))
    return none | (distance > FAR * min(outlines.shape[1:]))


def far_change(
    x: Float[Tensor, "batch channel *space"],
    counterfactual: Float[Tensor, "batch channel *space"],
    before: Bool[Tensor, "batch *space"],
    after: Bool[Tensor, "batch *space"],
) -> Float[Tensor, " batch"]:
    """Sum of |x* - x| far from both outlines, as a share of the intensity range (2, after scaling), in pixels.

    Args:
        before, after: hard masks of the structure in x and in x*.

    >>> import torch
    >>> x, mask = torch.zeros(1, 1, 32, 32), torch.zeros(1, 32, 32, dtype=torch.bool)
    >>> mask[:, :, :16] = True
    >>> far_change(x, x + 2, mask, mask)  # 0.06 * 32 = 1.9 pixels: two columns on each side are near
    tensor([896.])
    """
    return change_beyond(x, counterfactual, both_sides(before) | both_sides(after))


def change_beyond(
    x: Float[Tensor, "batch channel *space"],
    counterfactual: Float[Tensor, "batch channel *space"],
    outlines: Bool[Tensor, "batch *space"],
) -> Float[Tensor, " batch"]:
    """`far_change`, of outlines that are known."""
    difference = (counterfactual - x).abs().mean(1) / 2
    return (difference * far_from(outlines)).flatten(1).sum(1)


def reach(
    x: Float[Tensor, "batch channel *space"],
    counterfactual: Float[Tensor, "batch channel *space"],
    masks: Sequence[Float[Tensor, "batch structure *space"]],
    asked: Bool[Tensor, "batch structure"],
) -> Float[Tensor, " batch"]:
    """The share of |x* - x| far from the outlines of the structures that were asked to change; 0 without a change.

    Args:
        masks: soft masks of x, and of x*. asked: which structures of each image are meant.

    >>> import torch
    >>> x, mask = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    >>> mask[:, :, :, :16] = 1
    >>> reach(x, x + 2, [mask, mask], torch.ones(1, 1, dtype=torch.bool))  # 28 of 32 columns
    tensor([0.8750])
    """
    total = (counterfactual - x).abs().mean(1).flatten(1).sum(1) / 2
    if not total.any():
        return total
    chosen = asked.reshape(*asked.shape, *[1] * (x.ndim - 2))
    each = [hard(soft)[:, 1:].bool() for soft in masks]
    borders = [both_sides(one.flatten(0, 1)).unflatten(0, asked.shape) & chosen for one in each]
    return change_beyond(x, counterfactual, torch.stack(borders).any(0).any(1)) / total.clamp_min(1e-12)
