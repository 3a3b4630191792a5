"""Measurement error of the segmentors; in `segmentors` of metrics.json, by structure or by variable."""

from segue.evaluation.metric.base import Family, Metric

MEASUREMENT_ERROR_METRICS = (
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
        "area_error", "area error ({unit})", "low", "unit of areas",
        "by variable: mean absolute difference from the area of the expert masks",
        path="error", group="area error ({unit})", shown_in=(),
    ),
)  # fmt: skip

MEASUREMENT_ERROR = Family(
    "segmentors",
    "Area error: mean absolute difference from the area of the masks of the judged images. It is given in sd of the "
    "guide in training, as all errors of methods are, and in sd of the masks' own areas. Where the two differ, the "
    "guide's areas vary otherwise than those of the masks. No method can be expected to have an error below the "
    "judge's",
    MEASUREMENT_ERROR_METRICS,
    ranked=False,
    table="segmentors",
)
