"""A coronary CT phantom: straightened longitudinal images of an artery whose every area is known.

Two steps, kept apart so that a counterfactual can be rendered from the noise of its factual:

    draw    exogenous noise: an `Anatomy` holds every random number of an image, in physical units;
    render  a deterministic map from an anatomy to the image (HU) and to the area fractions of its structures.

Geometry. The field of view is fixed: 12 mm across (rows) by 36 mm along the vessel (columns; column 0 is
proximal). In every column the tissues lie one above another, so a structure is the set between two borders
y(x), and the share of a pixel that it covers is exact across the vessel and supersampled along it. From the
lumen outwards, on both sides: calcified plaque, non-calcified plaque, wall, fat; towards the heart, the
myocardium. A plaque keeps to its third.

Physics. Tissue values are averaged over each pixel, white noise is added, and both pass through the scanner's
Gaussian point spread function, so sharper images have finer noise. The fractions see neither.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
from jaxtyping import Float, Float32, Int
from scipy.fft import dctn, idctn

from segue.cohort.phantom_noise import ACROSS, ALONG, FIELD_OF_VIEW, THIRD, Anatomy, Plaques, draw
from segue.cohort.record import Record
from segue.errors import InputError

__all__ = ["STRUCTURES", "Anatomy", "Plaques", "draw", "render", "render_cohort", "write_folder"]

STRUCTURES = ("lumen", "calcified_plaque", "noncalcified_plaque")
SUPERSAMPLING = 4  # columns rendered for each column of the image
FADE = 6.0  # mm over which one third's calibre becomes the next one's
NARROWEST = 0.3  # mm from the centre line to the lumen's border, however tight the stenosis
BATCH = 64


def render(
    anatomy: Anatomy, size: tuple[int, int]
) -> tuple[Float32[np.ndarray, "batch 1 height width"], Float32[np.ndarray, "batch 3 height width"]]:
    """Images in HU and the area fractions of `STRUCTURES`, on a grid of `size` over the field of view.

    Deterministic: one anatomy, one pair of arrays. Two sizes show the same vessel under two noise fields.
    """
    tissue = _tissue_fractions(anatomy, size)
    fat = anatomy.fat_hu[:, None, None]
    hu = fat + sum((value - fat) * tissue[name] for name, value in _attenuations(anatomy, size).items())
    image = _scan(hu, anatomy)
    fractions = np.stack([tissue[name] for name in STRUCTURES], axis=1)
    return image[:, None].astype(np.float32), fractions.clip(0, 1).astype(np.float32)


def _tissue_fractions(
    anatomy: Anatomy, size: tuple[int, int]
) -> dict[str, Float[np.ndarray, "batch height width"]]:
    """Share of each pixel covered by each tissue but fat, which is the rest."""
    x = (np.arange(size[1] * SUPERSAMPLING) + 0.5) * ALONG / (size[1] * SUPERSAMPLING)
    upper, lower = _borders(anatomy, x, side=-1), _borders(anatomy, x, side=1)
    above = [_share_above(y, size) for y in upper]
    below = [_share_above(y, size) for y in lower]
    tissue = {"lumen": below[0] - above[0]}
    for k, name in enumerate(("calcified_plaque", "noncalcified_plaque", "wall"), start=1):
        tissue[name] = (above[k - 1] - above[k]) + (below[k] - below[k - 1])
    return tissue | {"heart": _heart_fraction(anatomy, x, upper[-1], lower[-1], size)}


def _borders(anatomy: Anatomy, x: Float[np.ndarray, " x"], side: int) -> list[Float[np.ndarray, "batch x"]]:
    """Outer borders of lumen, calcified, non-calcified plaque and wall, mm below the image's upper edge."""
    calcified, hard_push = _thickness(anatomy.calcified, x, side)
    noncalcified, soft_push = _thickness(anatomy.noncalcified, x, side)
    lumen = np.maximum(_calibre(anatomy, x) / 2 - hard_push - soft_push, NARROWEST)
    centre = ACROSS / 2 + _wave(anatomy.course, x)
    wall = np.broadcast_to(anatomy.wall[:, None], lumen.shape)
    outwards = np.cumsum([lumen, calcified, noncalcified, wall], axis=0)
    return list(centre + side * outwards)


def _calibre(anatomy: Anatomy, x: Float[np.ndarray, " x"]) -> Float[np.ndarray, "batch x"]:
    """Lumen diameter before plaque, mm: level in a third, a smooth step between thirds, a slight ripple."""
    diameter = anatomy.diameter[:, :1] + _wave(anatomy.ripple, x)
    for border in (1, 2):
        step = ((x - border * THIRD) / FADE + 0.5).clip(0, 1)
        diameter = diameter + np.diff(anatomy.diameter)[:, border - 1, None] * step**2 * (3 - 2 * step)
    return diameter


def _thickness(
    plaques: Plaques, x: Float[np.ndarray, " x"], side: int
) -> tuple[Float[np.ndarray, "batch x"], Float[np.ndarray, "batch x"]]:
    """Thickness of the plaques on one side, mm, and how much of it narrows the lumen, mm."""
    third = _third(x)
    offset = (x - plaques.centre[:, third]) / (plaques.length[:, third] / 2)
    profile = (1 - offset**2).clip(0) ** plaques.bluntness[:, third]
    thickness = (plaques.thickness * (plaques.side == side))[:, third] * profile
    return thickness, plaques.encroachment[:, third] * thickness


def _heart_fraction(
    anatomy: Anatomy,
    x: Float[np.ndarray, " x"],
    upper: Float[np.ndarray, "batch x"],
    lower: Float[np.ndarray, "batch x"],
    size: tuple[int, int],
) -> Float[np.ndarray, "batch height width"]:
    """Share of each pixel in the myocardium, which gives way where the vessel bulges into it."""
    down = anatomy.heart_side[:, None] > 0
    surface = ACROSS / 2 + (anatomy.heart_side * anatomy.heart_distance)[:, None] + _wave(anatomy.relief, x)
    above = _share_above(np.where(down, np.maximum(surface, lower), np.minimum(surface, upper)), size)
    return np.where(down[..., None], 1 - above, above)


def _share_above(
    y: Float[np.ndarray, "batch x"], size: tuple[int, int]
) -> Float[np.ndarray, "batch height width"]:
    """Share of each pixel above the border y(x): exact in y, the mean of `SUPERSAMPLING` columns in x."""
    height, width = size
    rows = (y * (height / ACROSS)).astype(np.float32)[:, None, :]
    covered = (rows - np.arange(height, dtype=np.float32)[:, None]).clip(0, 1)
    return covered.reshape(len(y), height, width, SUPERSAMPLING).mean(-1)


def _attenuations(anatomy: Anatomy, size: tuple[int, int]) -> dict[str, Float[np.ndarray, "batch 1 #width"]]:
    """HU of each tissue but fat, along the vessel where it varies."""
    x = (np.arange(size[1]) + 0.5) * ALONG / size[1]
    third = _third(x)
    return {
        "lumen": (anatomy.lumen[:, None] - anatomy.fall[:, None] * x / ALONG)[:, None],
        "calcified_plaque": anatomy.calcified.attenuation[:, None, third],
        "noncalcified_plaque": anatomy.noncalcified.attenuation[:, None, third],
        "wall": anatomy.wall_hu[:, None, None],
        "heart": anatomy.heart_hu[:, None, None],
    }


def _scan(
    hu: Float[np.ndarray, "batch height width"], anatomy: Anatomy
) -> Float[np.ndarray, "batch height width"]:
    """Blur and noise: white noise added to the tissue, then one Gaussian point spread function over both.

    In the cosine basis, whose borders mirror the image, the blur multiplies mode (j, k) by
    exp(-sigma^2 ((pi j / height)^2 + (pi k / width)^2) / 2), all lengths in mm, and white noise stays white.
    """
    size = hu.shape[1:]
    j, k = (np.pi * np.arange(length) / extent for length, extent in zip(size, FIELD_OF_VIEW, strict=True))
    sigma = anatomy.blur[:, None, None] / np.sqrt(8 * np.log(2))
    transfer = np.exp(-0.5 * sigma**2 * (j[:, None] ** 2 + k**2))
    white = np.stack([np.random.default_rng(grain).standard_normal(size) for grain in anatomy.grain])
    loudness = anatomy.noise[:, None, None] / np.sqrt(np.mean(transfer**2, axis=(1, 2), keepdims=True))
    modes = transfer * (dctn(hu, axes=(1, 2), norm="ortho") + loudness * white)
    return idctn(modes, axes=(1, 2), norm="ortho")


def _wave(
    coefficients: Float[np.ndarray, "batch harmonic 2"], x: Float[np.ndarray, " x"]
) -> Float[np.ndarray, "batch x"]:
    """sum_k a_k cos(k pi x / ALONG) + b_k sin(k pi x / ALONG), k = 1, 2, ..."""
    angle = np.pi * np.arange(1, coefficients.shape[1] + 1)[:, None] * x / ALONG
    basis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (coefficients[..., None] * basis).sum(axis=(1, 2))


def _third(x: Float[np.ndarray, " x"]) -> Int[np.ndarray, " x"]:
    """Which third of the vessel a position lies in: 0 proximal, 1 mid, 2 distal."""
    return (x / THIRD).astype(int).clip(0, 2)


def render_cohort(
    n: int, *, size: tuple[int, int] = (32, 96), seed: int = 0, start: int = 0
) -> Iterator[Record]:
    """Images `start` to `start + n - 1` of the phantom cohort `seed`, each a subject of its own.

    Raises:
        InputError: if `n` or `size` leaves nothing to render.
    """
    if n < 1 or start < 0 or len(size) != 2 or min(size) < 1:
        asked = f"n={n}, start={start}, size={size}"
        raise InputError(f"phantom: {asked}: n and both entries of size must be at least 1, start at least 0")
    return _records(n, size, seed, start)


def _records(n: int, size: tuple[int, int], seed: int, start: int) -> Iterator[Record]:
    spacing = (ACROSS / size[0], ALONG / size[1])
    for first in range(start, start + n, BATCH):
        count = min(BATCH, start + n - first)
        images, fractions = render(draw(count, seed=seed, start=first), size)
        for i in range(count):
            name = f"phantom_{first + i:06d}"
            yield Record(id=name, subject=name, image=images[i], fractions=fractions[i], spacing=spacing)


def write_folder(out: Path, n: int, *, size: tuple[int, int] = (32, 96), seed: int = 0) -> None:
    """Write a cohort as `out/images/<id>.nii.gz` (HU, float32) and `out/masks/<id>.nii.gz` (uint8), both 2-D.

    A mask is k + 1 where `STRUCTURES[k]` covers more of the pixel than any other or the background, else 0.
    The folder appears under its name only once it is complete.

    Raises:
        InputError: if `out` exists.
    """
    if out.exists():
        raise InputError(f"{out}: already exists; remove it or name another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        folder = Path(scratch) / out.name
        for kind in ("images", "masks"):
            (folder / kind).mkdir(parents=True)
        for record in render_cohort(n, size=size, seed=seed):
            background = 1 - record.fractions.sum(axis=0, keepdims=True)
            labels = np.concatenate([background, record.fractions]).argmax(axis=0).astype(np.uint8)
            affine = np.diag([*(record.spacing or ()), 1.0, 1.0])
            nib.save(nib.Nifti1Image(record.image[0], affine), folder / "images" / f"{record.id}.nii.gz")
            nib.save(nib.Nifti1Image(labels, affine), folder / "masks" / f"{record.id}.nii.gz")
        folder.rename(out)
