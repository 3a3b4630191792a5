"""Images of given areas, and true counterfactuals: the same noise with other areas."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from segue.errors import InputError, nearest
from segue.phantom import law
from segue.phantom.geometry import feasible, in_view, tissues
from segue.phantom.law import COVARIATES, VARIABLES, as_matrix, solve
from segue.phantom.noise import Noise
from segue.phantom.scan import scan
from segue.phantom.stenosis import STENOSES, narrowed

VISIBLE = 0.5  # mm2: smaller plaques cannot be told from noise
Pair = tuple[Float32[np.ndarray, "batch 1 height width"], Float32[np.ndarray, "batch 3 height width"]]


@dataclass(frozen=True)
class TrueCounterfactual:
    """The true counterfactual of a batch of images.

    Attributes:
        image: HU. fractions: share of each pixel in each of `STRUCTURES`. areas: mm2, in the order of `VARIABLES`.
        well_posed: whether the factual image determines the answer (see `counterfactual`).

    >>> from segue.phantom import draw
    >>> truth = counterfactual(draw(2, seed=0), {"lumen@mid": 30.0}, (16, 48))
    >>> truth.image.shape, truth.fractions.shape, truth.well_posed.shape
    ((2, 1, 16, 48), (2, 3, 16, 48), (2,))
    """

    image: Float32[np.ndarray, "batch 1 height width"]
    fractions: Float32[np.ndarray, "batch 3 height width"]
    areas: Float[np.ndarray, "batch 9"]
    well_posed: Bool[np.ndarray, " batch"]


def render(noise: Noise, size: tuple[int, int], areas: Float[np.ndarray, "batch 9"] | None = None) -> Pair:
    """Images in HU and the area fractions of `STRUCTURES`, on a grid of `size` over the field of view.

    Every structure has the given area in every third, as far as the geometry can hold it; without `areas`, those of the
    noise's law are taken. Deterministic in its arguments. Two sizes show the same vessel under different image noise.

    >>> from segue.phantom import draw
    >>> image, fractions = render(draw(2, seed=0), (16, 48))
    >>> image.shape, fractions.shape
    ((2, 1, 16, 48), (2, 3, 16, 48))
    """
    tissue = tissues(feasible(law.areas(noise) if areas is None else areas, noise), noise, size)
    fractions = np.stack([tissue.lumen, tissue.calcified_plaque, tissue.noncalcified_plaque], axis=1)
    return scan(tissue, noise)[:, None], fractions.clip(0, 1)


def counterfactual(
    noise: Noise,
    do: Mapping[str, float | Float[np.ndarray, " batch"]],
    size: tuple[int, int],
    *,
    propagate: bool = False,
    free: Collection[str] = (),
) -> TrueCounterfactual:
    """The true images if some variables had other values.

    Everything else stays as it is: the other areas (a plaque grows outwards, a larger lumen moves its plaques
    outwards), shapes, tissues, and the noise of the scan. With `propagate`, descendants follow the law instead.

    The factual image does not determine the answer of every request. `well_posed` is false where
        - a plaque of less than `VISIBLE` mm2 is requested to be larger than that: no image tells where it would be, and
          the truth shows it at the place that the noise holds;
        - the geometry cannot hold the requested stenosis (less than without any narrowing; a lumen below 0.5 mm);
        - the geometry cannot hold the requested area (negative, a lumen below 0.5 or above 5 mm wide within its third,
          a plaque over 2.5 mm thick): the truth shows the nearest feasible one;
        - plaque leaves the field of view, where it is cut off.

    Args:
        do: by variable, its value in mm2 (age: years, burden: sd), or by `lumen@mid:stenosis` a share: one for all
            images, or one for each.
        size: rows and columns of the image.
        free: areas that are not held where the stenosis of their third is set (see `segue.phantom.stenosis`).

    Raises:
        InputError: a variable is unknown, or its values are not finite or not one per image.

    >>> from segue.phantom import VARIABLES, draw
    >>> noise = draw(2, seed=0)
    >>> truth = counterfactual(noise, {"lumen@mid": 30.0}, (16, 48))
    >>> truth.areas[:, VARIABLES.index("lumen@mid")]
    array([30., 30.])
    """
    factual, wanted = law.areas(noise), _checked(noise, do)
    known = {name: value for name, value in wanted.items() if name not in STENOSES}
    asked = as_matrix(solve(noise, known), VARIABLES) if propagate else factual.copy()
    for name, value in wanted.items():
        if name in VARIABLES:
            asked[:, VARIABLES.index(name)] = value
    possible = np.ones(len(noise), dtype=bool)
    for third, name in enumerate(STENOSES):
        if name in wanted:
            keeps = VARIABLES[third] not in free
            asked, noise, fits_third = narrowed(feasible(asked, noise), noise, third, wanted[name], held=keeps)
            possible &= fits_third & np.isclose(feasible(asked, noise), asked, rtol=0, atol=1e-6).all(1)
    held = feasible(asked, noise)
    from_nothing = (factual[:, 3:] < VISIBLE) & (asked[:, 3:] >= VISIBLE)
    fits = np.isclose(held, asked, rtol=0, atol=1e-6) | np.isclose(asked, factual)
    well_posed = possible & ~from_nothing.any(1) & fits.all(1) & in_view(held, noise)
    return TrueCounterfactual(*render(noise, size, held), held, well_posed)


def _checked(
    noise: Noise, do: Mapping[str, float | Float[np.ndarray, " batch"]]
) -> dict[str, Float[np.ndarray, " batch"]]:
    """One value per image of each variable of `do`. Age and burden act through areas only: see `propagate`."""
    known = (*(COVARIATES if noise.law == "coupled" else ()), *VARIABLES, *STENOSES)
    wanted = {}
    for name, value in do.items():
        if name not in known:
            raise InputError(f"phantom: unknown variable {name!r}{nearest(name, known)}")
        values = np.asarray(value, dtype=float)
        if values.shape not in ((), (len(noise),)) or not np.isfinite(values).all():
            found = f"shape {values.shape}" if np.isfinite(values).all() else "a value that is not finite"
            raise InputError(f"phantom: {name}: {found}: give a number, or one for each of the {len(noise)} images")
        wanted[name] = np.broadcast_to(values, (len(noise),))
    return wanted
