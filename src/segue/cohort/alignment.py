"""A mask, or a further channel, on the grid of its image: turned where the axes differ, compared, perhaps resampled.

Two files of one case are compared by where their pixels lie in the patient. A picture (PNG, JPEG, DICOM without a
position) does not say that. ITK takes its columns for L and its rows for P, and so do 3D Slicer and ITK-SNAP: a NIfTI
mask that they drew on a picture has the axes LP(S), and is turned into rows and columns. Any other orientation beside a
picture could have come about in two ways.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from segue.cohort.io.reader import Pixels
from segue.cohort.placement import FROM_ITK, Affine, axis_codes, placement, turned_axes
from segue.errors import InputError

__all__ = ["aligned", "disagreement", "oriented"]

SPACING_TOLERANCE = 0.01  # largest relative difference of two spacings that are taken for equal: headers are rounded
OFFSET = 0.4  # largest distance of two corners that are taken for one, in pixels: an offset of half a pixel is none
PICTURE = "PLS"
"""The axes that ITK gives a picture's rows, columns and frames."""
MEND = "export both on one grid, or say cohort.resample_masks: true"


def aligned(path: Path, pixels: Pixels, image: Pixels, *, resample: bool = False, mend: str = MEND) -> Pixels:
    """A mask in the axes and on the grid of its image.

    Args:
        path: of the mask, for messages. resample: whether a mask on another grid is brought to the image's, each pixel
            with the label that is nearest; otherwise it is refused. mend: what messages advise.

    Raises:
        InputError: the two lie differently, and nothing says how to mend it.

    >>> image = Pixels(np.zeros((2, 2)))
    >>> drawn = Pixels(np.array([[0, 1], [0, 0]]), affine=np.diag([-1.0, -1.0, 1.0, 1.0]))
    >>> aligned(Path("mask.nii"), drawn, image).array.tolist()
    [[0, 0], [1, 0]]
    >>> aligned(Path("mask.nii"), Pixels(np.zeros((2, 3))), image)
    Traceback (most recent call last):
    segue.errors.InputError: mask.nii: is 2 x 3 pixels, its image 2 x 2; export both on one grid, or say ...
    """
    turned = oriented(path, pixels, image)
    what = disagreement(turned, image)
    if what is None:
        return turned
    if not resample:
        raise InputError(f"{path}: {what}; {mend}")
    return nearest_labels(path, turned, image, what)


def oriented(path: Path, pixels: Pixels, image: Pixels) -> Pixels:
    """The mask, its axes in the order and the direction of the image's.

    Raises:
        InputError: the planes differ, or one file is a picture and the other cannot be told to be of it.
    """
    dims = image.array.ndim
    if pixels.array.ndim != dims:
        return pixels  # their shapes differ: `disagreement` says so
    codes, wanted = (axis_codes(one.affine, dims) for one in (pixels, image))
    if codes == wanted:
        return pixels
    if codes is None or wanted is None:
        return turned_picture(path, pixels, image, codes or wanted or "")
    try:
        turned_axes(codes, wanted)
    except InputError:
        mend = "draw the mask on this image"
        raise InputError(f"{path}: has the axes {codes}, its image {wanted}, which is another plane; {mend}") from None
    place = placement(pixels.array.shape, affine=pixels.affine, axes=wanted)
    array = place.to_study(pixels.array)
    spacing = pixels.spacing and tuple(pixels.spacing[axis] for axis in place.order)
    return Pixels(array, spacing, None, place.affine_on(array.shape))


def turned_picture(path: Path, pixels: Pixels, image: Pixels, codes: str) -> Pixels:
    """A mask of which only itself, or only its image, has known axes, which are `codes`."""
    dims, shape, wanted = len(codes), pixels.array.shape, image.array.shape
    swap = (1, 0, *range(2, dims))
    if codes == FROM_ITK[:dims]:
        spacing = pixels.spacing and tuple(pixels.spacing[axis] for axis in swap)
        return Pixels(pixels.array.transpose(swap), spacing)
    if codes == PICTURE[:dims] or (shape == wanted and shape != tuple(shape[axis] for axis in swap)):
        return replace(pixels, affine=None)  # written from an array of rows and columns
    if shape[:2] == wanted[:2] or sorted(shape) == sorted(wanted):
        known, other = ("mask", "image") if image.affine is None else ("image", "mask")
        raise InputError(
            f"{path}: the {known} has the axes {codes}, the {other} does not say which way it lies, so the one may be "
            "turned against the other; export both as NIfTI, or both as PNG"
        )
    return pixels


def disagreement(pixels: Pixels, image: Pixels) -> str | None:
    """What differs between the grids of two files in the same axes, and by how much; None where nothing does.

    >>> near, far = np.eye(4), np.eye(4)
    >>> far[0, 3] = 3
    >>> disagreement(Pixels(np.zeros((2, 2)), affine=far), Pixels(np.zeros((2, 2)), affine=near))
    'lies 3 mm (3 pixels) away from its image'
    """
    if pixels.array.shape != image.array.shape:
        return f"is {times(pixels.array.shape)} pixels, its image {times(image.array.shape)}"
    if pixels.spacing and image.spacing:
        one, other = np.array(pixels.spacing), np.array(image.spacing)
        if (np.abs(one - other) > SPACING_TOLERANCE * other).any():
            return f"has pixels of {times(pixels.spacing)} mm, its image {times(image.spacing)}"
    if pixels.affine is None or image.affine is None:
        return None
    away = corner_distance(pixels.affine, image.affine, image.array.shape)
    pixel = float(np.linalg.norm(image.affine[:3, : image.array.ndim], axis=0).min())
    return None if away <= OFFSET * pixel else f"lies {away:.3g} mm ({away / pixel:.3g} pixels) away from its image"


def corner_distance(one: Affine, other: Affine, shape: tuple[int, ...]) -> float:
    """The largest distance between the places in mm that two affines give a corner of an image."""
    ends = np.stack(np.meshgrid(*[(0, side - 1) for side in shape], indexing="ij"), axis=-1).reshape(-1, len(shape))
    corners = np.column_stack([ends, np.zeros((len(ends), 3 - len(shape))), np.ones(len(ends))])
    return float(np.linalg.norm(corners @ (one - other)[:3].T, axis=1).max())


def times(sides: Sequence[float | int]) -> str:
    """Lengths for a message.

    >>> times((0.5, 2.0))
    '0.5 x 2'
    """
    return " x ".join(f"{side:g}" for side in sides)


def nearest_labels(path: Path, pixels: Pixels, image: Pixels, what: str) -> Pixels:
    """The nearest label at each pixel of the image; 0 beyond the mask.

    Raises:
        InputError: one of the files does not say where it lies.
    """
    if pixels.affine is None or image.affine is None or pixels.array.ndim != image.array.ndim:
        raise InputError(f"{path}: {what}, and one of the two does not say where it lies; export both on one grid")
    deep = (*image.array.shape, 1)[:3]
    stored = pixels.array.astype(np.float64).reshape((*pixels.array.shape, 1)[:3])
    import nibabel
    from nibabel.processing import resample_from_to

    source = nibabel.Nifti1Image(stored, pixels.affine)
    found = np.asarray(resample_from_to(source, (deep, image.affine), order=0).dataobj)
    return Pixels(found.reshape(image.array.shape), image.spacing, None, image.affine)
