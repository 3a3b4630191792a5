"""Counterfactual fine-tuning by the passes of its papers, against which segue's step is timed."""

from typing import Any

from torch import Tensor

from segue import processes
from segue.mechanisms.hvae import elbo
from segue.training.batches import Batch
from segue.training.cft import CounterfactualFineTuning, intervene
from segue.training.objectives import Loss, augmented


class AsPublished(CounterfactualFineTuning):
    """The same Lagrangian by the passes of Ribeiro et al. (ICML 2023, arXiv 2306.15764) and Seg-CFT (arXiv 2509.24913).

    One pass through encoder and decoder for the ELBO, then the counterfactual's own: abduction, the factual and the
    counterfactual decoded one after the other. All of the image model is tuned.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.mechanism.model.requires_grad_(True)  # type: ignore[attr-defined]

    def forward(self, batch: Batch, progress: float) -> Loss:
        batch = augmented(batch, self.augment, self.mechanism.parents)
        x, weights, pa = batch["image"], batch["weights"], batch["parents"]
        violation = processes.mean(-elbo(x, *self.mechanism.abduct(x, pa, weights, sample=True))) - self.constraint
        requested = intervene(pa, weights.shape[1])
        counterfactual = self.counterfactual(x, pa, weights, requested)
        agreement = self.guide(counterfactual, weights, batch["pixel_area"], requested).mean()
        return self.lagrangian(agreement, violation), {"agreement": agreement}

    def counterfactual(self, x: Tensor, pa: Tensor, weights: Tensor, requested: Tensor) -> Tensor:
        abduction, factual = self.mechanism.abduct(x, pa, weights, sample=True)
        (changed,) = self.mechanism.predict(abduction, [requested], weights)
        return changed.render(factual.noise(x))
