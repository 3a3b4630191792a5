"""One image to a file, a grey PNG or NIfTI."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from PIL import Image

from segue.cohort.placement import scaled_axes


def to_bits(image: Shaped[np.ndarray, "*shape"], *, bits: int) -> Shaped[np.ndarray, "*shape"]:
    """Grey values of a PNG with 8 or 16 bits: rounded and clipped.

    >>> to_bits(np.array([[-3.0, 20.4, 300.0]]), bits=8).tolist()
    [[0, 20, 255]]
    """
    return image.clip(0, 2**bits - 1).round().astype(np.uint8 if bits == 8 else np.uint16)


def bits_of(intensity: tuple[float, float], image: Shaped[np.ndarray, "*space"]) -> int:
    """Bits of a PNG of this image: 8 where the usual intensities, and 99% of its values at least, fit in; else 16.

    A model knows 0 to 255, and is asked of a 12-bit image: the answer has 12 bits too.

    >>> bits_of((0.0, 255.0), np.array([0.0, 255.0])), bits_of((0.0, 255.0), np.array([0.0, 4095.0]))
    (8, 16)
    >>> bits_of((-1024.0, 3071.0), np.zeros(4))
    16
    """
    return 8 if intensity[1] <= 255 and np.percentile(image, 99) <= 255 else 16


def write_nifti(
    path: Path, image: Shaped[np.ndarray, "*space"], affine: Float[np.ndarray, "4 4"], *, labels: bool = False
) -> None:
    """Write a NIfTI file: float32, or uint8 for labels; its unit of length mm."""
    import nibabel

    written = nibabel.Nifti1Image(image.astype(np.uint8 if labels else np.float32, copy=False), affine)
    written.header.set_xyzt_units("mm")
    nibabel.save(written, path)


def write_image(path: Path, image: np.ndarray, spacing: tuple[float, ...] | None, *, bits: int) -> None:
    """Write a PNG of 8 or 16 bits, or NIfTI with the spacing of the study's grid, by the path's suffix."""
    if path.suffix == ".png":
        Image.fromarray(to_bits(image, bits=bits)).save(path)
    else:
        write_nifti(path, image, scaled_axes(spacing))
