"""Phantom cohorts: records for a store, folders for a reader, and the noise behind a record."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from segue.cohort.record import Record
from segue.errors import InputError
from segue.files import whole_folder
from segue.phantom.law import COVARIATES, solve
from segue.phantom.noise import ACROSS, ALONG, Law, Noise, draw, draw_images
from segue.phantom.render import render

RENDERED_TOGETHER = 16  # images
PREFIX = "phantom_"


def noise_of(ids: Sequence[str], *, seed: int, law: Law = "independent") -> Noise:
    """The noise of records by their ids, in that order.

    Raises:
        InputError: an id is not one of a phantom.

    >>> from segue.phantom import draw
    >>> noise = noise_of(["phantom_000005"], seed=0)
    >>> bool(noise.lumen_hu[0] == draw(1, seed=0, start=5).lumen_hu[0])
    True
    """
    indices = []
    for id in ids:
        number = id.removeprefix(PREFIX)
        if number == id or not number.isdigit():
            raise InputError(f"{id}: not the id of a phantom; those are {PREFIX}000000, {PREFIX}000001, ...")
        indices.append(int(number))
    return draw_images(indices, seed=seed, law=law)


def render_cohort(
    n: int, *, size: tuple[int, int] = (32, 96), seed: int = 0, start: int = 0, law: Law = "independent"
) -> Iterator[Record]:
    """Images `start` to `start + n - 1` of the phantom cohort `seed`, one image per subject.

    Under the coupled law, each record has `COVARIATES`.

    Raises:
        InputError: `n` or `size` is below 1, or `start` negative.

    >>> record = next(render_cohort(1, size=(16, 48), law="coupled"))
    >>> record.id, record.image.shape, list(record.covariates)
    ('phantom_000000', (1, 16, 48), ['age', 'burden'])
    """
    if n < 1 or start < 0 or len(size) != 2 or min(size) < 1:
        asked = f"n={n}, start={start}, size={size}"
        raise InputError(f"phantom: {asked}: n and both entries of size must be at least 1, start at least 0")
    return _records(n, size, seed, start, law)


def _records(n: int, size: tuple[int, int], seed: int, start: int, law: Law) -> Iterator[Record]:
    spacing = (ACROSS / size[0], ALONG / size[1])
    for first in range(start, start + n, RENDERED_TOGETHER):
        noise = draw(min(RENDERED_TOGETHER, start + n - first), seed=seed, start=first, law=law)
        images, fractions = render(noise, size)
        values = solve(noise)
        for i in range(len(noise)):
            name = f"{PREFIX}{first + i:06d}"
            covariates = {key: float(values[key][i]) for key in COVARIATES if key in values}
            yield Record(name, name, images[i], fractions[i], spacing, covariates)


def write_folder(
    out: Path, n: int, *, size: tuple[int, int] = (32, 96), seed: int = 0, law: Law = "independent"
) -> None:
    """Write a cohort as `out/images/<id>.nii.gz` (HU, float32) and `out/masks/<id>.nii.gz` (uint8), both 2-D.

    A mask is k + 1 where `STRUCTURES[k]` covers more of the pixel than any other structure or the background, else 0.
    Covariates are written to `out/table.csv`. The folder appears under its name only once it is complete.

    Raises:
        InputError: `out` exists.

    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "cohort"
    >>> write_folder(out, 2, size=(16, 48))
    >>> sorted(path.name for path in (out / "images").iterdir())
    ['phantom_000000.nii.gz', 'phantom_000001.nii.gz']
    """
    if out.exists():
        raise InputError(f"{out}: already exists; remove it or name another folder")
    with whole_folder(out) as folder:
        for kind in ("images", "masks"):
            (folder / kind).mkdir()
        lines = []
        for record in render_cohort(n, size=size, seed=seed, law=law):
            background = 1 - record.fractions.sum(axis=0, keepdims=True)
            labels = np.concatenate([background, record.fractions]).argmax(axis=0).astype(np.uint8)
            affine = np.diag([*(record.spacing or ()), 1.0, 1.0])
            nib.save(nib.Nifti1Image(record.image[0], affine), folder / "images" / f"{record.id}.nii.gz")
            nib.save(nib.Nifti1Image(labels, affine), folder / "masks" / f"{record.id}.nii.gz")
            lines.append(",".join([record.id, *(f"{value:.6g}" for value in record.covariates.values())]))
        if record.covariates:
            (folder / "table.csv").write_text("\n".join([",".join(["id", *record.covariates]), *lines]) + "\n")
