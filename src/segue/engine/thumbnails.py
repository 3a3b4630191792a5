"""Where an image is bright and dark, at low resolution: how far from training images, and in which pose.

How far: the Mahalanobis distance of a thumbnail under probabilistic principal components (Tipping & Bishop, J R Stat
Soc B 1999;61:611). In which pose: linear discriminants between training images and the same images flipped, swapped,
turned or inverted (Golan & El-Yaniv, NeurIPS 2018, do this with a deep network). Where a cohort looks the same in
another pose, or holds both, the two are not told apart.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["ThumbnailModel", "fit_thumbnails", "thumbnails_of"]

PIXELS_OF_THUMBNAIL = 256  # pixels of one channel of a thumbnail, about
COMPONENTS = 40  # principal components, at most; and at most a quarter of the images
SHRINKAGE = 0.3  # of a discriminant's covariance towards a multiple of the identity
FLAT = 1e-3  # standard deviation of a thumbnail, in the networks' range, that counts as contrast


@dataclass(frozen=True)
class ThumbnailModel:
    """The thumbnails of training images, summarised.

    Attributes:
        mean: of the thumbnails. axes: principal components, and their variances. rest: variance of every other axis.
        discriminants: by pose, a weight for each pixel and an offset: log odds that an image is in that pose, not as it
            should be.

    >>> images = torch.rand(40, 1, 8, 8) + torch.arange(8.0)
    >>> layout = fit_thumbnails(thumbnails_of(images), {"flipped 1": thumbnails_of(images.flip(3))})
    >>> upright, flipped = (layout.log_odds(thumbnails_of(x))["flipped 1"] for x in (images, images.flip(3)))
    >>> bool(upright.max() < 0 < flipped.min())
    True
    """

    mean: Float[Tensor, " pixel"]
    axes: Float[Tensor, "component pixel"]
    variances: Float[Tensor, " component"]
    rest: Float[Tensor, ""]
    discriminants: Mapping[str, Float[Tensor, " weight"]]

    def distance(self, thumbs: Float[Tensor, "batch pixel"]) -> Float[Tensor, " batch"]:
        """log10 of the squared Mahalanobis distance from the training images."""
        apart = thumbs - self.mean
        along = apart @ self.axes.T
        beyond = (apart.square().sum(1) - along.square().sum(1)).clamp_min(0)
        return ((along.square() / self.variances).sum(1) + beyond / self.rest).clamp_min(FLAT).log10()

    def log_odds(self, thumbs: Float[Tensor, "batch pixel"]) -> dict[str, Float[Tensor, " batch"]]:
        """Of each pose against none."""
        return {pose: thumbs @ one[:-1] + one[-1] for pose, one in self.discriminants.items()}

    def to(self, device: torch.device) -> "ThumbnailModel":
        """On a device."""
        mean, axes, variances, rest = (part.to(device) for part in (self.mean, self.axes, self.variances, self.rest))
        discriminants = {pose: one.to(device) for pose, one in self.discriminants.items()}
        return ThumbnailModel(mean, axes, variances, rest, discriminants)


def thumbnails_of(image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch pixel"]:
    """Images at a low resolution, of mean 0 and standard deviation 1: intensities are looked at elsewhere.

    >>> thumbnails_of(torch.rand(2, 1, 96, 96)).shape
    torch.Size([2, 256])
    """
    size = image.shape[2:]
    shrink = min(1.0, (PIXELS_OF_THUMBNAIL / math.prod(size)) ** (1 / len(size)))
    small = tuple(max(1, round(side * shrink)) for side in size)
    pool = F.adaptive_avg_pool2d if len(size) == 2 else F.adaptive_avg_pool3d
    rows = pool(image, small).flatten(1)  # type: ignore[arg-type]
    return (rows - rows.mean(1, keepdim=True)) / rows.std(1, keepdim=True).clamp_min(FLAT)


def fit_thumbnails(
    thumbs: Float[Tensor, "batch pixel"], posed: Mapping[str, Float[Tensor, "batch pixel"]]
) -> ThumbnailModel:
    """From the thumbnails of training images, and of the same images in each pose."""
    mean, (count, pixels) = thumbs.mean(0), thumbs.shape
    _, singular, axes = torch.linalg.svd(thumbs - mean, full_matrices=False)
    variances = singular.square() / max(count - 1, 1) + FLAT**2
    kept = max(1, min(COMPONENTS, count // 4, pixels - 1))
    rest = variances[kept:].sum() / (pixels - kept) + FLAT**2
    found = {pose: discriminant(thumbs, other) for pose, other in posed.items()}
    return ThumbnailModel(mean, axes[:kept].contiguous(), variances[:kept], rest, found)


def discriminant(
    one: Float[Tensor, "batch pixel"], other: Float[Tensor, "batch pixel"]
) -> Float[Tensor, " weight"]:
    """Fisher's linear discriminant: (w, b), log odds w x + b that x is of the other kind; the covariance is shrunk."""
    within = torch.cat([one - one.mean(0), other - other.mean(0)]).double()
    covariance = within.T @ within / len(within)
    even = covariance.diagonal().mean() + FLAT**2
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * even * torch.eye(len(covariance)).to(covariance)
    weights = torch.linalg.solve(shrunk, (other.mean(0) - one.mean(0)).double()).to(one)
    return torch.cat([weights, -(weights @ (one.mean(0) + other.mean(0))).reshape(1) / 2])
