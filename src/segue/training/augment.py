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
    x: Float[Tensor, "batch channel *space"],
    *,
    contrast: float,
    brightness: float,
    noise: float,
    gamma: float = 0.0,
    blur: float = 0.0,
) -> Float[Tensor, "batch channel *space"]:
    """What another scanner might make of an image: blur, then tone, then contrast, brightness and noise.

    Each is random, and drawn for each image. What is 0 draws nothing from the stream of random numbers, if it is newer
    than the first three.

    Args:
        x: in about [-1, 1].
        contrast: the largest relative change, about zero. brightness: the largest shift.
        noise: the largest standard deviation of white noise.
        gamma: the largest |log gamma|: see `toned`. blur: the largest standard deviation, in pixels: see `smoothed`.
    """
    shape = (len(x), *[1] * (x.ndim - 1))
    if blur:
        x = smoothed(x, blur * processes.rand(len(x)).to(x))
    if gamma:
        x = toned(x, (gamma * uniform(*shape)).exp().to(x))
    gain = 1 + contrast * uniform(*shape).to(x)
    strength = noise * processes.rand(*shape).to(x)
    white = processes.randn(*x.shape, device=x.device).to(x.dtype)
    return gain * x + brightness * uniform(*shape).to(x) + strength * white


def toned(x: Float[Tensor, "*shape"], gamma: Float[Tensor, "..."] | float) -> Float[Tensor, "*shape"]:
    """t^gamma, where t = (x + 1) / 2: below 1 it lightens the middle tones, above 1 it darkens them.

    Values below -1 (t < 0) stay as they are: no power of them is real, and the order of all values is kept.

    >>> toned(torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0]), 2.0)
    tensor([-2.0000, -1.0000, -0.5000,  1.0000,  7.0000])
    """
    return torch.where(x > -1, 2 * ((x + 1) / 2).clamp_min(0) ** gamma - 1, x)


def smoothed(
    x: Float[Tensor, "batch channel *space"], sd: Float[Tensor, " batch"]
) -> Float[Tensor, "batch channel *space"]:
    """A Gaussian blur of each image with a standard deviation of its own, in pixels; 0 leaves an image as it is.

    Along each axis it is a product with a matrix, whose rows add up to one at the border too, in float32.

    >>> x = torch.zeros(2, 1, 1, 5).index_fill(3, torch.tensor([2]), 1.0)
    >>> smoothed(x, torch.tensor([0.0, 0.5])).squeeze().round(decimals=2)
    tensor([[0.0000, 0.0000, 1.0000, 0.0000, 0.0000],
            [0.0000, 0.1100, 0.7900, 0.1100, 0.0000]])
    """
    inverse_variance = sd.float().clamp_min(1e-3) ** -2  # at a thousandth of a pixel, the neighbour's weight is 0
    with torch.autocast(x.device.type, enabled=False):
        for axis in range(2, x.ndim):
            place = torch.arange(x.shape[axis], device=x.device, dtype=torch.float32)
            apart = (place[:, None] - place).square()
            weights = torch.softmax(-apart / 2 * inverse_variance[:, None, None], dim=2)
            lines = x.float().movedim(axis, -1)
            mixed = lines.flatten(1, -2) @ weights.mT
            x = mixed.reshape(lines.shape).movedim(-1, axis)
    return x


def uniform(*shape: int) -> Tensor:
    """Uniform on [-1, 1), drawn on the CPU, so that the numbers do not depend on the device."""
    return 2 * processes.rand(*shape) - 1
