"""How far a method is behind the best one, request by request."""

from segue.evaluation.metric.base import Family, Metric

COMPARISON_METRICS = (
    Metric(
        "error_over_best", "error over the best (sd)", "low", "sd",
        "the error (sd) less that of the method with the smallest error, paired by request. If its interval contains "
        "0, the two are not told apart",
        path="over_best.value", interval="over_best.ci95",
    ),
)  # fmt: skip

COMPARISON = Family("comparison with the best method", "", COMPARISON_METRICS, ranked=False, table="main")
