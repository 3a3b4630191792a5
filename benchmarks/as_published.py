"""Counterfactual fine-tuning by the passes of its papers, against which segue's step is timed."""

from typing import Any

from segue.mechanisms.base import Loss
from segue.training.batches import Batch
from segue.training.finetune import CounterfactualFineTuning, intervene
from segue.training.objectives import augmented


class AsPublished(CounterfactualFineTuning):
    """The same Lagrangian by the passes of Ribeiro et al. (ICML 2023, arXiv 2306.15764) and Seg-CFT (arXiv 2509.24913).

    One pass through encoder and decoder for the ELBO, then the counterfactual's own: abduction, the factual and the
    counterfactual decoded one after the other. All of the image model is tuned.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.mechanism.model.requires_grad_(True)

    def forward(self, batch: Batch, progress: float) -> Loss:
        facts = augmented(batch, self.augment, self.mechanism.parents)
        fidelity = self.mechanism.fidelity(facts, self.mechanism.abduct(facts, sample=True))
        requested = intervene(facts.pa, facts.measured)
        (image,) = self.mechanism.predict(facts, self.mechanism.abduct(facts, sample=True), [requested])
        disagreement = self.guide(image, facts, requested).mean()
        return self.lagrangian(disagreement, self.violation(fidelity)), {"agreement": disagreement}
