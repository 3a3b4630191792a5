"""What an intervention did: metrics of the rows of effects, for each variable and in the mean."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from jaxtyping import Float

from segue.anatomy.reach import FAR
from segue.evaluation.bootstrap import Bootstrap, percentiles
from segue.evaluation.metric.base import Compute, Family, Metric, Place


def absolute_error(table: pl.DataFrame, measured: str = "judge") -> Float[np.ndarray, " row"]:
    """|measured - requested| of each row, in the unit.

    >>> absolute_error(pl.DataFrame({"requested": [1.0, 5.0], "judge": [2.0, 2.0]}))
    array([1., 3.])
    """
    return (table[measured] - table["requested"]).abs().to_numpy()


def mean_error(measured: str, *, in_sd: bool) -> Compute:
    """Mean absolute error as the judge or the guide measures it, in the unit or in sd."""
    return lambda table, sd: float(absolute_error(table, measured).mean()) / (sd if in_sd else 1)


def well_posed_error(table: pl.DataFrame, sd: float) -> float | None:
    """Mean absolute error over the well-posed requests, in sd; None where no request is."""
    well_posed = table.filter(pl.col("well_posed"))
    return float(absolute_error(well_posed).mean()) / sd if len(well_posed) else None


def column_mean(column: str) -> Compute:
    """The mean of a column."""
    return lambda table, sd: float(table[column].to_numpy().mean())


def share_outside(table: pl.DataFrame, sd: float = 1.0) -> float:
    """Sum of |x* - x| outside the region over the sum everywhere; 0 where nothing changed at all.

    >>> share_outside(pl.DataFrame({"outside": [1.0, 0.0], "total": [3.0, 5.0]}))
    0.125
    """
    return share_of_change(table, "outside")


def share_far(table: pl.DataFrame, sd: float = 1.0) -> float:
    """Sum of |x* - x| far from the structure's outlines over the sum everywhere; 0 where nothing changed at all.

    >>> share_far(pl.DataFrame({"far": [1.0, 0.0], "total": [3.0, 5.0]}))
    0.125
    """
    return share_of_change(table, "far")


def share_of_change(table: pl.DataFrame, part: str) -> float:
    """The sum of a part of the change over the sum of all change."""
    total = float(table["total"].sum())
    return float(table[part].sum()) / total if total > 0 else 0.0


def moved(table: pl.DataFrame, sd: float) -> dict[str, float]:
    """Mean absolute change of every variable, by name, in sd."""
    columns = [name for name in table.columns if name.startswith("moved/")]
    return {name.removeprefix("moved/"): float(table[name].abs().to_numpy().mean()) for name in columns}


def error_ci(effects: pl.DataFrame, sd: Mapping[str, float], bootstrap: Bootstrap) -> list[float]:
    """95% interval of the mean absolute error in sd."""
    deviations = np.array([sd[name] for name in effects["variable"]])
    return bootstrap.interval(absolute_error(effects) / deviations, effects["image"])


def off_target_ci(effects: pl.DataFrame, sd: Mapping[str, float], bootstrap: Bootstrap) -> list[float]:
    """95% interval of the mean change of the other variables."""
    return bootstrap.interval(effects["off_target"].to_numpy(), effects["image"])


def leakage_ci(effects: pl.DataFrame, sd: Mapping[str, float], bootstrap: Bootstrap) -> list[float]:
    """95% interval of the mean of the variables' `share_outside`."""
    return share_ci(effects, "outside", sd, bootstrap)


def reach_ci(effects: pl.DataFrame, sd: Mapping[str, float], bootstrap: Bootstrap) -> list[float]:
    """95% interval of the mean of the variables' `share_far`."""
    return share_ci(effects, "far", sd, bootstrap)


def share_ci(effects: pl.DataFrame, part: str, sd: Mapping[str, float], bootstrap: Bootstrap) -> list[float]:
    """95% interval of a mean of `share_of_change`; the same subjects are drawn for all variables."""
    tables = [effects.filter(pl.col("variable") == name) for name in sd]
    return list(percentiles(np.mean([bootstrap.ratio(table, part, "total") for table in tables], axis=0)))


SUMMARIES: tuple[Place, ...] = ("table", "card", "ablation", "console")

EFFECTS_METRICS = (
    Metric(
        "error", "error ({unit})", "low", "unit of areas",
        "mean absolute difference between the requested value and the value that the independent judge measures on "
        "the counterfactual",
        mean_error("judge", in_sd=False), columns=("judge", "requested"), shown_in=("table", "card"),
    ),
    Metric(
        "error_sd", "error (sd)", "low", "sd",
        "mean absolute difference between the requested value and the value that the judge measures, in standard "
        "deviations (sd) of the variable in training",
        mean_error("judge", in_sd=True), error_ci, interval="mean.ci95", columns=("judge", "requested"),
        by_judge=True, shown_in=SUMMARIES,
    ),
    Metric(
        "error_sd_well_posed", "error, well-posed (sd)", "low", "sd",
        "the error (sd) over the well-posed requests only. Well-posed: the factual image determines the answer",
        well_posed_error, columns=("well_posed", "judge", "requested"),
    ),
    Metric(
        "off_target_sd", "off-target (sd)", "low", "sd",
        "mean absolute change of the other variables, measured by the judge, each in its own sd",
        column_mean("off_target"), off_target_ci, interval="mean.off_target_ci95", columns=("off_target",),
        by_judge=True, shown_in=SUMMARIES,
    ),
    Metric(
        "leakage", "leakage", "low", "share",
        "sum of the absolute intensity change outside the intervened region (its weight is below one half), divided by "
        "the sum over the whole image; 0 if nothing changed",
        share_outside, leakage_ci, interval="mean.leakage_ci95", columns=("outside", "total"), shown_in=SUMMARIES,
    ),
    Metric(
        "reach", "reach", "low", "share",
        "sum of the absolute intensity change that lies far from the outlines of the structure in the factual image "
        "and in the counterfactual (as the judge draws them in the whole image), divided by the sum over the whole "
        f"image; 0 if nothing changed. Far: more than {FAR:.0%} of the shorter image side from the nearer outline. It "
        "does not depend on the region",
        share_far, reach_ci, interval="mean.reach_ci95", columns=("far", "total"),
        shown_in=("table", "card", "ablation"),
    ),
    Metric(
        "folding", "folding", "low", "share of pixels",
        "for methods that move what is in the image: share of pixels where the Jacobian determinant of the movement is "
        "not positive, so that the image is turned over itself",
        column_mean("folding"), columns=("folding",), shown_in=("table", "card"),
    ),
    Metric(
        "change_outside", "change outside", "low", "share of the intensity range",
        "mean absolute intensity change per pixel outside the region, as a share of the intensity range",
        column_mean("change_outside"), columns=("change_outside",),
    ),
    Metric(
        "change_inside", "change inside", None, "share of the intensity range",
        "mean absolute intensity change per pixel inside the region; where it is close to 0, leakage means little",
        column_mean("change_inside"), columns=("change_inside",),
    ),
    Metric(
        "guide_error_sd", "error by the guide (sd)", "low", "sd",
        "the error (sd) as the guide measures it. If it is far below the error by the judge, errors of the guide are "
        "exploited",
        mean_error("guide", in_sd=True), columns=("guide", "requested"), shown_in=("card",),
    ),
    Metric(
        "moved", "moved (sd)", "low", "sd",
        "by variable, the requested one included: mean absolute change, measured by the judge",
        moved, path="variables.VARIABLE.moved", shown_in=(),
    ),
)  # fmt: skip

EFFECTS = Family("what an intervention did", "", EFFECTS_METRICS, table="main")
