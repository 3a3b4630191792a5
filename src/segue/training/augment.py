"""Random geometry and intensity for a whole batch at once, on its own device.

MONAI's dictionary transforms work on one image at a time, on the CPU. With small images this takes longer than the
training step itself.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from segue import processes

CONTROL = 4  # control points of an elastic deformation along each axis


def random_affine(
    batch: int, *, space: tuple[int, ...], rotate: float, scale: float, shift: float, flip_axes: tuple[int, ...]
) -> Float[Tensor, "batch dims homogeneous"]:
    """Inverse affine maps in `grid_sample` coordinates (last axis first).

    Rotation is in the plane of the last two axes, and takes the aspect ratio into account: a rotated disc is a disc.

    Args:
        rotate: the largest angle, in degrees.
        scale: the largest relative change of size, for each axis.
        shift: the largest shift, as a fraction of the image.
        flip_axes: axes that are flipped with probability 1/2.
    """
    dims = len(space)
    angle = torch.deg2rad(rotate * uniform(batch))
    matrix = torch.diag_embed(1 + scale * uniform(batch, dims))
    aspect = space[-2] / space[-1]  # in normalised coordinates both sides have length 2
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
    """A smooth random displacement field in `grid_sample` coordinates.

    It is normally distributed at 4 control points along each axis, and interpolated between them: cubic in two
    dimensions, linear in three. Below a standard deviation of 0.05 it does not fold the image.

    Args:
        elastic: the standard deviation at the control points, as a fraction of the image.
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
    """Resample `x` at the positions given by `affine`; outside of the image its border is repeated.

    Args:
        displacement: added to these positions.
        sharp: cubic instead of linear interpolation, in two dimensions. Linear interpolation keeps about half of the
            finest detail, and an image model learns this blur. Cubic interpolation keeps nine tenths, but its values
            can leave the range of a mask.
    """
    grid = F.affine_grid(affine.to(x), list(x.shape), align_corners=False)
    if displacement is not None:
        grid = grid + displacement.to(x)
    mode = "bicubic" if sharp and x.ndim == 4 else "bilinear"
    return F.grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=False)


def jitter(
    x: Float[Tensor, "batch channel *space"], *, contrast: float, brightness: float, noise: float
) -> Float[Tensor, "batch channel *space"]:
    """Random contrast (about zero), random brightness, and white noise of random strength; `x` is in about [-1, 1]."""
    shape = (len(x), *[1] * (x.ndim - 1))
    gain = 1 + contrast * uniform(*shape).to(x)
    strength = noise * processes.rand(*shape).to(x)
    white = processes.randn(*x.shape, device=x.device).to(x.dtype)
    return gain * x + brightness * uniform(*shape).to(x) + strength * white


def uniform(*shape: int) -> Tensor:
    """Uniform on [-1, 1), drawn on the CPU, so that the numbers do not depend on the device."""
    return 2 * processes.rand(*shape) - 1
