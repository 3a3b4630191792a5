"""How each network of a study is built and trained."""

from dataclasses import dataclass
from pathlib import Path

from segue.causal.parents import Conditioning
from segue.mechanisms.diffusion import DiffusionSettings
from segue.mechanisms.hvae import HVAESettings
from segue.nets.segmentor import SegmentorArch


@dataclass(frozen=True)
class Augment:
    """Random changes to training images: degrees, fractions of the image, fractions of the intensity range / 2.

    `elastic` is the standard deviation of a smooth random displacement; `gamma` the largest |log gamma|; `blur` the
    largest standard deviation of a Gaussian, in pixels.

    >>> Augment(shift=0.03).rotate
    0.0
    """

    rotate: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    flip_axes: tuple[int, ...] = ()
    elastic: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    noise: float = 0.0
    gamma: float = 0.0
    blur: float = 0.0


@dataclass(frozen=True)
class Budget:
    """How long and how fast a network trains.

    >>> Budget(steps=480).lr
    0.001
    """

    steps: int
    batch_size: int = 32
    lr: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class SegmentorSettings:
    """A segmentor: one of two unlike MONAI networks, at 1 / `patch` of the resolution.

    Args:
        masks: share of its subjects whose masks it learns from, one at least (a smaller share is part of a larger); all
            of them without.

    >>> SegmentorSettings("unet", Budget(steps=480)).patch
    2
    """

    arch: SegmentorArch
    budget: Budget
    width: int = 48
    patch: int = 2
    augment: Augment = Augment()
    masks: float | None = None


@dataclass(frozen=True)
class RegressorSettings:
    """The guide of Reg-CFT.

    >>> RegressorSettings(Budget(steps=400)).width
    32
    """

    budget: Budget
    width: int = 32
    augment: Augment = Augment()


@dataclass(frozen=True, kw_only=True)
class Hvae(HVAESettings):
    """The image mechanism and its pre-training.

    Args:
        conditioning: how parents enter; each way is trained (map is segue's, broadcast is usual).
        validate_every: steps between validations; the moving-average weights with the best validation ELBO are kept. 0:
            no validation, the last weights are kept.
        start: folder of another study's trained image model (runs/OTHER/pretrain/map): parameters of the same name and
            shape start from there, except the head's, which encodes how noisy the other images are.

    >>> Hvae(budget=Budget(steps=500)).conditioning
    ('map',)
    """

    budget: Budget
    conditioning: tuple[Conditioning, ...] = ("map",)
    augment: Augment = Augment()
    validate_every: int = 0
    start: Path | None = None


@dataclass(frozen=True, kw_only=True)
class DiffusionModel(DiffusionSettings):
    """A diffusion model as image mechanism, and its pre-training; parents enter as maps.

    Args:
        validate_every: steps between validations, as in `Hvae`.

    >>> DiffusionModel(budget=Budget(steps=1500), guidance=2.0).patch
    2
    """

    budget: Budget
    augment: Augment = Augment()
    validate_every: int = 0
