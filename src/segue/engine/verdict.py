"""A verdict: what was achieved of what was asked, and every reason to doubt it.

All limits are the constants of this module (docs/verdicts.md explains them). `segue.engine.judgement` computes verdicts
once, in the engine, and every surface shows the same.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from segue.anatomy import said_value
from segue.errors import InputError
from segue.text import in_digits

__all__ = ["Doubt", "Reached", "Verdict", "achieved_interval", "is_met", "refuse_unmet", "share_of"]

SHARES = (0.75, 1.25)
"""A request is met within these shares of the change asked,"""
AREA_ERROR = 0.15
"""or if it is missed by no more than this, in training sd: the area error of a good segmentor."""
SMALLEST_CHANGE = 1e-3
"""Less than this, in training sd, is nothing asked."""
NOTHING_ASKED = (
    f"no measured variable was asked to change by more than {SMALLEST_CHANGE:g} sd; "
    "where a structure is absent, ask for a value or for +1sd"
)
FAR_SHARE = 0.5
"""Locality is in doubt if more than this share of the change of the image is far from the outlines."""
CONFIDENCE = 0.95
"""Of the interval beside what was achieved."""
NORMAL = float(torch.special.ndtri(torch.tensor((1 + CONFIDENCE) / 2, dtype=torch.float64)))
CHANGE_ERROR = 0.7
"""The error of a measured change, as a share of the guide's area error against masks: calibrated on phantoms."""

Kind = Literal["input", "request", "not met", "uncertain", "locality"]


@dataclass(frozen=True)
class Reached:
    """One measured variable that was asked to change, of one image.

    Attributes:
        factual, requested, achieved: in `unit`; achieved is measured by the guide.
        ensemble: achieved, by the mean of guide and ensemble; None without an ensemble.
        spread: of achieved, over ensemble members and posterior samples (see `achieved_interval`); None without.
        interval: the same with the guide's measurement error, where it is known.
        share: (achieved - factual) / (requested - factual).
        met: whether guide, and ensemble if there is one, say that the request was met (see `is_met`).

    >>> Reached("heart@whole", "px", 800.0, 1000.0, 950.0, None, None, None, 0.75, True).line
    'heart@whole: factual 800 px, requested 1,000 px, achieved 950 px (75% of the change): met'
    >>> Reached("heart@whole", "px", 800.0, 801.0, 800.0, None, None, None, 0.0, True).line
    'heart@whole: factual 800 px, requested 801 px, achieved 800 px (missed by less than the measurement error): met'
    """

    variable: str
    unit: str
    factual: float
    requested: float
    achieved: float
    ensemble: float | None
    spread: tuple[float, float] | None
    interval: tuple[float, float] | None
    share: float
    met: bool

    @property
    def line(self) -> str:
        """The numbers and the verdict as one line of plain text."""
        close = self.met and not SHARES[0] <= self.share <= SHARES[1]
        beside = ["missed by less than the measurement error" if close else f"{self.share:.0%} of the change"]
        if (share := self.share_by_ensemble) is not None:
            beside.append(f"by the ensemble {in_digits(self.ensemble or 0.0)}, {share:.0%}")
        beside += [] if self.interval is None else [f"{CONFIDENCE:.0%} interval {span(self.interval)}"]
        numbers = f"factual {self.say(self.factual)}, requested {self.say(self.requested)}"
        verdict = "met" if self.met else "NOT MET"
        return f"{self.variable}: {numbers}, achieved {self.say(self.achieved)} ({'; '.join(beside)}): {verdict}"

    @property
    def share_by_ensemble(self) -> float | None:
        """`share` by the mean of guide and ensemble."""
        return None if self.ensemble is None else share_of(self.factual, self.requested, self.ensemble)

    def say(self, value: float) -> str:
        """A value of the variable, see `segue.anatomy.said_value`."""
        return said_value(self.variable, value, self.unit)


@dataclass(frozen=True)
class Doubt:
    """One sentence that the user must read: the reason, and what to do about it.

    >>> Doubt("request", "age 120 is outside the training range; ask for less").kind
    'request'
    """

    kind: Kind
    text: str


@dataclass(frozen=True)
class Verdict:
    """Of one image under one request.

    Attributes:
        reached: the measured variables that were asked to change, those that follow along the graph included.
        doubts: every reason not to trust the answer. notes: what could not be checked.
        reach: share of |x* - x| far from the outlines of what was asked; None where nothing measured was asked.

    >>> Verdict((), ()).ok
    True
    """

    reached: tuple[Reached, ...]
    doubts: tuple[Doubt, ...]
    notes: tuple[str, ...] = ()
    reach: float | None = None

    @property
    def ok(self) -> bool:
        """All that was asked was met, and there is no doubt."""
        return self.met and not self.doubts

    @property
    def met(self) -> bool:
        """All that was asked was met."""
        return all(one.met for one in self.reached)

    @property
    def word(self) -> str:
        """`not met`, else `met, in doubt`, else `met`."""
        return in_a_word(self.met, self.doubts)

    def word_of(self, variable: str) -> str:
        """`word`, of one of the variables that were asked."""
        doubts = [one for one in self.doubts if one.kind != "not met"]
        return in_a_word(all(one.met for one in self.reached if one.variable == variable), doubts)

    def lines(self) -> list[str]:
        """Plain text: one line a variable, then the doubts, then the notes."""
        said = [one.line for one in self.reached] or [NOTHING_ASKED]
        return [*said, *(f"{one.kind}: {one.text}" for one in self.doubts), *(f"note: {one}" for one in self.notes)]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"ok": self.ok, "word": self.word, **asdict(self)}


def in_a_word(met: bool, doubts: Sequence[Doubt]) -> str:
    """See `Verdict.word`."""
    return "not met" if not met else "met, in doubt" if doubts else "met"


def share_of(factual: float, requested: float, achieved: float) -> float:
    """The achieved share of the change asked; 1 where nothing was asked.

    >>> share_of(800.0, 1000.0, 850.0)
    0.25
    """
    return 1.0 if requested == factual else (achieved - factual) / (requested - factual)


def is_met(factual: float, requested: float, achieved: float, *, sd: float) -> bool:
    """Whether the share is within `SHARES`, or the error within `AREA_ERROR`.

    Args:
        sd: of the variable in training.

    >>> is_met(800.0, 1000.0, 850.0, sd=100.0), is_met(800.0, 1000.0, 990.0, sd=100.0)
    (False, True)
    """
    within = abs(achieved - requested) <= AREA_ERROR * sd
    return within or SHARES[0] <= share_of(factual, requested, achieved) <= SHARES[1]


def achieved_interval(
    members: Sequence[float], draws: Sequence[float], error: float = 0.0, *, least: float = 0.0
) -> tuple[float, float] | None:
    """An interval for what was achieved; None where nothing says how certain it is.

    Student's t prediction interval over the members, sqrt(1 + 1/n) s t, for what one more segmentor, trained alike,
    would measure; the same over the posterior samples; and what segmentors that are trained alike err alike,
    `CHANGE_ERROR` times their area error. The half-widths add as squares.

    Args:
        members: achieved by the guide and each ensemble member. draws: by the guide, on each posterior sample's answer.
        error: of the guide's areas against masks, root mean square. least: the smallest value that can be.

    >>> achieved_interval([9.0, 10.0, 11.0], [])
    (5.03..., 14.96...)
    >>> achieved_interval([9.0], []) is None
    True
    >>> achieved_interval([9.0], [], error=1.0)
    (7.6..., 10.3...)
    """
    halves = [half_width(values) for values in (members, draws) if len(values) > 1]
    halves += [NORMAL * CHANGE_ERROR * error] if error else []
    if not halves:
        return None
    centre, half = sum(members) / len(members), math.hypot(*halves)
    return max(centre - half, least), centre + half


def half_width(values: Sequence[float]) -> float:
    """Of the prediction interval of one more value."""
    from scipy.special import stdtrit  # slow to import

    n, mean = len(values), sum(values) / len(values)
    sd = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * sd * math.sqrt(1 + 1 / n)


def span(ends: tuple[float, float]) -> str:
    """Both ends of an interval."""
    return f"{in_digits(ends[0])} to {in_digits(ends[1])}"


def refuse_unmet(found: Sequence[Verdict], names: Sequence[str] = ()) -> None:
    """Raise where a request was not met.

    Args:
        names: of the images, for the message.

    Raises:
        InputError: one line that says of how many requests, and of the first one what was reached.

    >>> refuse_unmet([Verdict((), ())])
    """
    unmet = [place for place, verdict in enumerate(found) if not verdict.met]
    if unmet:
        text = next(doubt.text for doubt in found[unmet[0]].doubts if doubt.kind == "not met")
        whose = f"{names[unmet[0]]}: " if names else ""
        raise InputError(f"{len(unmet)} of {len(found)} requests were not met: {whose}{text}")
