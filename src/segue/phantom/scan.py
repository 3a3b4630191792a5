"""From tissues to an image in HU: attenuation, texture, blur, blooming and noise.

Tissue values are averaged over each pixel, then blurred by the scanner's Gaussian point spread function, which motion
widens across the vessel. The excess of calcium over the lumen is blurred once more (blooming). White noise passes
through the same point spread function, so that sharper images have finer noise. All of it is a product of modes in the
cosine basis, whose borders mirror the image: a Gaussian of standard deviation sigma multiplies mode j of an axis of
length L by exp(-(sigma pi j / L)^2 / 2), and white noise is white in its modes. Texture and noise are drawn as modes of
the field of view in mm, up to the frequencies that the blur passes. So fine and coarse grids sample the same scan.
"""

import numpy as np
from jaxtyping import Float, Float32
from scipy.fft import dctn, idctn

from segue.phantom.geometry import Tissue, third_of
from segue.phantom.noise import ACROSS, ALONG, Noise

FWHM = np.sqrt(8 * np.log(2))  # full width at half maximum of a Gaussian, in standard deviations
TEXTURE = 0.8  # mm, standard deviation of the Gaussian that correlates the texture
GRAIN_MODES, TEXTURE_MODES = (64, 192), (16, 48)  # across, along: the blur leaves less than 1% of those beyond


def scan(tissue: Tissue, noise: Noise) -> Float32[np.ndarray, "batch height width"]:
    """The image in HU."""
    size = (tissue.lumen.shape[1], tissue.lumen.shape[2])
    x = (np.arange(size[1]) + 0.5) * ALONG / size[1]
    blood = _column(noise.lumen_hu[:, None] - noise.fall_hu[:, None] * x / ALONG)
    calcium, soft = (_column(noise.lesions.attenuation[:, k, third_of(x)]) for k in (0, 1))
    fat, wall, heart = (_column(value[:, None]) for value in (noise.fat_hu, noise.wall_hu, noise.heart_hu))
    grain, texture = _fields(noise, size)
    plain = fat + tissue.heart * (heart - fat) + tissue.wall * (wall - fat) + tissue.branch * (blood - fat)
    plain += (tissue.lumen + tissue.calcified_plaque) * (blood - fat) + tissue.noncalcified_plaque * (soft - fat)
    plain += _back(texture) * (1 - _vessel(tissue))
    excess = tissue.calcified_plaque * (calcium - blood)
    spread = _transfer(*_spread(noise), size)
    bloom = _transfer(noise.blooming, noise.blooming, size)
    return _back(spread * (_modes(plain) + bloom * _modes(excess)) + grain)


def _vessel(tissue: Tissue) -> Float32[np.ndarray, "batch height width"]:
    return tissue.lumen + tissue.calcified_plaque + tissue.noncalcified_plaque + tissue.wall + tissue.branch


def _column(values: Float[np.ndarray, "batch #width"]) -> Float32[np.ndarray, "batch 1 #width"]:
    return values.astype(np.float32)[:, None]


def _spread(noise: Noise) -> tuple[Float[np.ndarray, " batch"], Float[np.ndarray, " batch"]]:
    """Standard deviation of the point spread function across and along the vessel, mm."""
    return np.hypot(noise.blur / FWHM, noise.motion), noise.blur / FWHM


def _fields(noise: Noise, size: tuple[int, int]) -> tuple[Float32[np.ndarray, "batch height width"], ...]:
    """The modes of the scanner's noise and of the texture, of standard deviation `noise_hu` and `texture_hu`."""
    streams = [np.random.default_rng(grain) for grain in noise.grain]
    correlated = np.full(len(noise), TEXTURE)
    return (
        _field(streams, noise.noise_hu, *_spread(noise), GRAIN_MODES, size),
        _field(streams, noise.texture_hu, correlated, correlated, TEXTURE_MODES, size),
    )


def _field(
    streams: list[np.random.Generator],
    loudness: Float[np.ndarray, " batch"],
    across: Float[np.ndarray, " batch"],
    along: Float[np.ndarray, " batch"],
    modes: tuple[int, int],
    size: tuple[int, int],
) -> Float32[np.ndarray, "batch height width"]:
    """Blurred white noise in `modes` modes of the field of view; frequencies above those of the grid are left out."""
    white = np.stack([stream.standard_normal(modes, dtype=np.float32) for stream in streams])
    transfer = _transfer(across, along, modes)
    scale = loudness * np.sqrt(size[0] * size[1] / np.sum(transfer**2, axis=(1, 2), dtype=np.float64))
    field = np.zeros((len(streams), *size), dtype=np.float32)
    rows, columns = min(modes[0], size[0]), min(modes[1], size[1])
    field[:, :rows, :columns] = (white * transfer * _column(scale[:, None]))[:, :rows, :columns]
    return field


def _transfer(
    across: Float[np.ndarray, " batch"], along: Float[np.ndarray, " batch"], modes: tuple[int, int]
) -> Float32[np.ndarray, "batch height width"]:
    """The factors by which a Gaussian blur of these standard deviations (mm) multiplies the modes."""
    axes = []
    for sigma, extent, length in ((across, ACROSS, modes[0]), (along, ALONG, modes[1])):
        frequency = np.pi * np.arange(length) / extent
        axes.append(np.exp(-0.5 * (sigma[:, None] * frequency) ** 2).astype(np.float32))
    return axes[0][:, :, None] * axes[1][:, None, :]


def _modes(image: Float32[np.ndarray, "batch height width"]) -> Float32[np.ndarray, "batch height width"]:
    """The image's modes (DCT-II); one image at a time, so that the bits depend neither on the batch nor on threads."""
    return np.stack([dctn(one, norm="ortho") for one in image])


def _back(modes: Float32[np.ndarray, "batch height width"]) -> Float32[np.ndarray, "batch height width"]:
    """The image of the modes (inverse DCT-II)."""
    return np.stack([idctn(one, norm="ortho") for one in modes])
