"""What of a study must not be trusted: a sentence for each reason that its numbers give."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from segue.evaluation.comparison import IDEAL
from segue.evaluation.metric import HEADLINE, METRICS, finite
from segue.report.columns import method_title, methods_of, variable_title, variables_of
from segue.report.study_verdict import WEAK, StudyVerdict

FEW = 20
"""Subjects; intervals from fewer are rough."""
TOLD_APART, FAR_AWAY, OFF_TARGET, FOLDED, FALLBACKS, MET = 0.6, 0.5, 0.25, 0.001, 0.05, 0.5
"""Limits beyond which a reader is warned: AUC of crops; share of the change far from the structure; mean change of
other variables (sd); share of folded pixels; share of images with fall-back regions; error over doing nothing's."""
SPREADS = 2 / 3, 3 / 2
"""Ratios of the guide's sd to that of the masks between which errors in sd may be read as they are."""

WEAK_JUDGE = (
    "This is no better answer. The oracle's error is what guide and judge measure wrongly. A method can follow the "
    "guide's errors where the judge shares them: the judge is too weak to rank answers this close to the truth."
)


def doubts(metrics: Mapping[str, Any], verdict: StudyVerdict) -> list[str]:
    """The sentences, the gravest first; [] where the numbers give no reason for one."""
    found = [*of_segmentors(metrics, verdict), *of_errors(metrics, verdict)]
    return [*found, *of_images(metrics, verdict), *of_sample(metrics, verdict)]


def of_segmentors(metrics: Mapping[str, Any], verdict: StudyVerdict) -> Iterator[str]:
    """Guide and judge against the masks."""
    for role, one, rests in (
        ("guide", verdict.guide, "requests for {} and their answers"),
        ("judge", verdict.judge, "errors in {}"),
    ):
        if one.grade == "unknown":
            yield f"The {role} was not compared with masks: its errors are not known."
        elif len(one.failing) == verdict.variables > 1:
            rest = rests.format("them")
            yield f"The {role} measures every variable with an error above {WEAK} sd: {rest} mean little."
        elif one.failing:
            worst, them = listed([variable_title(name) for name in one.failing]), "them" if one.failing[1:] else "it"
            yield f"The {role}'s error is above {WEAK} sd for {worst}: {rests.format(them)} mean little."
    ratios = spread_ratios(metrics)
    low, high = SPREADS
    if wrong := [variable_title(name) for name, ratio in ratios.items() if not low <= ratio <= high]:
        yield (
            f"The guide's sd in training, in which errors are given, is {min(ratios.values()):.2g} to "
            f"{max(ratios.values()):.2g} times that of the masks. Read errors of {listed(wrong)} in the unit instead."
        )


def spread_ratios(metrics: Mapping[str, Any]) -> dict[str, float]:
    """By variable: its sd in training as the guide measures it, over that of the masks of the judged images.

    >>> spread_ratios({"sd": {"heart": 1.0}, "sd_of_masks": {"heart": 4.0}})
    {'heart': 0.25}
    """
    masks = metrics.get("sd_of_masks") or {}
    pairs = {name: (finite(sd), finite(masks.get(name))) for name, sd in (metrics.get("sd") or {}).items()}
    return {name: own / true for name, (own, true) in pairs.items() if own is not None and true}


def of_errors(metrics: Mapping[str, Any], verdict: StudyVerdict) -> Iterator[str]:
    """What the errors of the methods cannot show."""
    best, floor = verdict.best, verdict.judge.mean
    if best is None:
        yield "No method has an error: nothing was judged."
        return
    error, method = verdict.methods[best], methods_of(metrics)[best]
    if verdict.useless:
        yield f"No method is better than doing nothing, whose error is {verdict.nothing:.2f} sd."
    if verdict.below_oracle:
        yield below_oracle_sentence(verdict)
    if floor is not None and error < floor:
        names = listed([method_title(name) for name, one in verdict.methods.items() if one < floor])
        yield f"Errors below the judge's own measurement error ({floor:.2f} sd) are no proof of more accuracy: {names}."
    by_guide = METRICS["guide_error_sd"].value(method)
    if by_guide is not None and error - by_guide > (floor or 0.0):
        yield (
            f"{method_title(best)} exploits errors of the guide, which sees an error of {by_guide:.2f} sd where the "
            f"judge sees {error:.2f} sd."
        )
    if missed := [variable_title(name) for name in unmet(metrics, best)]:
        yield f"{method_title(best)} leaves more than half of doing nothing's error in {listed(missed)}."


def below_oracle_sentence(verdict: StudyVerdict) -> str:
    """Why a method can have a smaller mean error than the truth."""
    names = listed([method_title(name) for name in verdict.below_oracle])
    verb = "have" if len(verdict.below_oracle) > 1 else "has"
    oracle = f"the oracle ({verdict.oracle:.2f} sd), which gives the true images"
    return f"{names} {verb} a smaller error than {oracle}. {WEAK_JUDGE}"


def oracle_note(metrics: Mapping[str, Any]) -> str | None:
    """Which methods have a smaller error than the oracle, in which variables, and why; None where none has.

    >>> own, oracle = ({"variables": {"a": {"error_sd": error}}} for error in (0.1, 0.2))
    >>> oracle_note({"methods": {"mine": own, "oracle": oracle}}).split(". ")[0]
    'Below the oracle, which gives the true images: mine in 1 of 1 variables'
    """
    methods, names = methods_of(metrics), variables_of(metrics)
    if IDEAL not in methods:
        return None
    errors = {key: [HEADLINE.of_variable(one, name) for name in names] for key, one in methods.items()}
    counts = {method_title(key): sum(map(below, found, errors[IDEAL])) for key, found in errors.items()}
    found = [f"{title} in {count} of {len(names)} variables" for title, count in counts.items() if count]
    return f"Below the oracle, which gives the true images: {listed(found)}. {WEAK_JUDGE}" if found else None


def below(error: float | None, other: float | None) -> bool:
    """Whether both are known and the first is smaller."""
    return error is not None and other is not None and error < other


def unmet(metrics: Mapping[str, Any], best: str) -> list[str]:
    """The variables in which a method's error is more than half of doing nothing's."""
    still = (metrics.get("doing_nothing") or {}).get("variables") or {}
    own, found = methods_of(metrics)[best].get("variables") or {}, []
    for name in variables_of(metrics):
        error, nothing = (finite((entries.get(name) or {}).get("error_sd")) for entries in (own, still))
        if error is not None and nothing is not None and error > MET * nothing:
            found.append(name)
    return found


def of_images(metrics: Mapping[str, Any], verdict: StudyVerdict) -> Iterator[str]:
    """What the best method does to images beyond what was asked."""
    if verdict.best is None:
        return
    method, name = methods_of(metrics)[verdict.best], method_title(verdict.best)
    auc, span = METRICS["local_realism"].value(method), METRICS["local_realism"].ci95(method)
    if auc is not None and auc >= TOLD_APART and span is not None and span[0] > 0.5:
        yield f"Near the edit, images of {name} can be told from real ones (AUC {auc:.2f}; 0.5: not to be told apart)."
    reach, moved, folding = (METRICS[key].value(method) for key in ("reach", "off_target_sd", "folding"))
    if reach is not None and reach > FAR_AWAY:
        yield f"{reach:.0%} of the change that {name} makes lies far from the outlines of the structure asked for."
    if moved is not None and moved > OFF_TARGET:
        yield f"{name} changes the other variables too, by {moved:.2f} sd on average."
    if folding is not None and folding > FOLDED:
        yield f"{name} folds the image over itself in {folding:.1%} of the pixels."


def of_sample(metrics: Mapping[str, Any], verdict: StudyVerdict) -> Iterator[str]:
    """What the judged images are too few, or too different, for."""
    if verdict.subjects is not None and verdict.subjects < FEW:
        yield f"Only {verdict.subjects} subjects were judged: the intervals are rough."
    for name, count in (metrics.get("fallbacks") or {}).items():
        if verdict.images and count > FALLBACKS * verdict.images:
            images = f"{count} of {verdict.images} images"
            yield f"In {images} the regions of {variable_title(name)} are a fall-back: the guide finds none."


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names as part of a sentence, the first few of many.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], most=2)
    ('a', 'a, b and c', 'a, b and 2 more')
    """
    shown = list(names) if len(names) <= most else [*names[:most], f"{len(names) - most} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
