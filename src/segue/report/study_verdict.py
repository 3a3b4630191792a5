"""What a study's numbers allow to be said: is the guide good enough, is the judge, and which method is best.

A pure function of the content of metrics.json. `report.verdict_text` puts it in words for report, card and console.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from segue.evaluation.comparison import IDEAL
from segue.evaluation.metric import HEADLINE, METRICS, Interval, finite, interval
from segue.report.columns import mean_of_finite, methods_of, variables_of

GOOD, WEAK = 0.25, 0.5
"""Limits of a segmentor's mean area error, in sd. Gaussian errors of this size leave 10% and 39% of the variance of
a Gaussian variable unexplained; a segmentor that always finds the mean has an error of 0.8 sd."""

Grade = Literal["good", "weak", "too weak", "unknown"]
Standing = Literal["not told apart", "within the measurement error", "behind"]
ORDER: tuple[Grade, ...] = ("good", "unknown", "weak", "too weak")


@dataclass(frozen=True)
class Accuracy:
    """A segmentor's areas against those of the expert masks, on the judged images.

    Attributes:
        errors: mean absolute difference of each variable, in sd as the guide measures it in training.
        of_masks: the same differences, in sd of the masks' areas over the judged images; {} if that is not known.

    >>> Accuracy({"heart": 0.25, "lung": 0.75}, {}).grade, Accuracy({}, {}).grade
    ('weak', 'unknown')
    """

    errors: Mapping[str, float]
    of_masks: Mapping[str, float]

    @property
    def mean(self) -> float | None:
        """Over variables, in sd as the guide measures it."""
        return mean_of_finite(self.errors)

    @property
    def mean_of_masks(self) -> float | None:
        """Over variables, in sd of the masks."""
        return mean_of_finite(self.of_masks)

    @property
    def grade(self) -> Grade:
        """By the larger of the two means."""
        known = [value for value in (self.mean, self.mean_of_masks) if value is not None]
        if not known:
            return "unknown"
        return "good" if max(known) <= GOOD else "weak" if max(known) <= WEAK else "too weak"

    @property
    def largest(self) -> dict[str, float]:
        """By variable, the larger of its two errors, the worst first."""
        found = {name: max(error, self.of_masks.get(name, 0.0)) for name, error in self.errors.items()}
        return dict(sorted(found.items(), key=lambda one: -one[1]))

    @property
    def failing(self) -> tuple[str, ...]:
        """The variables whose own error is above the limit `WEAK`, the worst first."""
        return tuple(name for name, error in self.largest.items() if error > WEAK)


@dataclass(frozen=True)
class Rival:
    """A method beside the best one.

    Attributes:
        behind: its mean error less the best one's, in sd. interval: 95%, of this paired difference, if it is known.

    >>> Rival("no_cft", 0.9, (0.8, 1.0), "behind").standing
    'behind'
    """

    name: str
    behind: float
    interval: Interval | None
    standing: Standing


@dataclass(frozen=True)
class StudyVerdict:
    """What can be said of a study.

    Attributes:
        split: whose images are judged.
        images, subjects: judged; None where the file does not say. variables: how many can be asked for.
        methods: errors (sd) by method, smallest first; without the oracle. spans: their intervals.
        oracle: the error of the true counterfactual, where it is known.
        nothing: the error of the factual image itself, where it is known.
        rivals: every other method, by its error.

    >>> found = study_verdict({"methods": {"a": {"mean": {"error_sd": 0.2}}, "oracle": {"mean": {"error_sd": 0.3}}}})
    >>> found.best, found.below_oracle, found.useless
    ('a', ('a',), False)
    """

    split: str
    images: int | None
    subjects: int | None
    variables: int
    guide: Accuracy
    judge: Accuracy
    methods: Mapping[str, float]
    spans: Mapping[str, Interval]
    oracle: float | None
    nothing: float | None
    rivals: tuple[Rival, ...]

    @property
    def best(self) -> str | None:
        """The method with the smallest error; None where no error is known."""
        return next(iter(self.methods), None)

    @property
    def alone(self) -> bool:
        """Whether all others are behind it by more than interval and measurement error."""
        return all(rival.standing == "behind" for rival in self.rivals)

    @property
    def below_oracle(self) -> tuple[str, ...]:
        """The methods whose error is below that of the true counterfactual."""
        return tuple(name for name, error in self.methods.items() if self.oracle is not None and error < self.oracle)

    @property
    def useless(self) -> bool:
        """Whether no method is better than the factual image itself."""
        return self.nothing is not None and bool(self.methods) and min(self.methods.values()) >= self.nothing

    @property
    def grade(self) -> Grade:
        """Of the study: the worst of guide and judge; too weak where no method does anything."""
        return "too weak" if self.useless else max(self.guide.grade, self.judge.grade, key=ORDER.index)


def study_verdict(metrics: Mapping[str, Any]) -> StudyVerdict:
    """Read what a study's metrics.json allows to be said; keys that an earlier version did not write may be missing.

    Raises:
        InputError: it holds no methods.

    >>> errors = {"a": {"mean": {"error_sd": 0.2}}, "b": {"mean": {"error_sd": 0.9}}}
    >>> found = study_verdict({"methods": errors, "segmentors": {"guide": {"error_sd": {"heart": 39.0}}}})
    >>> found.best, found.guide.grade, found.grade, found.alone
    ('a', 'too weak', 'too weak', False)
    """
    methods = methods_of(metrics)
    errors = {name: error for name, one in methods.items() if (error := HEADLINE.value(one)) is not None}
    oracle = errors.pop(IDEAL, None)
    ranked = dict(sorted(errors.items(), key=lambda item: item[1]))
    spans = {name: span for name in ranked if (span := HEADLINE.ci95(methods[name])) is not None}
    guide, judge = (accuracy(metrics, name) for name in ("guide", "judge"))
    return StudyVerdict(
        split=metrics.get("split", "test"),
        images=metrics.get("n_images"),
        subjects=metrics.get("n_subjects"),
        variables=len(variables_of(metrics)),
        guide=guide,
        judge=judge,
        methods=ranked,
        spans=spans,
        oracle=oracle,
        nothing=HEADLINE.value(metrics.get("doing_nothing") or {}),
        rivals=tuple(rivals(ranked, spans, methods, judge.mean)),
    )


def accuracy(metrics: Mapping[str, Any], segmentor: str) -> Accuracy:
    """A segmentor's, as far as the file has it.

    >>> accuracy({"segmentors": {"guide": {"error_sd": {"heart": 0.4}}}}, "guide").mean
    0.4
    """
    entry = (metrics.get("segmentors") or {}).get(segmentor) or {}
    errors = {name: value for name, raw in (entry.get("error_sd") or {}).items() if (value := finite(raw)) is not None}
    return Accuracy(errors, errors_in_sd_of_masks(metrics, segmentor))


def errors_in_sd_of_masks(metrics: Mapping[str, Any], segmentor: str) -> dict[str, float]:
    """By variable: a segmentor's area error, in sd of the masks' areas; without variables that do not vary.

    >>> one = {"segmentors": {"guide": {"error": {"heart": 3.0}}}, "sd_of_masks": {"heart": 2.0}}
    >>> errors_in_sd_of_masks(one, "guide")
    {'heart': 1.5}
    """
    sd = metrics.get("sd_of_masks") or {}
    errors = ((metrics.get("segmentors") or {}).get(segmentor) or {}).get("error") or {}
    known = {name: (finite(error), finite(sd.get(name))) for name, error in errors.items()}
    return {name: error / spread for name, (error, spread) in known.items() if error is not None and spread}


def rivals(
    ranked: Mapping[str, float],
    spans: Mapping[str, Interval],
    methods: Mapping[str, Mapping[str, Any]],
    measurement_error: float | None,
) -> list[Rival]:
    """All but the first of `ranked`, compared with it: by the paired difference, or else by both intervals.

    >>> spans = {"a": (0.1, 0.3), "b": (0.8, 1.0)}
    >>> [one.standing for one in rivals({"a": 0.2, "b": 0.9}, spans, {"a": {}, "b": {}}, measurement_error=0.1)]
    ['behind']
    """
    found, best = [], next(iter(ranked), "")
    for name in [*ranked][1:]:
        behind = ranked[name] - ranked[best]
        paired = METRICS["error_over_best"].ci95(methods[name])
        known = {name, best} <= set(spans)
        low = paired[0] if paired else spans[name][0] - spans[best][1] if known else 0.0
        standing: Standing = "behind"
        if low <= 0:
            standing = "not told apart"
        elif measurement_error is not None and behind <= measurement_error:
            standing = "within the measurement error"
        found.append(Rival(name, behind, interval(paired), standing))
    return found
