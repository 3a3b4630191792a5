"""What a method costs: its training, and an answer."""

from segue.evaluation.metric.base import Family, Metric

COST_METRICS = (
    Metric(
        "training_seconds", "training (s)", "low", "s",
        "seconds of the stages that trained what the method answers with: the guide's segmentor, the ensemble, and the "
        "image model with its fine-tuning. 0 where nothing is trained",
        path="training_seconds", group="",
    ),
    Metric(
        "seconds_per_image", "seconds an image", "low", "s",
        "processor seconds of an answer to one request of one image, on one thread (or seconds on one GPU)",
        path="seconds_per_image", group="",
    ),
    Metric(
        "flops_per_image", "operations an image", "low", "FLOP",
        "floating-point operations of such an answer in convolutions, matrix products and attention, forward and "
        "backward; a multiplication with its addition is two", path="flops_per_image", group="",
    ),
)  # fmt: skip

COST = Family(
    "cost",
    "Training: seconds of the stages that trained what a method answers with, each on the machine that it ran on. An "
    "answer: one request of one image, on one thread. Operations: of convolutions, matrix products and attention",
    COST_METRICS,
    ranked=False,
)
