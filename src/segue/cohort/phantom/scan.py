"""From tissues to an image in HU: attenuation, texture, blur, blooming and noise.

Tissue values are averaged over each pixel, then blurred by the scanner's Gaussian point spread function, which motion
widens across the vessel. The excess of calcium over the lumen is blurred once more (blooming). White noise passes
through the same point spread function, so that sharper images have finer noise. All of it is a product of modes in the
cosine basis, whose borders mirror the image: a Gaussian of standard deviation sigma multiplies mode j of an axis of
length L by exp(-(sigma pi j / L)^2 / 2), and white noise stays white.
"""

import numpy as np
from jaxtyping import Float, Float32
from scipy.fft import dctn, idctn

from segue.cohort.phantom.geometry import Tissue, third_of
from segue.cohort.phantom.noise import ACROSS, ALONG, Noise

FWHM = np.sqrt(8 * np.log(2))  # full width at half maximum of a Gaussian, in standard deviations
TEXTURE = 0.8  # mm, standard deviation of the Gaussian that correlates the texture


def scan(tissue: Tissue, noise: Noise) -> Float32[np.ndarray, "batch height width"]:
    """The image in HU."""
    size = tissue.lumen.shape[1:]
    x = (np.arange(size[1]) + 0.5) * ALONG / size[1]
    blood = _column(noise.lumen_hu[:, None] - noise.fall_hu[:, None] * x / ALONG)
    calcium, soft = (_column(noise.lesions.attenuation[:, k, third_of(x)]) for k in (0, 1))
    fat, wall, heart = (_column(value[:, None]) for value in (noise.fat_hu, noise.wall_hu, noise.heart_hu))
    white = _white(noise, size)
    spread = _transfer(np.hypot(noise.blur / FWHM, noise.motion), noise.blur / FWHM, size)
    plain = fat + tissue.heart * (heart - fat) + tissue.wall * (wall - fat) + tissue.branch * (blood - fat)
    plain += (tissue.lumen + tissue.calcified_plaque) * (blood - fat) + tissue.noncalcified_plaque * (soft - fat)
    plain += _texture(noise, white[:, 0], size) * (1 - _vessel(tissue))
    excess = tissue.calcified_plaque * (calcium - blood)
    bloom = _transfer(noise.blooming, noise.blooming, size)
    loudness = noise.noise_hu / np.sqrt(np.mean(spread**2, axis=(1, 2)))
    grain = white[:, 1] * _column(loudness[:, None])
    return _back(spread * (_modes(plain) + grain + bloom * _modes(excess)))


def _vessel(tissue: Tissue) -> Float32[np.ndarray, "batch height width"]:
    return tissue.lumen + tissue.calcified_plaque + tissue.noncalcified_plaque + tissue.wall + tissue.branch


def _column(values: Float[np.ndarray, "batch #width"]) -> Float32[np.ndarray, "batch 1 #width"]:
    return values.astype(np.float32)[:, None]


def _white(noise: Noise, size: tuple[int, ...]) -> Float32[np.ndarray, "batch 2 height width"]:
    """Two fields of white noise an image: the texture's, and the scanner's."""
    fields = [np.random.default_rng(grain).standard_normal((2, *size), dtype=np.float32) for grain in noise.grain]
    return np.stack(fields)


def _texture(
    noise: Noise, white: Float32[np.ndarray, "batch height width"], size: tuple[int, ...]
) -> Float32[np.ndarray, "batch height width"]:
    """A correlated field of standard deviation `texture_hu`."""
    smooth = _transfer(np.full(len(noise), TEXTURE), np.full(len(noise), TEXTURE), size)
    loudness = noise.texture_hu / np.sqrt(np.mean(smooth**2, axis=(1, 2)))
    return _back(smooth * white) * _column(loudness[:, None])


def _transfer(
    across: Float[np.ndarray, " batch"], along: Float[np.ndarray, " batch"], size: tuple[int, ...]
) -> Float32[np.ndarray, "batch height width"]:
    """What a Gaussian blur of these standard deviations (mm) multiplies each mode by."""
    axes = []
    for sigma, extent, length in ((across, ACROSS, size[0]), (along, ALONG, size[1])):
        frequency = np.pi * np.arange(length) / extent
        axes.append(np.exp(-0.5 * (sigma[:, None] * frequency) ** 2).astype(np.float32))
    return axes[0][:, :, None] * axes[1][:, None, :]


def _modes(image: Float32[np.ndarray, "batch height width"]) -> Float32[np.ndarray, "batch height width"]:
    """The image's modes (DCT-II); an image at a time, so that no bit depends on the batch, nor on threads."""
    return np.stack([dctn(one, norm="ortho") for one in image])


def _back(modes: Float32[np.ndarray, "batch height width"]) -> Float32[np.ndarray, "batch height width"]:
    """The image of modes."""
    return np.stack([idctn(one, norm="ortho") for one in modes])
