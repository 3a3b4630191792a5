"""Realism: likelihoods, and distances between samples of factual images and of counterfactuals."""

from segue.evaluation.metric.base import Family, Metric

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
REALISM_METRICS = (
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
        "the pre-trained model's negative ELBO of this method's counterfactuals. If it is close to that of the factual "
        "images, the counterfactuals look like images of the cohort",
        path="realism.nelbo_counterfactual", group=NELBO,
    ),
    Metric(
        "local_realism", "AUC", "low", "",
        "area under the receiver operating characteristic of a network that tells crops around edits from crops of "
        "factual images of other subjects with the requested value (classifier two-sample test, Lopez-Paz & Oquab, "
        "2017), cross-validated by subject. 0.5: not to be told apart",
        path="local_realism.auc", interval="local_realism.ci95", by_variable="local_realism.by_variable.VARIABLE.auc",
        group="crops around edits", alone="local realism (AUC)", shown_in=("table", "card", "ablation"),
    ),
    *(
        Metric(
            f"{kind}{suffix}", title, "low", "", caption,
            path=f"realism.{kind}{where}.value", interval=f"realism.{kind}{where}.ci95", group=group,
        )
        for kind, (group, about) in DISTANCES.items()
        for suffix, where, title, caption in (
            ("", "", "to facts", about),
            ("_over_facts", ".over_facts", "over facts alone", f"the {group} less that of `realism_of_facts`"),
            ("_over_no_cft", "_over_no_cft", "over No-CFT", f"the {group} less that of the pre-trained model"),
        )
    ),
)  # fmt: skip

REALISM = Family(
    "realism",
    "AUC: a network is trained to tell crops around edits from crops of factual images of other subjects that have the "
    "requested value, and tested on subjects that it has not seen. 0.5: not to be told apart. It sees local artefacts. "
    "The distances do not: they compare features of the judge that are averaged over the whole image, and are blind to "
    "local artefacts. Distance: between factual images of one half of the subjects and counterfactuals of "
    "the other half. The row 'facts alone' is the distance between the factual images of both halves, with the "
    "band that holds 95% of the halvings. Over: the difference of two distances; if its interval contains 0, the "
    "test finds no difference",
    REALISM_METRICS,
    ranked=False,
)
