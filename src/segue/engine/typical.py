"""Which values of the input check's statistics are usual, and how far an image may be from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from segue.engine.image_statistics import AREA, POSE
from segue.engine.thumbnails import ThumbnailModel

__all__ = ["FEWEST_HELD_OUT", "Typical", "UsualAnswers", "calibrate"]

FALSE_ALARM = 0.02  # share of images like the training images that may be doubted
FEWEST_HELD_OUT = 10  # held-out images that a check needs
CALIBRATION_FOLDS = 20
USUAL = (0.003, 0.5, 0.997)  # quantiles of held-out images: the usual range, and its middle
ONE_SIDED = ("even", "layout", "disagreement", POSE)  # a low value is no reason for doubt
LEAST_WIDTH = {"sharpness": 0.05, "uncertainty": 0.05, "layout": 0.05, "disagreement": 0.05, AREA: 0.3, POSE: 0.5}
"""What the usual range counts as reaching from its middle to either side, at least; `ELSE` for other statistics."""
ELSE = 0.02
LAYOUT, DISCRIMINANT, USUAL_RANGE, CALIBRATION, USUAL_ANSWERS = "layout.", "pose.", "usual.", "calibration", "answers."
"""Names of tensors."""


class UsualAnswers(NamedTuple):
    """What is usual of a model's measurements and answers, found on validation images.

    Attributes:
        error: root mean square difference of the guide's areas from those of the masks, by variable, in the unit.
        reach: the 95% quantile of the reach of answers that were met, by variable (`segue.anatomy.reach`).

    >>> UsualAnswers(torch.ones(2), torch.tensor([0.3, 0.6])).reach.max()
    tensor(0.6000)
    """

    error: Float[Tensor, " measured"]
    reach: Float[Tensor, " measured"]


@dataclass(frozen=True)
class Typical:
    """What images like the training images look like to a model.

    Attributes:
        layout: of training images.
        usual: by statistic its usual (low, middle, high): quantiles of held-out images of the cohort.
        limit: how far a value may be from the middle, the usual range being 1 to either side.
        false_alarm: the share of images like the training images that has a value beyond the limit, as calibrated.
        images: held-out images that this was calibrated on.
        answers: what answers usually are; None in models from before this was measured.

    >>> import segue
    >>> segue.load("coronary-phantom").input_check.typical.false_alarm <= 0.05
    True
    """

    layout: ThumbnailModel
    usual: Mapping[str, tuple[float, float, float]]
    limit: float
    false_alarm: float
    images: int
    answers: UsualAnswers | None = None

    def excess(self, statistics: Mapping[str, Float[Tensor, " batch"]]) -> dict[str, Float[Tensor, " batch"]]:
        """How far each value is beyond its limit: above 1 it is unlike the training images."""
        names = [name for name in self.usual if name in statistics]
        values = torch.stack([statistics[name].cpu().double() for name in names], dim=1)
        usual = torch.tensor([self.usual[name] for name in names], dtype=torch.float64)
        return dict(zip(names, (deviations(values, usual.T, names) / self.limit).T, strict=True))

    def tensors(self) -> dict[str, Tensor]:
        """All of it, to be saved."""
        layout = dict(vars(self.layout.to(torch.device("cpu"))))
        discriminants = layout.pop("discriminants")
        found = {LAYOUT + name: tensor for name, tensor in layout.items()}
        found |= {DISCRIMINANT + pose: tensor for pose, tensor in discriminants.items()}
        found |= {USUAL_RANGE + name: torch.tensor(three, dtype=torch.float64) for name, three in self.usual.items()}
        answers = {} if self.answers is None else self.answers._asdict()
        found |= {USUAL_ANSWERS + name: tensor for name, tensor in answers.items()}
        return found | {CALIBRATION: torch.tensor([self.limit, self.false_alarm, self.images], dtype=torch.float64)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Typical | None":
        """What `tensors` gave; None where there is nothing of it."""
        if CALIBRATION not in tensors:
            return None
        parts = {
            prefix: {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
            for prefix in (LAYOUT, DISCRIMINANT, USUAL_RANGE)
        }
        limit, false_alarm, images = tensors[CALIBRATION].tolist()
        ranges = ((name, three.tolist()) for name, three in parts[USUAL_RANGE].items())
        usual = {name: (low, middle, high) for name, (low, middle, high) in ranges}
        layout = ThumbnailModel(**parts[LAYOUT], discriminants=parts[DISCRIMINANT])
        names = [USUAL_ANSWERS + name for name in UsualAnswers._fields]  # older models have none
        answers = UsualAnswers(*(tensors[name] for name in names)) if names[0] in tensors else None
        return cls(layout, usual, limit, false_alarm, round(images), answers)


def calibrate(layout: ThumbnailModel, statistics: Mapping[str, Float[Tensor, " image"]]) -> Typical:
    """From the statistics of held-out images, those of a subject one after another.

    The largest deviation of an image over all statistics is its score, so that the false alarms of the whole check are
    counted, not those of each statistic. Each image is scored by the usual ranges of the other folds. The limit is the
    k-th largest of n scores, k = max(1, floor(r (n + 1))): a new image of the cohort exceeds it with a probability of
    about k / (n + 1), the false-alarm rate that is stated (Vovk, cross-conformal predictors, Ann Math Artif Intell
    2015;74:9). It is r = 2%, or what the number of images allows.
    """
    names = list(statistics)
    values = torch.stack([statistics[name].cpu().double() for name in names], dim=1)
    count = len(values)
    folds = (torch.arange(count) * min(count, CALIBRATION_FOLDS)) // count
    parts = [deviations(values[folds == i], usual_of(values[folds != i]), names) for i in folds.unique()]
    scores = torch.cat(parts).amax(1)
    rank = max(1, int(FALSE_ALARM * (count + 1)))
    limit = float(scores.sort(descending=True).values[rank - 1])
    usual = zip(names, usual_of(values).T.tolist(), strict=True)
    ranges = {name: (low, middle, high) for name, (low, middle, high) in usual}
    return Typical(layout, ranges, max(limit, 1.0), rank / (count + 1), count)


def usual_of(values: Float[Tensor, "image statistic"]) -> Float[Tensor, "3 statistic"]:
    """Low, middle and high of each statistic."""
    return values.quantile(torch.tensor(USUAL).to(values), dim=0)


def deviations(
    values: Float[Tensor, "image statistic"], usual: Float[Tensor, "3 statistic"], names: Sequence[str]
) -> Float[Tensor, "image statistic"]:
    """How far values are from the middle: 1 at either end of the usual range."""
    low, middle, high = usual
    least = torch.tensor([setting(LEAST_WIDTH, name, ELSE) for name in names]).to(values)
    above = (values - middle) / torch.maximum(high - middle, least)
    below = (middle - values) / torch.maximum(middle - low, least)
    one_sided = torch.tensor([name.startswith(ONE_SIDED) for name in names])
    return torch.where(one_sided, above, torch.maximum(above, below))


def setting(of: Mapping[str, float], name: str, otherwise: float) -> float:
    """The entry of a statistic, or of the family that its name begins with."""
    return next((value for start, value in of.items() if name.startswith(start)), otherwise)
