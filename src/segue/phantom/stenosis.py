"""The diameter stenosis of each third of the lumen, and the noise under which it has a given one.

A third's stenosis is 1 - (smallest diameter in it) / (mean diameter of the neighbouring thirds), as the measurement
`stenosis` has it (`segue.anatomy.measurement.stenosis`). It is no variable of the law: it follows from the areas and
the noise, in which every third has one narrowing of its own, a place and a depth (`Noise.stenosis`). A request of a
stenosis sets that depth. Then the third's area follows while its calibre beside the narrowing stays; or, where the area
is held, the calibre rises until the third has its area again.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from segue.phantom.geometry import COARSE, SUPERSAMPLING, Lumen, places
from segue.phantom.noise import REGIONS, THIRD, Noise

STENOSES = tuple(f"lumen@{region}:stenosis" for region in REGIONS)
DEEPEST = 8.0  # mm
BISECTIONS = 40
WITHIN = 0.002  # of a request that the geometry can hold


def stenoses(areas: Float[np.ndarray, "batch 9"], noise: Noise) -> Float[np.ndarray, "batch 3"]:
    """The diameter stenosis of each third of the lumen; negative where it is wider than its neighbours.

    >>> from segue.phantom import areas, draw
    >>> noise = draw(2, seed=0)
    >>> stenoses(areas(noise), noise).shape
    (2, 3)
    """
    diameter = Lumen(noise, places(COARSE * SUPERSAMPLING)).of(areas[:, :3]).reshape(len(areas), 3, -1)
    first, second, third = (areas[:, :3] / THIRD).T
    reference = np.stack([second, (first + third) / 2, second], axis=1)
    return 1 - diameter.min(axis=2) / reference


def narrowed(
    areas: Float[np.ndarray, "batch 9"], noise: Noise, third: int, wanted: Float[np.ndarray, " batch"], *, held: bool
) -> tuple[Float[np.ndarray, "batch 9"], Noise, Bool[np.ndarray, " batch"]]:
    """Areas and noise of the same vessels with a given stenosis in one third, and whether they can have it.

    Where they cannot, they have the nearest possible one: no narrowing at all, or a lumen of the smallest width.

    Args:
        held: whether the third keeps its area; otherwise it keeps its calibre, and the area follows.

    >>> from segue.phantom import areas, draw
    >>> noise = draw(2, seed=0)
    >>> found, tighter, fits = narrowed(areas(noise), noise, 1, np.array([0.6, 0.6]), held=False)
    >>> stenoses(found, tighter)[:, 1].round(3), fits
    (array([0.6, 0.6]), array([ True,  True]))
    """
    x = places(COARSE * SUPERSAMPLING)
    levels = Lumen(noise, x).levels(areas[:, :3])

    def at(depth: Float[np.ndarray, " batch"]) -> tuple[Float[np.ndarray, "batch 9"], Noise]:
        depths = noise.stenosis.copy()
        depths[:, third] = depth
        changed = dataclasses.replace(noise, stenosis=depths)
        if held:
            return areas, changed
        followed = areas.copy()
        followed[:, third] = Lumen(changed, x).areas(levels)[:, third]
        return followed, changed

    low, high = np.zeros(len(noise)), np.full(len(noise), DEEPEST)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        open_still = stenoses(*at(middle))[:, third] < wanted
        low, high = np.where(open_still, middle, low), np.where(open_still, high, middle)
    # another place than the narrowing may be the tightest, and then several depths give one stenosis
    same = np.abs(stenoses(areas, noise)[:, third] - wanted) < 1e-9
    found, changed = at(np.where(same, noise.stenosis[:, third], (low + high) / 2))
    return found, changed, np.abs(stenoses(found, changed)[:, third] - wanted) <= WITHIN
