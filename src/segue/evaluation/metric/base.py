"""What a metric is, and how its number is read from metrics.json."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from segue.evaluation.bootstrap import Bootstrap

Interval = tuple[float, float]
Number = float | dict[str, float] | None
Compute = Callable[[pl.DataFrame, float], Number]
Aggregate = Callable[[pl.DataFrame, Mapping[str, float], Bootstrap], list[float]]
Place = Literal["table", "card", "ablation", "console"]

AVERAGED = "mean."
"""Where the means over variables stand in a method's entry of metrics.json."""


@dataclass(frozen=True)
class Metric:
    """One number of a method: how it is computed, where it stands in metrics.json, and what readers are told of it.

    Attributes:
        key: unique in the registry; for a metric per variable also its key in metrics.json.
        title: head of its column; `{unit}` stands for the study's unit of areas.
        direction: which values are better; None where neither is.
        unit: for the documentation.
        caption: what it is, as a part of a sentence.
        compute: for a metric per variable, from the rows of one method and one variable (docs/metrics.md, "The rows
            behind it") and the variable's sd to its number; None where no row counts.
        aggregate: 95% interval of the mean over variables, from the rows of all variables and their sd.
        path: where it stands in a method's entry of metrics.json; by default among the means over variables.
        interval: where its 95% interval stands, if it has one.
        by_variable: where its numbers by variable stand, VARIABLE for the name; by default those of `compute`.
        minus: where the number stands that is subtracted, for a difference.
        by_judge: whether it is an area that the judge measured, in sd, so that smaller differences between methods than
            the judge's measurement error say nothing.
        columns: which columns of the rows `compute` reads. Without them the method does not have this metric.
        group: the heading that it shares with other columns of its table.
        alone: its title outside of its table, if the head of its column is not enough.
        shown_in: the presentations that have a column of it.

    >>> Metric("change", "change", "low", "sd", "how much it changed").value({"mean": {"change": 0.25}})
    0.25
    >>> Metric("gap", "gap", "low", "", "", path="nelbo.test", minus="nelbo.guide").value({"nelbo": {"test": 1.0}})
    """

    key: str
    title: str
    direction: Literal["low", "high"] | None
    unit: str
    caption: str
    compute: Compute | None = None
    aggregate: Aggregate | None = None
    path: str = ""
    interval: str = ""
    by_variable: str = ""
    minus: str = ""
    by_judge: bool = False
    columns: tuple[str, ...] = ()
    group: str = "mean over all variables"
    alone: str = ""
    shown_in: tuple[Place, ...] = ("table",)

    def __post_init__(self) -> None:
        if not self.path:
            object.__setattr__(self, "path", AVERAGED + self.key)
        if not self.by_variable:
            object.__setattr__(self, "by_variable", f"variables.VARIABLE.{self.key}")

    @property
    def averaged(self) -> bool:
        """Whether metrics.json has its mean over variables."""
        return self.path.startswith(AVERAGED)

    @property
    def standalone(self) -> str:
        """Its title outside of its table."""
        return self.alone or self.title

    def head(self, unit: str) -> str:
        """The head of its column."""
        return self.title.format(unit=unit)

    def value(self, method: Mapping[str, Any]) -> float | None:
        """Its number in a method's entry of metrics.json; None where the method does not have it."""
        found = finite(look_up(method, self.path))
        if not self.minus or found is None:
            return found
        less = finite(look_up(method, self.minus))
        return None if less is None else found - less

    def of_variable(self, method: Mapping[str, Any], name: str) -> float | None:
        """Its number for interventions on one variable; None where the method does not have it.

        >>> Metric("change", "change", "low", "sd", "").of_variable({"variables": {"a": {"change": 2.0}}}, "a")
        2.0
        """
        first, last = self.by_variable.split(".VARIABLE.")
        return finite(look_up((look_up(method, first) or {}).get(name), last))

    def ci95(self, method: Mapping[str, Any]) -> Interval | None:
        """Its 95% interval in a method's entry of metrics.json, where it has one."""
        return interval(look_up(method, self.interval)) if self.interval else None


@dataclass(frozen=True)
class Family:
    """Metrics that share a table.

    Attributes:
        caption: how to read the table. ranked: whether the best of each column is set in bold.
        table: whether it is part of the main table, has a table of methods of its own, or describes segmentors.

    >>> Family("effects", "how to read it", ()).table
    'own'
    """

    title: str
    caption: str
    metrics: tuple[Metric, ...]
    ranked: bool = True
    table: Literal["main", "own", "segmentors"] = "own"


def look_up(entry: Any, path: str) -> Any:
    """What stands at a path of keys; None where nothing does.

    >>> look_up({"mean": {"error": 2.0}}, "mean.error"), look_up({"mean": None}, "mean.error")
    (2.0, None)
    """
    for key in path.split("."):
        entry = entry.get(key) if isinstance(entry, Mapping) else None
    return entry


def finite(value: Any) -> float | None:
    """A float, or None for everything that is not a finite number.

    >>> finite(1), finite(float("nan")), finite(True)
    (1.0, None, None)
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def interval(value: Any) -> Interval | None:
    """A pair of finite numbers, or None.

    >>> interval([0, 1.5]), interval([0, None])
    ((0.0, 1.5), None)
    """
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = finite(value[0]), finite(value[1])
    return None if low is None or high is None else (low, high)
