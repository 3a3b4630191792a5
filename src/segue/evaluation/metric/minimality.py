"""Minimality as other benchmarks measure it, and how much the answers of several posterior samples differ."""

from segue.evaluation.metric.base import Family, Metric

MINIMALITY_METRICS = (
    Metric(
        "cld", "CLD", "low", "",
        "counterfactual latent divergence (Sanchez & Tsaftaris, arXiv 2202.10166; Melistas et al., arXiv 2403.20287) "
        "in the judge's features: 1 if the counterfactual is farther from its factual image than all images with the "
        "requested value and nearer than all with its own", path="cld", group="",
    ),
    Metric(
        "spread", "spread", None, "share of the intensity range",
        "standard deviation of the answers of several posterior samples, in the mean over pixels; missing for methods "
        "that answer alike each time", path="spread", group="",
    ),
)  # fmt: skip

MINIMALITY = Family(
    "minimality and spread",
    "CLD: is a counterfactual nearer to its factual image than images of other subjects with the requested value are, "
    "and yet as far from it as images of other subjects with its own value? Features are the judge's, averaged over "
    "the image, so that the numbers compare methods of one study and not studies. Spread: how much the answers of "
    "several posterior samples differ",
    MINIMALITY_METRICS,
    ranked=False,
)
