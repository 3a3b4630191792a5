"""Folding: where a displacement turns the image over itself, which no movement of tissue does."""

import torch
from jaxtyping import Float
from torch import Tensor


def folded(displacement: Float[Tensor, "batch dims *space"]) -> Float[Tensor, " batch"]:
    """Share of pixels p where the Jacobian determinant of p + displacement(p) is not positive.

    Derivatives are central differences, one-sided at the image's edge (Dalca et al., Med Image Anal 2019;57:226 count
    such voxels of a registration).

    Args:
        displacement: in pixels, along each axis of the image in turn; at least two pixels along each.

    >>> mirrored = torch.zeros(1, 2, 4, 4)
    >>> mirrored[:, 1] = 3 - 2 * torch.arange(4.0)  # along the second axis
    >>> folded(torch.zeros(1, 2, 4, 4)), folded(mirrored)
    (tensor([0.]), tensor([1.]))
    """
    axes = tuple(range(2, displacement.ndim))
    slopes = torch.stack(torch.gradient(displacement.double(), dim=axes), dim=2)  # batch, dims, axes, *space
    jacobian = slopes.movedim((1, 2), (-2, -1)) + torch.eye(len(axes), device=slopes.device, dtype=slopes.dtype)
    return (torch.linalg.det(jacobian) <= 0).flatten(1).float().mean(1)
