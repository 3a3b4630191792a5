"""Axioms of counterfactuals (Monteiro et al., ICLR 2023, arXiv 2303.01274)."""

from segue.evaluation.metric.base import Family, Metric

AXIOMS_METRICS = (
    Metric(
        "composition", "composition", "low", "share of the intensity range",
        "mean absolute difference between the factual image and the answer to a null intervention, as a share of the "
        "intensity range",
        path="composition",
    ),
    Metric(
        "reversibility", "reversibility", "low", "share of the intensity range",
        "mean absolute difference, as a share of the intensity range, between the factual image and the image in which "
        "one variable was set to its request and, after a new abduction, set back",
        path="reversibility", shown_in=("table", "console"),
    ),
)  # fmt: skip

AXIOMS = Family("axioms of counterfactuals", "", AXIOMS_METRICS, table="main")
