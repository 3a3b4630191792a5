"""The registry of metrics. Tables, report, model card, console and docs/metrics.md are made from it.

A new metric is one entry here and one test; if it is not computed from the rows of effects, its number must stand at
its `path` in metrics.json.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl
from jaxtyping import Float

from segue.evaluation.bootstrap import Bootstrap, percentiles
from segue.evaluation.metric import Compute, Family, Metric, Place

# ---- from rows of effects to a number for each variable, and the interval of the mean ----------------------------


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


def leakage(table: pl.DataFrame, sd: float = 1.0) -> float:
    """Sum of |x* - x| outside the region over the sum everywhere; 0 where nothing changed at all.

    >>> leakage(pl.DataFrame({"outside": [1.0, 0.0], "total": [3.0, 5.0]}))
    0.125
    """
    total = float(table["total"].sum())
    return float(table["outside"].sum()) / total if total > 0 else 0.0


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
    """95% interval of the mean of the variables' `leakage`; the same subjects are drawn for all variables."""
    tables = [effects.filter(pl.col("variable") == name) for name in sd]
    return list(percentiles(np.mean([bootstrap.ratio(table, "outside", "total") for table in tables], axis=0)))


# ---- the families ------------------------------------------------------------------------------------------------

SUMMARIES: tuple[Place, ...] = ("table", "card", "ablation", "console")

EFFECTS = (
    Metric(
        "error", "error ({unit})", "low", "unit of areas",
        "mean absolute difference between the requested value and the value that the independent judge measures on "
        "the counterfactual",
        mean_error("judge", in_sd=False), columns=("judge", "requested"), shown_in=("table", "card"),
    ),
    Metric(
        "error_sd", "error (sd)", "low", "sd",
        "the same in standard deviations (sd) of the variable in training",
        mean_error("judge", in_sd=True), error_ci, interval="mean.ci95", columns=("judge", "requested"),
        shown_in=SUMMARIES,
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
        shown_in=SUMMARIES,
    ),
    Metric(
        "leakage", "leakage", "low", "share",
        "sum of the absolute intensity change outside the intervened region (its weight is below one half), divided by "
        "the sum over the image; 0 if nothing changed",
        leakage, leakage_ci, interval="mean.leakage_ci95", columns=("outside", "total"), shown_in=SUMMARIES,
    ),
    Metric(
        "change_outside", "change outside", "low", "share of the intensity range",
        "mean absolute intensity change per pixel outside the region, as a share of the intensity range",
        column_mean("change_outside"), columns=("change_outside",),
    ),
    Metric(
        "change_inside", "change inside", None, "share of the intensity range",
        "the same inside the region; where it is close to 0, leakage means little",
        column_mean("change_inside"), columns=("change_inside",),
    ),
    Metric(
        "guide_error_sd", "error by the guide (sd)", "low", "sd",
        "the error (sd) as the guide measures it; far below the error by the judge, the guide's own errors are "
        "exploited",
        mean_error("guide", in_sd=True), columns=("guide", "requested"), shown_in=("card",),
    ),
    Metric(
        "moved", "moved (sd)", "low", "sd",
        "by variable, the requested one included: mean absolute change, measured by the judge",
        moved, path="variables.VARIABLE.moved", shown_in=(),
    ),
)  # fmt: skip

AXIOMS = (
    Metric(
        "composition", "composition", "low", "share of the intensity range",
        "mean absolute difference between the factual image and the answer to a null intervention",
        path="composition",
    ),
    Metric(
        "reversibility", "reversibility", "low", "share of the intensity range",
        "mean absolute difference between the factual image and the image in which one variable was set to its request "
        "and, after a new abduction, set back",
        path="reversibility", shown_in=("table", "console"),
    ),
)  # fmt: skip

SCOPES = {"": "whole image", "_inside": "in the region", "_outside": "outside"}
WHERE = {
    "": "",
    "_inside": ", where the weight of the intervened region is one half or more",
    "_outside": ", where the weight of the intervened region is below one half",
}
TRUTH = tuple(
    metric
    for part, scope in SCOPES.items()
    for metric in (
        Metric(
            f"truth_mae{part}", "MAE", "low", "the images' raw unit",
            f"mean absolute difference from the true counterfactual{WHERE[part]}",
            path=f"truth.mae{part}", interval="" if part else "truth.ci95", group=scope,
            shown_in=("table",) if part else ("table", "ablation"),
        ),
        Metric(
            f"truth_psnr{part}", "PSNR (dB)", "high", "dB",
            f"10 log10(range² / mean squared error over requests){WHERE[part]}; null if the answer is exact",
            path=f"truth.psnr{part}", group=scope,
        ),
        Metric(
            f"truth_ssim{part}", "SSIM", "high", "",
            f"mean structural similarity (Wang et al., 2004){WHERE[part]}",
            path=f"truth.ssim{part}", group=scope,
        ),
    )
)  # fmt: skip

NELBO = "negative ELBO (nats/pixel)"
DISTANCES = {
    "frechet": (
        "Frechet distance",
        "Frechet distance between Gaussians with the mean and covariance of the features (Heusel et al., 2017)",
    ),
    "kernel": (
        "kernel distance",
        "unbiased squared maximum mean discrepancy with the kernel (x·y / components + 1)³ (Binkowski et al., 2018); "
        "it can be below 0",
    ),
}
REALISM = (
    Metric(
        "nelbo_of_facts", "of facts", "low", "nats/pixel", "this model's negative ELBO of the factual images",
        path="realism.nelbo", group=NELBO,
    ),
    Metric(
        "nelbo_factual", "of facts, pre-trained", None, "nats/pixel",
        "the pre-trained model's negative ELBO of the factual images", path="realism.nelbo_factual", group=NELBO,
    ),
    Metric(
        "nelbo_counterfactual", "of counterfactuals, pre-trained", "low", "nats/pixel",
        "the pre-trained model's negative ELBO of this method's counterfactuals; close to that of the factual images, "
        "they look like images of the cohort",
        path="realism.nelbo_counterfactual", group=NELBO,
    ),
    *(
        Metric(
            f"{kind}{suffix}", title, "low", "", caption,
            path=f"realism.{kind}{where}.value", interval=f"realism.{kind}{where}.ci95", group=group,
        )
        for kind, (group, about) in DISTANCES.items()
        for suffix, where, title, caption in (
            ("", "", "to facts", about),
            ("_over_facts", ".over_facts", "over facts alone", "that less the distance between facts and facts"),
            ("_over_no_cft", "_over_no_cft", "over No-CFT", "that less the distance of the pre-trained model"),
        )
    ),
)  # fmt: skip

OVERFITTING = (
    *(
        Metric(
            key, title, "low", "nats/pixel", f"the model's negative ELBO on the {split} subjects",
            path=f"nelbo.{split}", group=NELBO, shown_in=("table", "ablation") if split == "test" else ("table",),
        )
        for key, title, split in (
            ("nelbo_guide", "training", "guide"),
            ("nelbo_validation", "validation", "validation"),
            ("nelbo", "test", "test"),
        )
    ),
    Metric(
        "gap", "gap", "low", "nats/pixel", "the negative ELBO on the test subjects less that on the training subjects",
        path="nelbo.test", minus="nelbo.guide", group=NELBO, shown_in=("table", "ablation"),
    ),
)  # fmt: skip

MEASUREMENT_ERROR = (
    Metric(
        "dice", "Dice", "high", "", "by structure: mean over the test images that have it; null if no image has it",
        path="dice", group="Dice", shown_in=(),
    ),
    Metric(
        "area_error_sd", "area error (sd)", "low", "sd",
        "by variable: mean absolute difference from the area of the expert masks, in sd",
        path="error_sd", group="area error (sd)", shown_in=(),
    ),
    Metric(
        "area_error", "area error ({unit})", "low", "unit of areas", "the same in the unit of areas",
        path="error", group="area error ({unit})", shown_in=(),
    ),
)  # fmt: skip

FAMILIES = {
    "effects": Family("what an intervention did", "", EFFECTS),
    "axioms": Family("axioms of counterfactuals", "", AXIOMS),
    "truth": Family(
        "distance to the true counterfactual",
        "Distance between the answer and the true counterfactual, over the well-posed requests: mean absolute "
        "difference (MAE, in the images' units), PSNR and SSIM. The row `doing nothing` is the factual image itself",
        TRUTH,
    ),
    "realism": Family(
        "realism",
        "Distance, in the judge's features, between factual images of one half of the subjects and counterfactuals of "
        "the other half. The row `facts alone` is the distance between the factual images of both halves, with the "
        "band that holds 95% of the halvings. Over: the difference of two distances; if its interval contains 0, the "
        "test finds no difference",
        REALISM,
        ranked=False,
    ),
    "overfitting": Family(
        "over-fitting",
        "Negative ELBO of the model (nats per pixel, one posterior sample for each image) on unaugmented images of each "
        "split. The gap is the value of the test subjects less that of the training subjects",
        OVERFITTING,
        ranked=False,
    ),
    "measurement_error": Family(
        "segmentors",
        "Measured against the expert masks of the test images: Dice (higher is better), and the measurement error of "
        "the areas. No method can be expected to have an error below the judge's measurement error",
        MEASUREMENT_ERROR,
        ranked=False,
    ),
}
METRICS = {metric.key: metric for family in FAMILIES.values() for metric in family.metrics}
HEADLINE = METRICS["error_sd"]
"""The metric that is shown for each variable, with an interval for each."""


def shown_in(place: Place) -> list[Metric]:
    """The metrics that a presentation shows, in its order.

    >>> [metric.key for metric in shown_in("console")]
    ['error_sd', 'off_target_sd', 'leakage', 'reversibility']
    """
    return [metric for metric in METRICS.values() if place in metric.shown_in]
