"""The registry of metrics. Tables, report, model card, console and docs/metrics.md are made from it.

A new metric is one entry in the file of its family, and one test. If it is not computed from the rows of effects, its
number must stand at its `path` in a method's entry of metrics.json. A new family is one file and one line here.
"""

from segue.evaluation.metric.axioms import AXIOMS
from segue.evaluation.metric.base import (
    AVERAGED,
    Family,
    Interval,
    Metric,
    Number,
    Place,
    finite,
    interval,
    look_up,
)
from segue.evaluation.metric.comparison import COMPARISON
from segue.evaluation.metric.cost import COST
from segue.evaluation.metric.effects import EFFECTS
from segue.evaluation.metric.measurement_error import MEASUREMENT_ERROR
from segue.evaluation.metric.minimality import MINIMALITY
from segue.evaluation.metric.overfitting import OVERFITTING
from segue.evaluation.metric.realism import REALISM
from segue.evaluation.metric.truth import TRUTH

__all__ = [
    "AVERAGED",
    "FAMILIES",
    "HEADLINE",
    "METRICS",
    "Family",
    "Interval",
    "Metric",
    "Number",
    "Place",
    "finite",
    "interval",
    "look_up",
    "shown_in",
]

FAMILIES = {
    "effects": EFFECTS,
    "comparison": COMPARISON,
    "axioms": AXIOMS,
    "truth": TRUTH,
    "realism": REALISM,
    "minimality": MINIMALITY,
    "cost": COST,
    "overfitting": OVERFITTING,
    "measurement_error": MEASUREMENT_ERROR,
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
