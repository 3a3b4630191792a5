"""What the networks see of raw values: two of them become -1 and +1. A study states the two, or a rule that finds them.

A rule finds them in each image (`per: image`), or once in the training images of the cohort (`per: cohort`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from segue.cohort.window import ValuePair, percentile_window, zscore_window
from segue.errors import InputError, nearest

CT_WINDOWS: dict[str, ValuePair] = {
    "lung": (-1350.0, 150.0),
    "mediastinum": (-125.0, 225.0),
    "bone": (-500.0, 1300.0),
    "brain": (0.0, 80.0),
    "abdomen": (-150.0, 250.0),
    "coronary": (-100.0, 700.0),
}
"""In HU. Level and width: lung -600, 1500; mediastinum 50, 350; bone 400, 1800; brain 40, 80; abdomen 50, 400 (typical
values of radiopaedia.org/articles/windowing-ct); coronary 300, 800 (a first setting in use for coronary CT angiography
with contrast; there is no standard)."""


@runtime_checkable
class Rule(Protocol):
    """What finds the window of an image.

    >>> isinstance(PercentileRule((1.0, 99.0)), Rule)
    True
    """

    def window(self, raw: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch 2"]:
        """The two raw values of each image that become -1 and +1."""
        ...

    def settings(self) -> dict[str, Any]:
        """As a study states it."""
        ...


@dataclass(frozen=True)
class PercentileRule:
    """Two percentiles of an image, see `percentile_window`.

    >>> PercentileRule((0.0, 100.0)).window(torch.tensor([[[3.0, 4.0]]])).tolist()
    [[3.0, 4.0]]
    """

    percentiles: ValuePair

    def __post_init__(self) -> None:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise InputError(f"percentiles are {[low, high]}: give two of 0 to 100, in order")

    def window(self, raw: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch 2"]:
        return percentile_window(raw, self.percentiles)

    def settings(self) -> dict[str, Any]:
        return {"percentiles": list(self.percentiles)}


@dataclass(frozen=True)
class ZScoreRule:
    """Mean -+ so many standard deviations of an image, see `zscore_window`.

    >>> ZScoreRule(2.0).window(torch.tensor([[[0.0, 10.0, 20.0]]])).tolist()
    [[5.0, 25.0]]
    """

    sd: float

    def __post_init__(self) -> None:
        if not 0 < self.sd < float("inf"):
            raise InputError(f"zscore is {self.sd:g}: give how many standard deviations become 1, such as 3")

    def window(self, raw: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch 2"]:
        return zscore_window(raw, self.sd)

    def settings(self) -> dict[str, Any]:
        return {"zscore": self.sd}


RULES: dict[str, Callable[[Any], Rule]] = {
    "percentiles": lambda value: PercentileRule(pair(value)),
    "zscore": lambda value: ZScoreRule(one_number(value)),
}
"""By the key of a study's `intensity`: from its value to the rule."""


@dataclass(frozen=True)
class Intensity:
    """How raw values become what the networks see, and back.

    Attributes:
        usual: the two raw values that become -1 and +1; with a `rule`, of a usual image: they are then the grey scale
            of figures, and the scale of images of nobody.
        rule: finds the two values of each image; None: they are `usual` for all images.

    >>> Intensity((0.0, 255.0)).window(torch.rand(2, 1, 4, 4)).tolist()
    [[0.0, 255.0], [0.0, 255.0]]
    >>> Intensity((0.0, 255.0), PercentileRule((0.0, 100.0))).window(torch.tensor([[[3.0, 4.0]]])).tolist()
    [[3.0, 4.0]]
    """

    usual: ValuePair = (0.0, 255.0)
    rule: Rule | None = None

    def window(self, raw: Tensor) -> Float[Tensor, "batch 2"]:
        """The two raw values of each image that become -1 and +1."""
        if self.rule is not None:
            return self.rule.window(raw)
        return torch.tensor(self.usual, dtype=torch.float64, device=raw.device).expand(len(raw), 2)

    def settings(self) -> list[float] | dict[str, Any]:
        """For JSON; `make_intensity` reads it.

        >>> Intensity((0.0, 9.0), ZScoreRule(3.0)).settings()
        {'zscore': 3.0, 'per': 'image', 'usual': [0.0, 9.0]}
        """
        usual = list(self.usual)
        return usual if self.rule is None else {**self.rule.settings(), "per": "image", "usual": usual}


class AskedIntensity(NamedTuple):
    """What a study asks for; `usual` is None where it has to be found in the training images.

    >>> AskedIntensity(usual=None, rule=ZScoreRule(3.0)).per
    'image'
    """

    usual: ValuePair | None
    rule: Rule | None = None
    per: str = "image"


def asked_intensity(given: Sequence[Any] | str | dict[str, Any]) -> AskedIntensity:
    """What is stated as `cohort.intensity`: two values, a CT window by name, or a rule.

    Raises:
        InputError: it is none of them.

    >>> asked_intensity("brain").usual
    (0.0, 80.0)
    >>> asked_intensity({"percentiles": [0.5, 99.5], "per": "cohort"})
    AskedIntensity(usual=None, rule=PercentileRule(percentiles=(0.5, 99.5)), per='cohort')
    """
    if isinstance(given, str):
        if given not in CT_WINDOWS:
            raise InputError(f"{given} is no CT window{nearest(given, CT_WINDOWS)}, or give [low, high]")
        return AskedIntensity(CT_WINDOWS[given])
    if not isinstance(given, dict):
        return AskedIntensity(low_first(pair(given)))
    kinds = [key for key in given if key in RULES]
    for key in given:
        if key not in (*RULES, "per", "usual"):
            raise InputError(f"unknown key {key}{nearest(str(key), [*RULES, 'per', 'usual'])}")
    if len(kinds) != 1:
        raise InputError(f"has {len(kinds)} rules: give one of {', '.join(RULES)}")
    per = given.get("per", "image")
    if per not in ("image", "cohort"):
        raise InputError(f"per is {per}: give image or cohort")
    usual = low_first(pair(given["usual"])) if given.get("usual") is not None else None
    if usual is not None and per == "cohort":
        raise InputError("usual is found where the rule is per cohort: leave it out")
    return AskedIntensity(usual, RULES[kinds[0]](given[kinds[0]]), per)


def make_intensity(given: Sequence[Any] | str | dict[str, Any], found: ValuePair | None = None) -> Intensity:
    """The intensity that a study asks for.

    Args:
        found: the usual values of the training images (`segue.cohort.values`), where the study does not state them.

    >>> make_intensity({"zscore": 3}, (10.0, 50.0))
    Intensity(usual=(10.0, 50.0), rule=ZScoreRule(sd=3.0))
    >>> make_intensity({"zscore": 3, "per": "cohort"}, (10.0, 50.0))
    Intensity(usual=(10.0, 50.0), rule=None)
    """
    asked = asked_intensity(given)
    usual = asked.usual or found
    if usual is None:
        raise InputError("cohort.intensity is found in the training images, and this cohort was prepared without: "
                         "prepare it again")  # fmt: skip
    return Intensity(usual, asked.rule if asked.per == "image" else None)


def one_number(given: Any) -> float:
    """The number of standard deviations of `zscore`.

    >>> one_number(3)
    3.0
    """
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise InputError(f"zscore is {given!r}: give how many standard deviations become 1, such as 3")
    return float(given)


def pair(given: Any) -> ValuePair:
    """Two numbers.

    >>> pair([0, 255])
    (0.0, 255.0)
    """
    try:
        low, high = (float(value) for value in given)
    except (TypeError, ValueError):
        raise InputError(f"{given!r} is not two numbers: give [low, high]") from None
    return low, high


def low_first(values: ValuePair) -> ValuePair:
    """Two finite values, the lower one first.

    >>> low_first((0.0, 255.0))
    (0.0, 255.0)
    """
    if not (-float("inf") < values[0] < values[1] < float("inf")):
        raise InputError(f"{list(values)}: give the lower value first")
    return values
