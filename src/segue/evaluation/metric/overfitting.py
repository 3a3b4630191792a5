"""Over-fitting: the negative ELBO by split."""

from segue.evaluation.metric.base import Family, Metric
from segue.evaluation.metric.realism import NELBO

OVERFITTING_METRICS = (
    *(
        Metric(
            key, title, "low", "nats/pixel", f"the model's negative ELBO on the {title} subjects",
            path=f"nelbo.{split}", group=NELBO, alone=f"negative ELBO on {title} subjects (nats/pixel)",
            shown_in=("table", "ablation") if split == "test" else ("table",),
        )
        for key, title, split in (
            ("nelbo_guide", "training", "guide"),
            ("nelbo_validation", "validation", "validation"),
            ("nelbo", "test", "test"),
        )
    ),
    Metric(
        "gap", "gap", "low", "nats/pixel", "the negative ELBO on the test subjects less that on the training subjects",
        path="nelbo.test", minus="nelbo.guide", group=NELBO, alone="over-fitting gap (nats/pixel)",
        shown_in=("table", "ablation"),
    ),
)  # fmt: skip

OVERFITTING = Family(
    "over-fitting",
    "Negative ELBO of the model (nats per pixel, one posterior sample for each image) on unaugmented images of "
    "each split. The gap is the value of the test subjects less that of the training subjects",
    OVERFITTING_METRICS,
    ranked=False,
)
