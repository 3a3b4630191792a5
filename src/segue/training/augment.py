"""Random geometry and intensity for a whole batch at once, on its own device.

Batched because MONAI's dictionary transforms work one sample at a time on the host, which at these image sizes costs
more than the training step itself.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from segue import processes

CONTROL = 4  # points along an axis of an elastic deformation


def random_affine(
    batch: int, *, space: tuple[int, ...], rotate: float, scale: float, shift: float, flip_axes: tuple[int, ...]
) -> Float[Tensor, "batch dims homogeneous"]:
    """Inverse affine maps in `grid_sample` coordinates (last axis first): angles in degrees, shifts as a fraction.

    Rotation is in the plane of the last two axes, and true to pixel aspect (a rotated disc stays a disc).
    """
    dims = len(space)
    angle = torch.deg2rad(rotate * uniform(batch))
    matrix = torch.diag_embed(1 + scale * uniform(batch, dims))
    aspect = space[-2] / space[-1]  # normalised coordinates stretch the shorter side
    turn = torch.eye(dims).repeat(batch, 1, 1)
    turn[:, 0, 0], turn[:, 0, 1] = angle.cos(), -angle.sin() * aspect
    turn[:, 1, 0], turn[:, 1, 1] = angle.sin() / aspect, angle.cos()
    for axis in flip_axes:
        column = dims - 1 - axis
        matrix[:, :, column] *= torch.where(processes.rand(batch, 1) < 0.5, -1.0, 1.0)
    return torch.cat([turn @ matrix, (2 * shift * uniform(batch, dims)).unsqueeze(2)], dim=2)


def random_displacement(
    batch: int, *, space: tuple[int, ...], elastic: float
) -> Float[Tensor, "batch *space dims"]:
    """A smooth random field in `grid_sample` coordinates: normal at 4 points along each axis, between them by cubic (of
    three axes: linear) interpolation. `elastic` is its deviation there, as a fraction of the image.

    Below a deviation of 0.05 it folds nothing: neighbouring points lie a third of the image apart.
    """
    dims = len(space)
    coarse = 2 * elastic * processes.randn(batch, dims, *[CONTROL] * dims)
    mode = "bicubic" if dims == 2 else "trilinear"
    return F.interpolate(coarse, size=space, mode=mode, align_corners=True).movedim(1, -1)


def warp(
    x: Float[Tensor, "batch channel *space"],
    affine: Tensor,
    displacement: Float[Tensor, "batch *space dims"] | None = None,
    *,
    sharp: bool = False,
) -> Float[Tensor, "batch channel *space"]:
    """Resample `x` by `affine`, repeating its border: linearly, or (`sharp`, of two axes) by cubic convolution.

    Args:
        displacement: added to where `affine` says that pixels come from.

    Linear weights leave an image about half of its finest detail, and an image model learns that blur; cubic ones leave
    nine tenths, but pass the bounds of a mask.
    """
    grid = F.affine_grid(affine.to(x), list(x.shape), align_corners=False)
    if displacement is not None:
        grid = grid + displacement.to(x)
    mode = "bicubic" if sharp and x.ndim == 4 else "bilinear"
    return F.grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=False)


def jitter(
    x: Float[Tensor, "batch channel *space"], *, contrast: float, brightness: float, noise: float
) -> Float[Tensor, "batch channel *space"]:
    """Random contrast about zero, brightness, and white noise of random strength; `x` ranges over about [-1, 1]."""
    shape = (len(x), *[1] * (x.ndim - 1))
    gain = 1 + contrast * uniform(*shape).to(x)
    strength = noise * processes.rand(*shape).to(x)
    white = processes.randn(*x.shape, device=x.device).to(x.dtype)
    return gain * x + brightness * uniform(*shape).to(x) + strength * white


def uniform(*shape: int) -> Tensor:
    """Uniform on [-1, 1), drawn on the host, so that every device sees the same stream."""
    return 2 * processes.rand(*shape) - 1
