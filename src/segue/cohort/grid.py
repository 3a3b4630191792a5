"""The grid of a study's images: their size, channels and intensities, and the unit of an area."""

from torch import Tensor


def scaled(image: Tensor, intensity: tuple[float, float]) -> Tensor:
    """Raw units to the networks' range: `intensity` goes to [-1, 1], unclipped (so that it can be undone exactly)."""
    low, high = intensity
    return (image - low) * (2 / (high - low)) - 1


def unscaled(image: Tensor, intensity: tuple[float, float]) -> Tensor:
    """The inverse of `scaled`."""
    low, high = intensity
    return (image + 1) * ((high - low) / 2) + low
