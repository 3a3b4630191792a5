"""The verdict on a study in words: the same sentences in report, model card and console."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from segue.report.columns import method_title, variable_title
from segue.report.doubts import doubts, listed
from segue.report.study_verdict import (
    GOOD,
    WEAK,
    Accuracy,
    Grade,
    Rival,
    Standing,
    StudyVerdict,
    study_verdict,
)

HEADLINES: dict[Grade, str] = {
    "good": "The numbers of this study can be relied on, within the limits below.",
    "unknown": "Nothing shows whether the numbers of this study can be relied on.",
    "weak": "Read the numbers of this study with care.",
    "too weak": "Do not rely on the numbers of this study.",
}
ANSWERS: dict[Grade, str] = {"good": "Yes", "unknown": "Not known", "weak": "With care", "too weak": "No"}
STANDINGS: dict[Standing, str] = {
    "not told apart": "Not told apart from it",
    "within the measurement error": "Behind it by less than the judge's measurement error",
    "behind": "Behind it",
}
VERBS: dict[Standing, str] = {
    "not told apart": "is not told apart from",
    "within the measurement error": "is by less than the judge's measurement error behind",
    "behind": "is behind",
}
NO_DOUBTS = "The numbers give no reason for a doubt. Look at the images all the same."


class VerdictText(NamedTuple):
    """The verdict as it is shown.

    Attributes:
        grade: of the study. headline: in a sentence. answers: (question, answer). doubts: what must not be trusted.
    """

    grade: Grade
    headline: str
    answers: list[tuple[str, str]]
    doubts: list[str]


def verdict_text(metrics: Mapping[str, Any]) -> VerdictText:
    """The verdict on a study, from its metrics.json.

    Raises:
        InputError: it holds no methods.

    >>> text = verdict_text({"n_images": 8, "methods": {"mine": {"mean": {"error_sd": 0.2}}}})
    >>> text.grade, text.answers[3]
    ('unknown', ('Which method is best?', 'mine, the only one, with an error of 0.200 sd.'))
    """
    verdict = study_verdict(metrics)
    answers = [
        ("What was asked?", asked_sentences(verdict)),
        ("Is the guide good enough?", accuracy_sentences(verdict.guide, "guide")),
        ("Is the judge good enough?", accuracy_sentences(verdict.judge, "judge")),
        ("Which method is best?", " ".join(best_sentences(verdict))),
    ]
    return VerdictText(verdict.grade, HEADLINES[verdict.grade], answers, doubts(metrics, verdict) or [NO_DOUBTS])


def verdict_lines(metrics: Mapping[str, Any]) -> list[str]:
    """The verdict as plain text, one line a statement.

    >>> verdict_lines({"methods": {"mine": {"mean": {"error_sd": 0.2}}}})[0]
    'Verdict: Nothing shows whether the numbers of this study can be relied on.'
    """
    text = verdict_text(metrics)
    lines = [f"Verdict: {text.headline}", *(f"{question} {answer}" for question, answer in text.answers)]
    return [*lines, "What must not be trusted?", *(f"- {one}" for one in text.doubts)]


def warning(metrics: Mapping[str, Any]) -> str | None:
    """Why a model of the study must not be relied on, in a line; None where the numbers do not forbid it.

    >>> weak = {"segmentors": {"guide": {"error_sd": {"heart": 39.0}}}, "methods": {"mine": {}}}
    >>> warning(weak)
    'Do not rely on the numbers of this study. Is the guide good enough? No. ...'
    """
    verdict = study_verdict(metrics)
    if verdict.grade in ("good", "weak"):
        return None
    roles = {"guide": verdict.guide, "judge": verdict.judge}
    poor = [name for name, one in roles.items() if one.grade in ("too weak", "unknown")]
    reasons = [f"Is the {name} good enough? {accuracy_sentences(roles[name], name)}" for name in poor]
    if verdict.useless:
        reasons.append("No method is better than doing nothing.")
    return " ".join([HEADLINES[verdict.grade], *reasons])


def asked_sentences(verdict: StudyVerdict) -> str:
    """What of how many images."""
    counts = {f"{verdict.split} images": verdict.images, "subjects": verdict.subjects}
    images = " of ".join(f"{n} {word}" for word, n in counts.items() if n is not None) or f"the {verdict.split} images"
    asked = f"In {images}, each of {verdict.variables} variables was set, one at a time, "
    total = f": {verdict.images * verdict.variables:,} requests" if verdict.images else ""
    count = len(verdict.methods)
    answered = f"All {count} methods answered them" if count > 1 else "One method answered them"
    return f"{asked}to the value of another image{total}. {answered}, and an independent judge measured the answers."


def accuracy_sentences(one: Accuracy, role: str) -> str:
    """Whether a segmentor is good enough, and by which limits."""
    if one.mean is None:
        return f"{ANSWERS[one.grade]}. The {role} was not compared with masks."
    worst, error = next(iter(one.largest.items()))
    masks = "" if one.mean_of_masks is None else f", or {one.mean_of_masks:.2f} sd of the masks' own areas"
    return (
        f"{ANSWERS[one.grade]}. Its areas differ from those of the masks by {one.mean:.2f} sd on average{masks}; "
        f"most for {variable_title(worst)} ({error:.2f} sd). "
        f"Up to {GOOD} sd is good, above {WEAK} sd is too weak."
    )


def best_sentences(verdict: StudyVerdict) -> Iterator[str]:
    """The method with the smallest error, and how far the others are behind it."""
    best = verdict.best
    if best is None:
        yield "Not known: no error was measured."
        return
    name, span = method_title(best), verdict.spans.get(best)
    error = f"{verdict.methods[best]:.3f} sd" + ("" if span is None else f" [{span[0]:.3f}, {span[1]:.3f}]")
    if not verdict.rivals:
        yield f"{name}, the only one, with an error of {error}."
    elif verdict.alone:
        yield f"{name}, with an error of {error}."
    else:
        yield f"No method is clearly best. {name} has the smallest error, {error}."
    for standing, opening in STANDINGS.items():
        group = [rival for rival in verdict.rivals if rival.standing == standing]
        if group:
            names = listed([behind(rival) for rival in group], most=len(group))
            yield f"{opening}{why(standing, group, verdict)}: {names}."
    if verdict.nothing is not None:
        yield f"The image left as it is: {verdict.nothing:.2f} sd."
    if verdict.oracle is not None:
        yield f"The true image (oracle): {verdict.oracle:.2f} sd."


def why(standing: Standing, group: Sequence[Rival], verdict: StudyVerdict) -> str:
    """Why methods stand where they do, in brackets."""
    if standing == "behind":
        return ""
    if standing == "within the measurement error":
        return f" ({verdict.judge.mean:.2f} sd)"
    paired = all(rival.interval is not None for rival in group)
    return " (the interval of the difference contains 0)" if paired else " (the intervals of the errors overlap)"


def standing_of(metrics: Mapping[str, Any], method: str) -> str:
    """Where one method stands among those of the study, in a sentence.

    >>> standing_of({"methods": {"a": {"mean": {"error_sd": 0.2}}, "b": {"mean": {"error_sd": 0.9}}}}, "a")
    'a has the smallest error of all methods.'
    """
    verdict = study_verdict(metrics)
    if method == verdict.best:
        return f"{method_title(method)} has the smallest error of all methods."
    for rival in verdict.rivals:
        if rival.name == method:
            best = method_title(str(verdict.best))
            return f"{behind(rival)} {VERBS[rival.standing]} {best}, which has the smallest error."
    return f"{method_title(method)} was not judged."


def behind(rival: Rival) -> str:
    """A method and its distance from the best one."""
    span = "" if rival.interval is None else f" [{rival.interval[0]:.3f}, {rival.interval[1]:.3f}]"
    return f"{method_title(rival.name)} (+{rival.behind:.3f}{span})"

