"""Columns of numbers from metrics.json: one row for each method or segmentor. The registry of metrics says which."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segue.errors import InputError
from segue.evaluation.metric import FAMILIES, HEADLINE, Interval, Metric, finite, interval, look_up
from segue.text import in_words, typeset_unit

METHOD_TITLES = {
    "no_cft": "No-CFT",
    "reg_cft": "Reg-CFT",
    "seg_cft": "Seg-CFT",
    "pos_seg_cft": "Pos-Seg-CFT",
    "segue": "segue",
    "oracle": "Oracle",
}
BROADCAST = "_broadcast"
IDEAL = "oracle"  # the true counterfactual; it does not compete, so it is never the best of a column
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
        best: rows to be set in bold.

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
        best = best_rows(values, [key != IDEAL for key in methods], HEADLINE.direction)
        columns.append(TableColumn(*split_name(name), values, intervals, best))
    return columns


def mean_columns(metrics: Mapping[str, Any]) -> list[TableColumn]:
    """Means over variables, and the axioms: one row for each method; what no method has is left out."""
    methods = methods_of(metrics)
    competing, unit = [key != IDEAL for key in methods], unit_of(metrics)
    columns = [metric_column(metric, list(methods.values()), unit, competing) for metric in main_metrics()]
    return [column for column in columns if column.known]


def main_metrics() -> list[Metric]:
    """The metrics of the main table."""
    families = [family for family in FAMILIES.values() if family.table == "main"]
    return [metric for family in families for metric in family.metrics if "table" in metric.shown_in]


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
    metric: Metric, methods: Sequence[Mapping[str, Any]], unit: str, competing: Sequence[bool]
) -> TableColumn:
    """A metric of every method."""
    values = tuple(metric.value(method) for method in methods)
    intervals = tuple(metric.ci95(method) for method in methods)
    return TableColumn(
        metric.group, metric.head(unit), values, intervals, best_rows(values, competing, metric.direction)
    )


def best_rows(
    values: Sequence[float | None], competing: Sequence[bool], direction: str | None
) -> frozenset[int]:
    """The rows with the best value among those that compete; rows that read the same are equally good.

    >>> sorted(best_rows([0.2, 0.1, None, 0.1], [True] * 4, "low"))
    [1, 3]
    """
    known = [value for value, competes in zip(values, competing, strict=True) if competes and value is not None]
    if direction is None or len(known) < 2:
        return frozenset()
    digits = decimals([value for value in values if value is not None])
    best = format_number(min(known) if direction == "low" else max(known), digits)
    return frozenset(i for i, v in enumerate(values) if competing[i] and format_number(v, digits) == best)


# ---- columns of segmentors ---------------------------------------------------------------------------------------


def measurement_error_columns(metrics: Mapping[str, Any]) -> list[TableColumn]:
    """Dice by structure and area errors by variable: one row for each segmentor; [] if there is none."""
    segmentors = list((metrics.get("segmentors") or {}).values())
    columns = []
    for metric in FAMILIES["measurement_error"].metrics:
        entries = [look_up(one, metric.path) or {} for one in segmentors]
        if metric.key == "area_error":  # units of areas differ little between variables: their mean says enough
            entries = [{"mean": mean_of_finite(entry)} for entry in entries]
        for name in dict.fromkeys(name for entry in entries for name in entry):
            values = tuple(finite(entry.get(name)) for entry in entries)
            group = metric.group.format(unit=unit_of(metrics))
            columns.append(TableColumn(group, variable_title(name), values, (None,) * len(values)))
    return [column for column in columns if column.known]


def segmentor_names(metrics: Mapping[str, Any]) -> list[str]:
    """Names of the segmentors' rows; `panel_NAME` is the key of a member of the ensemble."""
    return [in_words(re.sub("^panel_", "ensemble ", name)) for name in metrics.get("segmentors") or {}]


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
    """`structure@region` as two names for readers; a plain covariate stands under "covariates"."""
    structure, at, region = variable.partition("@")
    return (in_words(structure), in_words(region)) if at else ("covariates", in_words(structure))


def variable_title(name: str) -> str:
    """`structure@region` for readers.

    >>> variable_title("left_lung@upper")
    'left lung upper'
    """
    return in_words(name.replace("@", " "))


def unit_of(metrics: Mapping[str, Any]) -> str:
    """The unit of areas, typeset."""
    return typeset_unit(str(metrics.get("unit") or "px"))


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
