"""Columns of numbers from metrics.json: one row for each method or segmentor. The registry of metrics says which."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segue.anatomy import variable_unit
from segue.errors import InputError
from segue.evaluation.comparison import IDEAL
from segue.evaluation.metric import FAMILIES, HEADLINE, Family, Interval, Metric, finite, interval, look_up
from segue.text import in_words, typeset_unit

METHOD_TITLES = {
    "no_cft": "No-CFT",
    "reg_cft": "Reg-CFT",
    "seg_cft": "Seg-CFT",
    "pos_seg_cft": "Pos-Seg-CFT",
    "segue": "segue",
    "nothing": "Nothing",
    "untrained_warp": "Untrained warp",
    "test_time_deformation": "Test-time deformation",
    "latent_optimisation": "Latent optimisation",
    "guided_diffusion": "Guided diffusion",
    "mask_inpainting": "Mask in-painting",
    "diffusion_scm": "Diffusion SCM",
    "diffusion_cft": "Diffusion-CFT",
    "oracle": "Oracle",
}
BROADCAST = "_broadcast"
MISSING = "–"
NOTHING, FACTS = "doing nothing", "facts alone"  # rows for comparison that are not methods


@dataclass(frozen=True)
class TableColumn:
    """One quantity for every row.

    Attributes:
        group: heading that it shares with its neighbours, e.g. a structure.
        title: its own head.
        values: one for each row; None where it is not known.
        intervals: 95% intervals, one for each row; None where it is not known.
        best: the row to be set in bold, if there is one.

    >>> TableColumn("", "error", (0.12, None), ((0.1, 0.14), None)).cells()
    ['0.120 [0.100, 0.140]', '–']
    """

    group: str
    title: str
    values: tuple[float | None, ...]
    intervals: tuple[Interval | None, ...]
    best: frozenset[int] = frozenset()

    def cells(self) -> list[str]:
        """The numbers as text, all with the same number of digits."""
        digits = decimals([value for value in self.values if value is not None])
        texts = []
        for value, ends in zip(self.values, self.intervals, strict=True):
            text = format_number(value, digits)
            if value is not None and ends is not None:
                text += f" [{format_number(ends[0], digits)}, {format_number(ends[1], digits)}]"
            texts.append(text)
        return texts

    @property
    def known(self) -> bool:
        """Whether any row has a value."""
        return any(value is not None for value in self.values)


# ---- columns of methods ------------------------------------------------------------------------------------------


def variable_columns(metrics: Mapping[str, Any]) -> list[TableColumn]:
    """The error of each variable, in sd with its interval; grouped by structure, one row for each method."""
    methods = methods_of(metrics)
    columns = []
    for name in variables_of(metrics):
        entries = [(method.get("variables") or {}).get(name) or {} for method in methods.values()]
        values = tuple(finite(entry.get(HEADLINE.key)) for entry in entries)
        intervals = tuple(interval(entry.get("ci95")) for entry in entries)
        margin = judge_errors(metrics).get(name, 0.0)
        best = best_rows(values, intervals, [key != IDEAL for key in methods], HEADLINE.direction, margin)
        columns.append(TableColumn(*split_name(name), values, intervals, best))
    return columns


def mean_columns(metrics: Mapping[str, Any]) -> list[TableColumn]:
    """Means over variables, and the axioms: one row for each method; what no method has is left out."""
    methods = methods_of(metrics)
    competing, unit = [key != IDEAL for key in methods], unit_of(metrics)
    margin = mean_of_finite(judge_errors(metrics)) or 0.0
    columns = [
        metric_column(
            metric, list(methods.values()), unit, [family.ranked and one for one in competing],
            margin if metric.by_judge else 0.0,
        )
        for family, metric in main_metrics()
    ]
    return [column for column in columns if column.known]


def main_metrics() -> list[tuple[Family, Metric]]:
    """The metrics of the main table, each with its family."""
    families = [family for family in FAMILIES.values() if family.table == "main"]
    return [(family, metric) for family in families for metric in family.metrics if "table" in metric.shown_in]


def family_rows(family: str, metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """By title: rows for comparison, then every method that has a metric of the family."""
    rows: dict[str, Mapping[str, Any]] = {}
    if family == "truth":
        rows[NOTHING] = {"truth": metrics.get("truth_of_doing_nothing")}
    if family == "realism":
        facts = metrics.get("realism_of_facts") or {}
        rows[FACTS] = {"realism": {kind: {**one, "ci95": one["band"]} for kind, one in facts.items()}}
    rows |= {method_title(key): method for key, method in methods_of(metrics).items()}
    known = FAMILIES[family].metrics
    return {name: row for name, row in rows.items() if any(metric.value(row) is not None for metric in known)}


def family_columns(family: str, metrics: Mapping[str, Any]) -> list[TableColumn]:
    """The metrics of a family, one row for each of `family_rows`; what no row has is left out."""
    rows, unit, ranked = family_rows(family, metrics), unit_of(metrics), FAMILIES[family].ranked
    competing = [ranked and name not in (NOTHING, FACTS, METHOD_TITLES[IDEAL]) for name in rows]
    columns = [
        metric_column(metric, list(rows.values()), unit, competing)
        for metric in FAMILIES[family].metrics
        if "table" in metric.shown_in
    ]
    return [column for column in columns if column.known]


def metric_column(
    metric: Metric, methods: Sequence[Mapping[str, Any]], unit: str, competing: Sequence[bool], margin: float = 0.0
) -> TableColumn:
    """A metric of every method; the best is in bold if it is ahead by more than `margin`."""
    values = tuple(metric.value(method) for method in methods)
    intervals = tuple(metric.ci95(method) for method in methods)
    best = best_rows(values, intervals, competing, metric.direction, margin)
    return TableColumn(metric.group, metric.head(unit), values, intervals, best)


def best_rows(
    values: Sequence[float | None],
    intervals: Sequence[Interval | None],
    competing: Sequence[bool],
    direction: str | None,
    margin: float = 0.0,
) -> frozenset[int]:
    """The row with the best value among those that compete, if that is no matter of chance.

    Its interval is known and overlaps no other's, and it is ahead of all others by more than `margin`. A row without an
    interval counts as its value alone.

    >>> spans = [(0.1, 0.2), (0.3, 0.5), None]
    >>> best_rows([0.15, 0.4, 0.9], spans, [True] * 3, "low")
    frozenset({0})
    >>> best_rows([0.15, 0.4, 0.9], spans, [True] * 3, "low", margin=0.3)
    frozenset()
    """
    sign = -1 if direction == "high" else 1
    known = {i: sign * v for i, v in enumerate(values) if v is not None and competing[i]}
    if direction is None or len(known) < 2:
        return frozenset()
    first, *others = sorted(known, key=known.__getitem__)
    if intervals[first] is None:
        return frozenset()
    ends = {i: sorted(sign * end for end in intervals[i] or (values[i], values[i])) for i in known}  # type: ignore[operator]
    apart = all(ends[first][1] < ends[i][0] and known[i] - known[first] > margin for i in others)
    return frozenset({first} if apart else ())


def judge_errors(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The judge's measurement error of each variable, in sd; {} if it was not measured."""
    errors = look_up(metrics, "segmentors.judge.error_sd") or {}
    return {name: value for name, raw in errors.items() if (value := finite(raw)) is not None}


# ---- names and numbers -------------------------------------------------------------------------------------------


def methods_of(metrics: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The methods by key.

    Raises:
        InputError: there are none.
    """
    methods = metrics.get("methods")
    if not methods:
        raise InputError("metrics.json: no methods; run the stage `evaluate` first")
    return methods


def variables_of(metrics: Mapping[str, Any]) -> list[str]:
    """Names of the variables, in the order of the file or else of the methods."""
    found = dict.fromkeys(
        name for method in methods_of(metrics).values() for name in method.get("variables") or {}
    )
    return list(metrics.get("variables") or found)


def method_title(key: str) -> str:
    """A method's name for readers.

    >>> method_title("pos_seg_cft_broadcast"), method_title("segue_without_blur")
    ('Pos-Seg-CFT (broadcast parents)', 'segue without blur')
    """
    if key.endswith(BROADCAST):
        return f"{method_title(key.removesuffix(BROADCAST))} (broadcast parents)"
    stem = next((stem for stem in METHOD_TITLES if key.startswith(f"{stem}_")), None)
    rest = in_words(key.removeprefix(stem)) if stem else ""
    return METHOD_TITLES.get(key) or (f"{METHOD_TITLES[stem]}{rest}" if stem else key)


def split_name(variable: str) -> tuple[str, str]:
    """`structure@region` as two names for readers; a plain covariate stands under "covariates".

    >>> split_name("lumen@mid:stenosis")
    ('lumen', 'mid stenosis')
    """
    structure, at, region = variable.replace(":", " ").partition("@")
    return (in_words(structure), in_words(region)) if at else ("covariates", in_words(structure))


def variable_title(name: str) -> str:
    """`structure@region:measurement` for readers.

    >>> variable_title("left_lung@upper")
    'left lung upper'
    """
    return in_words(name.replace("@", " ").replace(":", " "))


def unit_of(metrics: Mapping[str, Any]) -> str:
    """The unit of the variables, typeset; "mixed units" where they have several.

    >>> unit_of({"unit": "mm2", "variables": ["a@x"]}), unit_of({"unit": "mm2", "variables": ["a@x", "a@x:length"]})
    ('mm²', 'mixed units')
    """
    unit = str(metrics.get("unit") or "px")
    units = {variable_unit(name, unit) for name in metrics.get("variables") or () if "@" in name}  # no covariates
    return typeset_unit(unit) if len(units) < 2 else "mixed units"


def decimals(values: Sequence[float]) -> int:
    """Digits after the point: two significant ones for the smallest value, three for the largest; 0 to 4.

    >>> decimals([0.043, 0.81])
    3
    """
    sizes = [abs(value) for value in values if value]
    if not sizes:
        return 2
    wanted = max(1 - math.floor(math.log10(min(sizes))), 2 - math.floor(math.log10(max(sizes))))
    return min(max(wanted, 0), 4 if max(sizes) < 0.1 else 3)


def format_number(value: float | None, digits: int) -> str:
    """A number with `digits` decimals, or in powers of ten where these would all be 0.

    >>> format_number(0.25, 1), format_number(2e-7, 4), format_number(None, 2)
    ('0.2', '2e-07', '–')
    """
    if value is None:
        return MISSING
    if value and abs(value) < 0.5 * 10**-digits:
        return f"{value:.0e}"
    return f"{value:.{digits}f}"


def mean_of_finite(values: Mapping[Any, Any]) -> float | None:
    """The mean of the finite numbers; None where there are none."""
    known = [value for value in map(finite, values.values()) if value is not None]
    return sum(known) / len(known) if known else None
