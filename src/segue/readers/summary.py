"""The analysis in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from segue.report.columns import MISSING, method_title
from segue.report.table import pipe_table

FEWEST_READERS = 3
NO_READERS = "No human has read this kit. What stands below is not a reader study."
NOT_HUMAN = (
    "This is a classifier, no human. It sees the surroundings of each edit alone, and it has learned from answers of "
    "the same methods to other images. It says nothing about what a clinician would see."
)
FEW_READERS = "With {} reader(s), the intervals say little about other readers."
LEGEND = (
    "AUC: how often an edited image is rated as more surely edited than a real one; 0.5 is chance. Intervals (95%) are "
    "over readers and cases (Obuchowski & Rockette 1995; Hillis 2007), those of one reader over cases (DeLong et al. "
    "1988). An interval of width 0 means that no pair was misjudged, not that the number is exact."
)
KAPPA = "Kappa has quadratic weights (Cohen 1968); its intervals are by bootstrap over cases."
SECOND = "Mean rating from 1 to 5, and in brackets its 95% interval by bootstrap over readers and requests."
QUESTION_TITLES = {"happened": "it happened", "only_there": "only there", "plausible": "plausible"}


def summary_text(found: Mapping[str, Any]) -> str:
    """`analysis.md` from the content of `analysis.json`."""
    cases = ", ".join(f"{n} {method_title(kind)}" for kind, n in found["cases"].items())
    size = f"Kit {found['kit']}. Cases: {cases}; {found['requests']} requests."
    parts = [f"# Reader study of {found['study']}", size]
    if not found["readers"]:
        parts.append(f"**{NO_READERS}**")
    elif len(found["readers"]) < FEWEST_READERS:
        parts.append(FEW_READERS.format(len(found["readers"])))
    if found["first"]:
        parts += ["## Real or edited?", *first_text(found["first"])]
    if found["second"]:
        parts += ["## Did what was asked happen?", *second_text(found["second"])]
    if found["seconds"]:
        parts += ["## Time", pipe_table(["reader", "median seconds a case"], [
            [name, f"{seconds:.1f}"] for name, seconds in found["seconds"].items()
        ])]  # fmt: skip
    if found["stand_in"]:
        parts += ["## Automatic stand-in: the classifier of local realism", NOT_HUMAN, *first_text(found["stand_in"])]
    return "\n\n".join(parts) + "\n"


def first_text(first: Mapping[str, Any]) -> list[str]:
    """The tables of the first part."""
    names = list(next(iter(first["auc"].values()))["readers"])
    pooled = ["all readers"] if len(names) > 1 else []
    roc_areas = [
        [method_title(kind), *([spanned(row)] if pooled else []), *(spanned(row["readers"][name]) for name in names)]
        for kind, row in first["auc"].items()
    ]
    parts = [LEGEND, pipe_table(["AUC", *pooled, *names], roc_areas)]
    if first["differences"]:
        rows = [[paired_titles(pair), spanned(one), f"{one['p']:.3f}"] for pair, one in first["differences"].items()]
        parts.append(pipe_table(["difference of AUC", "", "p"], rows))
    called = [
        [method_title(kind), *(percent(row[name]) for name in names)] for kind, row in first["called_edited"].items()
    ]
    parts += [pipe_table(["called edited", *names], called), KAPPA]
    rows = [[f"{name}, twice", *kappa_cells(one)] for name, one in first["within_readers"].items()]
    rows += [[pair, *kappa_cells(one)] for pair, one in first["between_readers"].items()]
    return [*parts, pipe_table(["agreement", "kappa", "cases"], rows)]


def second_text(second: Mapping[str, Any]) -> list[str]:
    """The tables of the second part."""
    heads = ["method", *(head for name in QUESTION_TITLES.values() for head in (name, "4 or 5"))]
    rows = [
        [method_title(method), *(text for one in row.values() for text in (spanned(one), percent(one["share_4_or_5"])))]
        for method, row in second["methods"].items()
    ]
    parts = [SECOND, pipe_table(heads, rows)]
    if second["differences"]:
        rows = [[paired_titles(pair), *map(spanned, row.values())] for pair, row in second["differences"].items()]
        parts.append(pipe_table(["difference", *QUESTION_TITLES.values()], rows))
    rows = [
        [f"{QUESTION_TITLES[question]}: {pair}", *kappa_cells(one)]
        for question, row in second["between_readers"].items()
        for pair, one in row.items()
    ]
    return [*parts, *([KAPPA, pipe_table(["agreement", "kappa", "cases"], rows)] if rows else [])]


def kappa_cells(one: Mapping[str, Any]) -> Sequence[str]:
    """A kappa with its interval, and how many cases it compares."""
    return (MISSING if one["kappa"] is None else spanned({**one, "value": one["kappa"]})), str(one["cases"])


def spanned(one: Mapping[str, Any]) -> str:
    """A number with its interval.

    >>> spanned({"value": 0.5, "ci95": [0.25, 0.75]}), spanned({"value": -0.5, "ci95": None})
    ('0.50 [0.25, 0.75]', '−0.50')
    """
    interval = "" if one["ci95"] is None else " [{:.2f}, {:.2f}]".format(*one["ci95"])
    return f"{one['value']:.2f}{interval}".replace("-", "−")


def percent(share: float) -> str:
    """A share for readers of the summary.

    >>> percent(0.25)
    '25%'
    """
    return f"{100 * share:.0f}%"


def paired_titles(pair: str) -> str:
    """Two methods and the minus between them.

    >>> paired_titles("segue - no_cft")
    'segue − No-CFT'
    """
    return " − ".join(map(method_title, pair.split(" - ")))
