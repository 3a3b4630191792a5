"""What is random about a phantom image: the exogenous noise of its anatomy, its tissues and its scan."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

FIELD_OF_VIEW = (12.0, 36.0)  # mm across the vessel, mm along it
ACROSS, ALONG = FIELD_OF_VIEW
THIRD = ALONG / 3


@dataclass(frozen=True)
class Plaques:
    """One plaque of one type for each third of the vessel.

    Attributes:
        thickness: greatest thickness, mm; 0 where the third has no such plaque.
        length: extent along the vessel, mm.
        centre: position along the vessel, mm from the proximal end.
        bluntness: exponent b of the profile (1 - (2 (x - centre) / length)^2)^b; small b ends abruptly.
        side: -1 towards the first row of the image, +1 towards the last.
        encroachment: share of the thickness that narrows the lumen; the rest pushes the wall outwards, which
            is positive remodelling (Glagov et al., N Engl J Med 1987;316:1371).
        attenuation: HU.
    """

    thickness: Float[np.ndarray, "batch 3"]
    length: Float[np.ndarray, "batch 3"]
    centre: Float[np.ndarray, "batch 3"]
    bluntness: Float[np.ndarray, "batch 3"]
    side: Float[np.ndarray, "batch 3"]
    encroachment: Float[np.ndarray, "batch 3"]
    attenuation: Float[np.ndarray, "batch 3"]


@dataclass(frozen=True)
class Anatomy:
    """The exogenous noise of a batch of images: all that is random about them.

    Attributes:
        diameter: the lumen's calibre in each third, mm, before plaque narrows it.
        ripple, course, relief: waves, mm: of the calibre, of the centre line, of the myocardium's surface.
        calcified, noncalcified: the plaques.
        wall: thickness of the vessel wall, mm.
        heart_side: side of the myocardium, -1 towards the first row, +1 towards the last.
        heart_distance: from the middle row to the myocardium, mm.
        lumen, fall: attenuation of the lumen at the proximal end, and what it loses to the distal end, HU.
        wall_hu, fat_hu, heart_hu: attenuation of wall, epicardial fat and myocardium, HU.
        blur: full width at half maximum of the point spread function, mm.
        noise: standard deviation of the image noise, HU.
        grain: seed of the white noise field, which only exists once a pixel grid is chosen.
    """

    diameter: Float[np.ndarray, "batch 3"]
    ripple: Float[np.ndarray, "batch harmonic 2"]
    course: Float[np.ndarray, "batch harmonic 2"]
    relief: Float[np.ndarray, "batch harmonic 2"]
    calcified: Plaques
    noncalcified: Plaques
    wall: Float[np.ndarray, " batch"]
    heart_side: Float[np.ndarray, " batch"]
    heart_distance: Float[np.ndarray, " batch"]
    lumen: Float[np.ndarray, " batch"]
    fall: Float[np.ndarray, " batch"]
    wall_hu: Float[np.ndarray, " batch"]
    fat_hu: Float[np.ndarray, " batch"]
    heart_hu: Float[np.ndarray, " batch"]
    blur: Float[np.ndarray, " batch"]
    noise: Float[np.ndarray, " batch"]
    grain: Int[np.ndarray, " batch"]


class _Dice:
    """Random numbers for a batch, one stream per image, so that no image depends on its batch."""

    def __init__(self, indices: range, seed: int) -> None:
        self.streams = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(i,))) for i in indices]

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        return low + (high - low) * np.stack([stream.random(shape) for stream in self.streams])

    def sign(self, *shape: int) -> np.ndarray:
        return np.where(self.uniform(0.0, 1.0, *shape) < 0.5, -1.0, 1.0)

    def wave(self, amplitude: float) -> np.ndarray:
        """Coefficients of three harmonics, the higher the weaker."""
        return amplitude * self.uniform(-1.0, 1.0, 3, 2) / np.arange(1, 4)[:, None]

    def seeds(self) -> np.ndarray:
        return np.array([stream.integers(2**62) for stream in self.streams])


def draw(n: int, *, seed: int, start: int = 0) -> Anatomy:
    """Anatomies of images `start` to `start + n - 1` of cohort `seed`; image i depends on (seed, i) alone.

    The calibres of the thirds are independent given the taper, and plaques are independent of them and of one
    another, more so than in patients: where areas move together, nothing tells their effects apart.

    Ranges, and where they come from:
        calibre      2.8-4.4, 2.2-3.6, 1.7-2.9 mm, the taper of a whole artery put into 36 mm; a normal LAD
                     goes from 3.7 +- 0.4 to 1.9 +- 0.4 mm (Dodge et al., Circulation 1992;86:232).
        lumen        370-480 HU, less 0-30 HU over the 36 mm; without severe stenosis the gradient is
                     -1.9 +- 4.3 HU per 10 mm (Choi et al., JACC Cardiovasc Imaging 2011;4:1149).
        calcified    800-1200 HU; calcified plaque is what exceeds 350 HU, its dense kind 1000 HU
                     (van Rosendael et al., JAMA Cardiol 2020;5:282).
        non-calc.    35-70 HU; hypo-echogenic plaque has 58 +- 43 HU
                     (Pohle et al., Atherosclerosis 2007;190:174).
        fat          -115 to -85 HU, within the -190 to -30 HU that define adipose tissue
                     (Antonopoulos et al., Sci Transl Med 2017;9:eaal2658).
        others       myocardium 115-150 HU, wall 60-80 HU, point spread function 0.5-0.7 mm, noise 16-24 HU:
                     our choice, a good arterial-phase scan in which areas can be measured.
    """
    dice = _Dice(range(start, start + n), seed)
    side = dice.sign(3)
    opposite = np.where(dice.uniform(0.0, 1.0, 3) < 2 / 3, -side, side)
    return Anatomy(
        diameter=np.array([2.8, 2.2, 1.7]) + dice.uniform(0.0, 1.0, 3) * np.array([1.6, 1.4, 1.2]),
        ripple=dice.wave(0.08),
        course=dice.wave(0.3),
        relief=dice.wave(0.4),
        calcified=_draw_plaques(dice, side, thickness=(0.6, 1.3), attenuation=(800.0, 1200.0)),
        noncalcified=_draw_plaques(dice, opposite, thickness=(0.7, 1.5), attenuation=(35.0, 70.0)),
        wall=dice.uniform(0.2, 0.3),
        heart_side=dice.sign(),
        heart_distance=dice.uniform(3.6, 5.0),
        lumen=dice.uniform(370.0, 480.0),
        fall=dice.uniform(0.0, 30.0),
        wall_hu=dice.uniform(60.0, 80.0),
        fat_hu=dice.uniform(-115.0, -85.0),
        heart_hu=dice.uniform(115.0, 150.0),
        blur=dice.uniform(0.5, 0.7),
        noise=dice.uniform(16.0, 24.0),
        grain=dice.seeds(),
    )


def _draw_plaques(
    dice: _Dice, side: np.ndarray, thickness: tuple[float, float], attenuation: tuple[float, float]
) -> Plaques:
    """Three thirds in four have a plaque, and a plaque lies wholly within its third."""
    present = dice.uniform(0.0, 1.0, 3) < 0.75
    length = dice.uniform(4.0, 10.0, 3)
    free = THIRD - length
    return Plaques(
        thickness=present * dice.uniform(*thickness, 3),
        length=length,
        centre=np.arange(3) * THIRD + length / 2 + free * dice.uniform(0.0, 1.0, 3),
        bluntness=dice.uniform(0.4, 0.8, 3),
        side=side,
        encroachment=dice.uniform(0.1, 0.45, 3),
        attenuation=dice.uniform(*attenuation, 3),
    )
