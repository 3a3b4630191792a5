"""Shapes of given areas: from (areas, noise) to the share of each pixel that each tissue covers.

In every column the tissues lie one above another, so a structure is the set between two borders y(x), and the share of
a pixel that it covers is exact across the vessel and supersampled along it. From the lumen outwards, on both sides:
calcified plaque, non-calcified plaque, wall, fat; towards the heart, the myocardium. A plaque keeps to its third.

The shapes are solved for, third by third, so that each third has its given area and no request changes another third.
A plaque's profile has a closed integral, which gives its thickness. It grows outwards (positive remodelling), so that
the lumen keeps its area. The lumen has a level in each third. Where two thirds meet, its calibre is part of the noise:
the area of a third depends on its own level only.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.special import beta

from segue.phantom.noise import ACROSS, ALONG, PLAQUES, SPREAD, THIRD, Branches, Noise

SUPERSAMPLING = 3  # columns rendered for each column of the image
FADE = 4.0  # mm over which a third's calibre leaves its level for that of its border
NARROWEST, WIDEST = 0.5, 5.0  # mm: of a third's level; the former also of the lumen however tight the stenosis
NEWTON_STEPS = 8
COARSE = 144  # columns on which limits are checked
REFERENCE = 5.0  # mm2, the area at which a lesion has its noise's length; length and thickness grow alike
SMALLEST = 0.1  # mm2: smaller lesions get thinner, but not shorter
MARGIN = 0.2  # mm that a lesion keeps from its third's ends
THICKEST = 2.5  # mm of plaque


class Tissue(NamedTuple):
    """Share of each pixel covered by each tissue, fat being the rest; `branch` and `heart` are outside the vessel."""

    lumen: Float32[np.ndarray, "batch height width"]
    calcified_plaque: Float32[np.ndarray, "batch height width"]
    noncalcified_plaque: Float32[np.ndarray, "batch height width"]
    wall: Float32[np.ndarray, "batch height width"]
    branch: Float32[np.ndarray, "batch height width"]
    heart: Float32[np.ndarray, "batch height width"]


def feasible(areas: Float[np.ndarray, "batch 9"], noise: Noise) -> Float[np.ndarray, "batch 9"]:
    """The nearest areas that the geometry can hold, mm2."""
    most = THICKEST * _longest(noise) * _profile_mean(noise.lesions.bluntness)
    lumen = Lumen(noise, places(COARSE))
    narrowest, widest = (lumen.areas(np.full((len(noise), 3), level)) for level in (NARROWEST, WIDEST))
    return np.concatenate(
        [areas[:, :3].clip(narrowest, widest), areas[:, 3:].clip(0, most.reshape(len(areas), -1))], axis=1
    )


def tissues(areas: Float[np.ndarray, "batch 9"], noise: Noise, size: tuple[int, int]) -> Tissue:
    """Shapes whose structure x region areas are those given (see `feasible`), on a grid of `size`."""
    x = places(size[1] * SUPERSAMPLING)
    upper, lower = _borders(areas, noise, x)
    above, below = [_share_above(y, size) for y in upper], [_share_above(y, size) for y in lower]
    calcified, soft, ring = ((above[k - 1] - above[k]) + (below[k] - below[k - 1]) for k in (1, 2, 3))
    outside = 1 - (below[-1] - above[-1])
    branch = _branches(noise.branches, ACROSS / 2 + _wave(noise.course, x), size) * outside
    heart = _heart(noise, x, upper[-1], lower[-1], size)
    return Tissue(below[0] - above[0], calcified, soft, ring, branch, np.minimum(heart, outside) * (1 - branch))


def in_view(areas: Float[np.ndarray, "batch 9"], noise: Noise) -> Bool[np.ndarray, " batch"]:
    """Whether all plaque lies within the field of view."""
    upper, lower = _borders(areas, noise, places(COARSE))
    return (upper[2].min(axis=1) >= 0) & (lower[2].max(axis=1) <= ACROSS)


def _borders(
    areas: Float[np.ndarray, "batch 9"], noise: Noise, x: Float[np.ndarray, " x"]
) -> list[Float[np.ndarray, "border batch x"]]:
    """Outer borders of lumen, calcified, non-calcified plaque and wall above the centre line, and below it, mm."""
    radius = Lumen(noise, x).of(areas[:, :3]) / 2
    wall = np.broadcast_to(noise.wall[:, None], radius.shape)
    centre = ACROSS / 2 + _wave(noise.course, x)
    outwards = (
        np.cumsum([radius, *(_plaque(areas, noise, x, k, side) for k in range(len(PLAQUES))), wall], axis=0)
        for side in (-1, 1)
    )
    return [centre + side * y for side, y in zip((-1, 1), outwards, strict=True)]


# ---- the lumen ---------------------------------------------------------------------------------------------------


class Lumen:
    """The lumen's diameter along the vessel, mm: d(x) = max(w(x) level + (1 - w(x)) border + shape(x), NARROWEST).

    Each third has a level. The calibre of a border, where two thirds meet, and the shape (ripple and stenosis) are part
    of the noise. The weight w is 1, except near a border, where it falls to 0 within `FADE`.
    """

    def __init__(self, noise: Noise, x: Float[np.ndarray, " x"]) -> None:
        """At positions x, mm, evenly spaced, the same number in each third."""
        near = (np.abs(x - np.array([[THIRD], [2 * THIRD]])).min(axis=0) / FADE).clip(0, 1)
        level = near**2 * (3 - 2 * near)
        border = noise.borders[:, (x > ALONG / 2).astype(int)]
        fixed = (1 - level) * border + _wave(noise.ripple, x)
        for r in range(3):
            offset = (x - noise.place[:, r, None]) / SPREAD
            fixed = fixed - noise.stenosis[:, r, None] * np.exp(-0.5 * offset**2)
        self.step = ALONG / len(x)
        self.weight, self.fixed = level.reshape(3, -1), fixed.reshape(len(noise), 3, -1)

    def diameter(self, levels: Float[np.ndarray, "batch 3"]) -> Float[np.ndarray, "batch 3 x"]:
        """mm, third by third."""
        return np.maximum(self.weight * levels[..., None] + self.fixed, NARROWEST)

    def areas(self, levels: Float[np.ndarray, "batch 3"]) -> Float[np.ndarray, "batch 3"]:
        """mm2 of each third."""
        return self.step * self.diameter(levels).sum(-1)

    def of(self, areas: Float[np.ndarray, "batch 3"]) -> Float[np.ndarray, "batch x"]:
        """The diameter of given areas, mm."""
        return self.diameter(self.levels(areas)).reshape(len(areas), -1)

    def levels(self, areas: Float[np.ndarray, "batch 3"]) -> Float[np.ndarray, "batch 3"]:
        """The level of each third, mm, at which the lumen has the given areas.

        An area is convex and piecewise linear in its level. So Newton's method converges to the solution from above; it
        starts at the level that solves the problem without the lower limit of the diameter.
        """
        levels = (areas / self.step - self.fixed.sum(-1)) / self.weight.sum(-1)
        for _ in range(NEWTON_STEPS):
            diameter = self.diameter(levels)
            slope = np.where(diameter > NARROWEST, self.weight, 0).sum(-1)
            excess = diameter.sum(-1) - areas / self.step
            levels = levels - np.divide(excess, slope, out=np.zeros_like(levels), where=slope > 0)
        return levels


def places(count: int) -> Float[np.ndarray, " x"]:
    """The centres of `count` equal parts of the vessel, mm."""
    return (np.arange(count) + 0.5) * ALONG / count


# ---- plaques -----------------------------------------------------------------------------------------------------


def _longest(noise: Noise) -> Float[np.ndarray, "batch 2 3"]:
    """The greatest possible length of each lesion, mm."""
    start = np.arange(3) * THIRD
    inside = np.minimum(noise.lesions.centre - start, start + THIRD - noise.lesions.centre)
    return 2 * (inside - MARGIN)


def _profile_mean(bluntness: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Mean of (1 - u^2)^b over u in (-1, 1): half of Euler's B(1/2, b + 1)."""
    return beta(0.5, bluntness + 1) / 2


def lesion(
    area: Float[np.ndarray, "batch 3"], noise: Noise, kind: int
) -> tuple[Float[np.ndarray, "batch 3"], Float[np.ndarray, "batch 3"]]:
    """(length, greatest thickness) of the plaques of a type, mm: thickness * length * mean of the profile = area."""
    lesions = noise.lesions
    grown = np.sqrt(np.maximum(area, SMALLEST) / REFERENCE)
    length = np.minimum(lesions.length[:, kind] * grown, _longest(noise)[:, kind])
    return length, area / (length * _profile_mean(lesions.bluntness[:, kind]))


def _plaque(
    areas: Float[np.ndarray, "batch 9"], noise: Noise, x: Float[np.ndarray, " x"], kind: int, side: int
) -> Float[np.ndarray, "batch x"]:
    """Thickness on one side along the vessel, mm; the profile's integral over each supersampled column is exact."""
    lesions, third = noise.lesions, third_of(x)
    length, thickness = lesion(areas[:, 3 + 3 * kind : 6 + 3 * kind], noise, kind)
    offset = (x - lesions.centre[:, kind, third]) / length[:, third] * 2
    profile = (1 - offset**2).clip(0) ** lesions.bluntness[:, kind, third]
    drawn = (thickness * (lesions.side[:, kind] == side))[:, third] * profile
    return _normalised(drawn, areas[:, 3 + 3 * kind : 6 + 3 * kind] * (lesions.side[:, kind] == side), third, x)


def _normalised(
    drawn: Float[np.ndarray, "batch x"],
    area: Float[np.ndarray, "batch 3"],
    third: Int[np.ndarray, " x"],
    x: Float[np.ndarray, " x"],
) -> Float[np.ndarray, "batch x"]:
    """`drawn` scaled to exact areas: sampling its steep ends misses about a percent."""
    sums = (ALONG / len(x)) * np.stack([drawn[:, third == r].sum(1) for r in range(3)], axis=1)
    return drawn * np.divide(area, sums, out=np.zeros_like(area), where=sums > 0)[:, third]


# ---- surroundings ------------------------------------------------------------------------------------------------


def _heart(
    noise: Noise,
    x: Float[np.ndarray, " x"],
    upper: Float[np.ndarray, "batch x"],
    lower: Float[np.ndarray, "batch x"],
    size: tuple[int, int],
) -> Float32[np.ndarray, "batch height width"]:
    """Share of each pixel in the myocardium, which recedes where the vessel bulges into it."""
    down = noise.heart_side[:, None] > 0
    surface = ACROSS / 2 + (noise.heart_side * noise.heart_distance)[:, None] + _wave(noise.relief, x)
    above = _share_above(np.where(down, np.maximum(surface, lower), np.minimum(surface, upper)), size)
    return np.where(down[..., None], 1 - above, above)


def _branches(
    branches: Branches, centre: Float[np.ndarray, "batch x"], size: tuple[int, int]
) -> Float32[np.ndarray, "batch height width"]:
    """Share of each pixel in a side branch, ignoring the vessel; edges are a pixel wide."""
    height, width = size
    rows = ((np.arange(height) + 0.5) * ACROSS / height).astype(np.float32)[:, None]
    columns = ((np.arange(width) + 0.5) * ALONG / width).astype(np.float32)
    middle = centre.reshape(len(centre), width, SUPERSAMPLING).mean(2).astype(np.float32)
    pixel = ALONG / width
    covered = np.zeros((len(centre), height, width), dtype=np.float32)
    for image, b in np.argwhere(branches.calibre > 0):
        position, calibre, slant, reach, side = (
            float(getattr(branches, name)[image, b]) for name in ("position", "calibre", "slant", "reach", "side")
        )
        away = side * (rows - middle[image])  # mm from the centre line, towards the branch's side
        across = np.abs(columns - position - slant * away) / (1 + slant**2) ** 0.5
        inside = ((calibre / 2 - across) / pixel + 0.5).clip(0, 1) * ((reach - away) / pixel + 0.5).clip(0, 1)
        covered[image] = np.maximum(covered[image], inside * (away > 0))
    return covered


def _share_above(y: Float[np.ndarray, "batch x"], size: tuple[int, int]) -> Float32[np.ndarray, "batch height width"]:
    """Share of each pixel above the border y(x): exact in y, the mean of `SUPERSAMPLING` columns in x."""
    height, width = size
    rows = (y * (height / ACROSS)).astype(np.float32).reshape(len(y), 1, width, SUPERSAMPLING)
    first = np.arange(height, dtype=np.float32)[:, None]
    covered = np.zeros((len(y), height, width), dtype=np.float32)
    for k in range(SUPERSAMPLING):
        share = rows[..., k] - first
        covered += np.clip(share, 0, 1, out=share)
    return covered / np.float32(SUPERSAMPLING)


def _wave(
    coefficients: Float[np.ndarray, "batch harmonic 2"], x: Float[np.ndarray, " x"]
) -> Float[np.ndarray, "batch x"]:
    """sum_k a_k cos(k pi x / ALONG) + b_k sin(k pi x / ALONG), k = 1, 2, ..."""
    angle = np.pi * np.arange(1, coefficients.shape[1] + 1)[:, None] * x / ALONG
    basis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.einsum("bkj,kjx->bx", coefficients, basis)


def third_of(x: Float[np.ndarray, " x"]) -> Int[np.ndarray, " x"]:
    """Which third of the vessel a position lies in: 0 proximal, 1 mid, 2 distal."""
    return (x / THIRD).astype(int).clip(0, 2)
