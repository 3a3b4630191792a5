"""Areas measured on soft masks, and values painted back as images."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segue.anatomy.measurement.area import area_of


def measure(
    soft: Float[Tensor, "batch structure *space"],
    weights: Float[Tensor, "batch variable *space"],
    structure_of: Int[Tensor, " variable"],
    pixel_area: Float[Tensor, " batch"],
) -> Float[Tensor, "batch variable"]:
    """a_v = pixel_area * sum_i w_v(i) s_k(v)(i): the area (volume in 3-D) of a structure in a region.

    Args:
        soft: the segmentation, probabilities in [0, 1].
        weights: each variable's region.
        structure_of: k(v), each variable's channel of `soft`.
        pixel_area: in mm2 (mm3), or 1; the result has its unit.

    >>> soft = torch.ones(1, 1, 1, 4)
    >>> weights = torch.tensor([[[[1.0, 1.0, 0.5, 0.0]], [[0.0, 0.0, 0.5, 1.0]]]])
    >>> measure(soft, weights, torch.tensor([0, 0]), pixel_area=torch.tensor([0.25])).tolist()
    [[0.625, 0.375]]
    """
    return area_of(weights * soft[:, structure_of.to(soft.device)], pixel_area)


def hard(soft: Float[Tensor, "batch structure *space"]) -> Float[Tensor, "batch class *space"]:
    """The most likely class of each pixel, one-hot, the background first.

    >>> hard(torch.tensor([[[0.9, 0.2]]]))
    tensor([[[0., 1.],
             [1., 0.]]])
    """
    full = torch.cat([1 - soft.sum(1, keepdim=True), soft], dim=1)
    return torch.nn.functional.one_hot(full.argmax(1), full.shape[1]).movedim(-1, 1).float()


def paint(
    values: Float[Tensor, "batch variable"],
    weights: Float[Tensor, "batch variable *space"],
    structure_of: Int[Tensor, " variable"],
    n_structures: int,
) -> Float[Tensor, "batch structure *space"]:
    """p_k(i) = sum over v of channel k of a_v w_v(i): an image of each structure's values in their regions.

    >>> weights = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    >>> paint(torch.tensor([[3.0, 5.0]]), weights, torch.tensor([1, 1]), n_structures=2)[0, :, 0].tolist()
    [[0.0, 0.0], [3.0, 5.0]]
    """
    batch, variables, *space = weights.shape
    spread = values.reshape(batch, variables, *[1] * len(space)) * weights
    painted = spread.new_zeros(batch, n_structures, *space)
    return painted.index_add(1, structure_of.to(spread.device), spread)


def structure_sums(
    values: Float[Tensor, "batch variable"], structure_of: Int[Tensor, " variable"], n_structures: int
) -> Float[Tensor, "batch structure"]:
    """A_k = sum over v of channel k of a_v: the areas that a guide without regions sees.

    >>> structure_sums(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([0, 0, 1]), n_structures=2).tolist()
    [[3.0, 4.0]]
    """
    return values.new_zeros(len(values), n_structures).index_add(1, structure_of.to(values.device), values)


def elsewhere(
    weights: Float[Tensor, "batch measured *space"], changed: Bool[Tensor, "batch measured"]
) -> Float[Tensor, "batch 1 *space"]:
    """1 outside the regions of variables that are asked to change, 0 inside them, between the two on soft edges.

    >>> weights = torch.tensor([[[1.0, 0.25, 0.0], [0.0, 0.75, 1.0]]])
    >>> elsewhere(weights, torch.tensor([[True, False]])).flatten().tolist()
    [0.0, 0.75, 1.0]
    """
    asked = changed.to(weights).reshape(*changed.shape, *[1] * (weights.ndim - 2))
    return 1 - (asked * weights).amax(1, keepdim=True)
