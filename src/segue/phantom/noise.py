"""Everything random about a phantom image: the exogenous noise of its variables, anatomy, tissues and scan."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from segue.errors import InputError, nearest

Law = Literal["independent", "coupled", "stenosed"]
DEEPER: dict[Law, tuple[float, float, float]] = {"stenosed": (1.0, 5.0, 1.0)}
"""By law, how many times deeper than 0.5 mm the narrowing of each third may be; 1 where not said."""
ACROSS, ALONG = 12.0, 36.0  # field of view: mm across the vessel (rows), mm along it (columns)
REGIONS = ("proximal", "mid", "distal")
THIRD = ALONG / len(REGIONS)
SPREAD = 2.0  # mm, standard deviation of a stenosis along the vessel
PLAQUES = ("calcified_plaque", "noncalcified_plaque")
BRANCHES = 2
NUMBERS = 256  # uniform numbers an image may use
TISSUES_AND_SCAN = {  # ranges of uniform draws, in the units of `Noise`
    "heart_distance": (3.6, 5.0),
    "lumen_hu": (370.0, 480.0),
    "fall_hu": (0.0, 30.0),
    "wall_hu": (60.0, 80.0),
    "fat_hu": (-115.0, -85.0),
    "heart_hu": (115.0, 150.0),
    "texture_hu": (4.0, 8.0),
    "blur": (0.5, 0.7),
    "motion": (0.0, 0.25),
    "blooming": (0.2, 0.35),
    "noise_hu": (16.0, 24.0),
}


@dataclass(frozen=True)
class Scalars:
    """Noise of the variables' law (`law.py`), each uniform on (0, 1).

    Attributes:
        age, burden: of the covariates.
        calibre: of each third's lumen area.
        present, amount: of each plaque's area, by type (calcified, non-calcified) and third.
    """

    age: Float[np.ndarray, " batch"]
    burden: Float[np.ndarray, " batch"]
    calibre: Float[np.ndarray, "batch 3"]
    present: Float[np.ndarray, "batch 2 3"]
    amount: Float[np.ndarray, "batch 2 3"]


@dataclass(frozen=True)
class Lesions:
    """Place and shape of each third's plaques, by type (calcified, non-calcified) and third; drawn for any area.

    Attributes:
        length: extent along the vessel at the reference area, mm.
        centre: position along the vessel, mm from the proximal end.
        bluntness: exponent b of the profile (1 - (2 (x - centre) / length)^2)^b; small b ends abruptly.
        side: -1 towards the first row of the image, +1 towards the last.
        attenuation: HU.
    """

    length: Float[np.ndarray, "batch 2 3"]
    centre: Float[np.ndarray, "batch 2 3"]
    bluntness: Float[np.ndarray, "batch 2 3"]
    side: Float[np.ndarray, "batch 2 3"]
    attenuation: Float[np.ndarray, "batch 2 3"]


@dataclass(frozen=True)
class Branches:
    """Side branches, straight stubs that leave the wall.

    Attributes:
        position: where the branch's axis crosses the centre line, mm from the proximal end.
        calibre: mm; 0 where there is no branch.
        slant: mm along the vessel for each mm away from it.
        reach: how far from the centre line the branch is seen, mm.
        side: -1 towards the first row of the image, +1 towards the last.
    """

    position: Float[np.ndarray, "batch branch"]
    calibre: Float[np.ndarray, "batch branch"]
    slant: Float[np.ndarray, "batch branch"]
    reach: Float[np.ndarray, "batch branch"]
    side: Float[np.ndarray, "batch branch"]


@dataclass(frozen=True)
class Noise:
    """The exogenous noise of a batch of images: everything random about them.

    Attributes:
        law: which equations turn `scalars` into areas. scalars: their noise.
        borders: the lumen's calibre where two thirds meet, mm.
        stenosis: narrowing of the lumen at its third's tightest place, mm; place: that place, mm from the proximal end.
        ripple, course, relief: waves, mm: of the calibre, of the centre line (what straightening leaves of the
            tortuosity), of the myocardium's surface.
        lesions, branches: see there.
        wall: thickness of the vessel wall, mm.
        heart_side: side of the myocardium, -1 towards the first row, +1 towards the last.
        heart_distance: from the middle row to the myocardium, mm.
        lumen_hu, fall_hu: attenuation of the lumen at the proximal end, and what it loses to the distal end, HU.
        wall_hu, fat_hu, heart_hu: attenuation of wall, epicardial fat and myocardium, HU.
        texture_hu: standard deviation of the texture of fat and myocardium, HU.
        blur: full width at half maximum of the point spread function, mm.
        motion: standard deviation of the blur that motion adds across the vessel, mm.
        blooming: standard deviation of the blur that calcium's excess over the lumen suffers besides, mm.
        noise_hu: standard deviation of the image noise, HU.
        grain: seed of the fields of texture and image noise.

    >>> noise = draw(3, seed=0)
    >>> len(noise), noise.law, noise.lumen_hu.shape
    (3, 'independent', (3,))
    """

    law: Law
    scalars: Scalars
    borders: Float[np.ndarray, "batch 2"]
    stenosis: Float[np.ndarray, "batch 3"]
    place: Float[np.ndarray, "batch 3"]
    ripple: Float[np.ndarray, "batch harmonic 2"]
    course: Float[np.ndarray, "batch harmonic 2"]
    relief: Float[np.ndarray, "batch harmonic 2"]
    lesions: Lesions
    branches: Branches
    wall: Float[np.ndarray, " batch"]
    heart_side: Float[np.ndarray, " batch"]
    heart_distance: Float[np.ndarray, " batch"]
    lumen_hu: Float[np.ndarray, " batch"]
    fall_hu: Float[np.ndarray, " batch"]
    wall_hu: Float[np.ndarray, " batch"]
    fat_hu: Float[np.ndarray, " batch"]
    heart_hu: Float[np.ndarray, " batch"]
    texture_hu: Float[np.ndarray, " batch"]
    blur: Float[np.ndarray, " batch"]
    motion: Float[np.ndarray, " batch"]
    blooming: Float[np.ndarray, " batch"]
    noise_hu: Float[np.ndarray, " batch"]
    grain: Int[np.ndarray, " batch"]

    def __len__(self) -> int:
        return len(self.grain)


class _Dice:
    """Uniform numbers for a batch, one stream per image, so that no image depends on its batch."""

    def __init__(self, indices: Sequence[int], seed: int) -> None:
        streams = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(i,))) for i in indices]
        self.grain = np.array([stream.integers(2**62) for stream in streams])
        self.numbers = np.stack([stream.random(NUMBERS) for stream in streams])
        self.used = 0

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        first, self.used = self.used, self.used + int(np.prod(shape))
        return low + (high - low) * self.numbers[:, first : self.used].reshape(-1, *shape)

    def sign(self, *shape: int) -> np.ndarray:
        return np.where(self.uniform(0.0, 1.0, *shape) < 0.5, -1.0, 1.0)

    def wave(self, amplitude: float) -> np.ndarray:
        """Coefficients of three harmonics, the higher the weaker."""
        return amplitude * self.uniform(-1.0, 1.0, 3, 2) / np.arange(1, 4)[:, None]


def draw(n: int, *, seed: int, start: int = 0, law: Law = "independent") -> Noise:
    """The noise of images `start` to `start + n - 1` of cohort `seed`; image i depends on (seed, i) alone.

    Ranges, and where they come from (those of the areas are in `law.py`):
        lumen        370-480 HU, less 0-30 HU over the 36 mm; without severe stenosis the gradient is
                     -1.9 +- 4.3 HU per 10 mm (Choi et al., JACC Cardiovasc Imaging 2011;4:1149).
        calcified    800-1200 HU; calcified plaque is what exceeds 350 HU, its dense kind 1000 HU
                     (van Rosendael et al., JAMA Cardiol 2020;5:282).
        non-calc.    35-70 HU; hypo-echogenic plaque has 58 +- 43 HU
                     (Pohle et al., Atherosclerosis 2007;190:174).
        fat          -115 to -85 HU, within the -190 to -30 HU that define adipose tissue
                     (Antonopoulos et al., Sci Transl Med 2017;9:eaal2658).
        others       myocardium 115-150 HU, wall 0.2-0.3 mm and 60-80 HU, stenosis to 0.5 mm (but `DEEPER`), branches of
                     0.8-1.6 mm, texture 4-8 HU, point spread function 0.5-0.7 mm, motion to 0.25 mm, blooming 0.2-0.35
                     mm, noise 16-24 HU: our choice, a good arterial-phase scan in which areas can be measured.

    >>> first_four, third = draw(4, seed=0), draw(1, seed=0, start=2)
    >>> bool(first_four.lumen_hu[2] == third.lumen_hu[0])
    True
    """
    return draw_images(range(start, start + n), seed=seed, law=law)


def draw_images(indices: Sequence[int], *, seed: int, law: Law) -> Noise:
    """Like `draw`, for images of any indices.

    Raises:
        InputError: the law is none of `Law`.
    """
    if law not in get_args(Law):
        raise InputError(f"phantom: unknown law {law!r}{nearest(law, get_args(Law))}")
    dice = _Dice(indices, seed)  # the order of the draws is part of the cohort: do not change it
    scalars, lesions = _draw_scalars(dice), _draw_lesions(dice)
    return Noise(
        law=law,
        scalars=scalars,
        borders=np.array([2.75, 2.15]) + dice.uniform(0.0, 0.6, 2),
        stenosis=dice.uniform(0.0, 0.5, 3) * np.array(DEEPER.get(law, 1.0)),
        place=np.arange(3) * THIRD + dice.uniform(4.0, 8.0, 3),
        ripple=dice.wave(0.08),
        course=dice.wave(0.3),
        relief=dice.wave(0.4),
        lesions=lesions,
        branches=_draw_branches(dice),
        wall=dice.uniform(0.2, 0.3, 1)[:, 0],
        heart_side=dice.sign(1)[:, 0],
        **{name: dice.uniform(low, high, 1)[:, 0] for name, (low, high) in TISSUES_AND_SCAN.items()},
        grain=dice.grain,
    )


def _draw_scalars(dice: _Dice) -> Scalars:
    return Scalars(
        age=dice.uniform(0.0, 1.0, 1)[:, 0],
        burden=dice.uniform(0.0, 1.0, 1)[:, 0],
        calibre=dice.uniform(0.0, 1.0, 3),
        present=dice.uniform(0.0, 1.0, 2, 3),
        amount=dice.uniform(0.0, 1.0, 2, 3),
    )


def _draw_lesions(dice: _Dice) -> Lesions:
    """Two plaques per third; the non-calcified one is opposite the calcified one in two thirds of the cases."""
    side = dice.sign(3)
    opposite = np.where(dice.uniform(0.0, 1.0, 3) < 2 / 3, -side, side)
    low, high = np.array([[800.0], [35.0]]), np.array([[1200.0], [70.0]])
    return Lesions(
        length=dice.uniform(5.0, 8.0, 2, 3),
        centre=np.arange(3) * THIRD + dice.uniform(4.0, 8.0, 2, 3),
        bluntness=dice.uniform(0.4, 0.8, 2, 3),
        side=np.stack([side, opposite], axis=1),
        attenuation=low + (high - low) * dice.uniform(0.0, 1.0, 2, 3),
    )


def _draw_branches(dice: _Dice) -> Branches:
    """Each of two places has a branch in half of the images."""
    there = dice.uniform(0.0, 1.0, BRANCHES) < 0.5
    return Branches(
        position=dice.uniform(2.0, ALONG - 2.0, BRANCHES),
        calibre=there * dice.uniform(0.8, 1.6, BRANCHES),
        slant=dice.uniform(0.3, 1.2, BRANCHES),
        reach=dice.uniform(3.5, 6.0, BRANCHES),
        side=dice.sign(BRANCHES),
    )
