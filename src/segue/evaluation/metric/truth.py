"""Distance from the true counterfactual, where it is known."""

from segue.evaluation.metric.base import Family, Metric

SCOPES = {"": "whole image", "_inside": "in the region", "_outside": "outside"}
WHERE = {
    "": "",
    "_inside": ", where the weight of the intervened region is one half or more",
    "_outside": ", where the weight of the intervened region is below one half",
}
TRUTH_METRICS = tuple(
    metric
    for part, scope in SCOPES.items()
    for metric in (
        Metric(
            f"truth_mae{part}", "MAE", "low", "the images' raw unit",
            f"mean absolute difference from the true counterfactual{WHERE[part]}",
            path=f"truth.mae{part}", interval="" if part else "truth.ci95", group=scope,
            alone="distance to the true counterfactual (MAE)", shown_in=("table",) if part else ("table", "ablation"),
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

TRUTH = Family(
    "distance to the true counterfactual",
    "Distance between the answer and the true counterfactual, over the well-posed requests: mean absolute "
    "difference (MAE, in the images' units), PSNR and SSIM. The row 'doing nothing' is the factual image itself",
    TRUTH_METRICS,
)
