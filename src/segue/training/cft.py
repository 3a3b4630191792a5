"""Counterfactual fine-tuning: make a frozen guide agree with pa* on the counterfactual, subject to the ELBO.

For each image one variable is drawn and given another image's value (a permutation of the batch: the marginal). The
counterfactual x* is predicted from the abduction that the ELBO already made, the guide reads it, and

    minimise  sum_v (m_v(x*) - pa*_v)^2   subject to  -ELBO(x, pa) <= c

over *all* variables, intervened or not, in standard deviations. c is the pre-trained model's negative ELBO, measured.
The constraint is held by the modified differential method of multipliers (Platt & Barr, NeurIPS 1988): the multiplier
climbs the violation g = -ELBO - c, and a damping term keeps the pair from orbiting the solution.

What abducts stays as the ELBO left it, and only what predicts is tuned: a factual image has the same z and KL under
every guide, methods differ in their predictions alone, and a step costs less.
"""

from collections.abc import Callable
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue import processes
from segue.anatomy import elsewhere, measure, structure_sums
from segue.causal.parents import Parents
from segue.mechanisms.hvae import ImageMechanism, elbo
from segue.nets.segmentor import Regressor
from segue.training.batches import Batch
from segue.training.objectives import Augment, Loss, augmented

GuideKind = Literal["none", "regressor", "structure", "region"]
# (counterfactual, region weights, pixel area, requested parents) -> squared errors, one an image
Guide = Callable[[Tensor, Tensor, Tensor, Tensor], Float[Tensor, " batch"]]


class RegionGuide(nn.Module):
    """Pos-Seg-CFT (arXiv 2603.21213): every structure x region has its own area."""

    def __init__(self, parents: Parents) -> None:
        super().__init__()
        self.parents = parents

    def areas(self, image: Tensor, weights: Tensor, pixel_area: Tensor) -> Float[Tensor, "batch measured"]:
        soft = self.parents.segmentor.soft(image)
        return measure(soft, weights, self.parents.structure_of, pixel_area)

    def forward(self, image: Tensor, weights: Tensor, pixel_area: Tensor, requested: Tensor) -> Tensor:
        error = self.areas(image, weights, pixel_area) - requested[:, : weights.shape[1]]
        return (error / self.parents.sd[: weights.shape[1]]).square().sum(1)


class StructureGuide(RegionGuide):
    """Seg-CFT (arXiv 2509.24913): areas of whole structures, the regions summed; in sd of those sums."""

    sum_sd: Tensor

    def __init__(self, parents: Parents, training: Float[Tensor, "sample variable"]) -> None:
        super().__init__(parents)
        self.register_buffer("sum_sd", self.sums(training[:, : len(parents.variables.names)]).std(0).clamp_min(1e-6))

    def sums(self, areas: Tensor) -> Float[Tensor, "batch structure"]:
        sums = structure_sums(areas, self.parents.structure_of, len(self.parents.variables.structures))
        return sums[:, self.parents.structure_channels]

    def forward(self, image: Tensor, weights: Tensor, pixel_area: Tensor, requested: Tensor) -> Tensor:
        achieved = self.sums(self.areas(image, weights, pixel_area))
        error = achieved - self.sums(requested[:, : weights.shape[1]])
        return (error / self.sum_sd).square().sum(1)


class RegressorGuide(nn.Module):
    """Reg-CFT: a regressor reads the parents off the whole image."""

    def __init__(self, parents: Parents, regressor: Regressor) -> None:
        super().__init__()
        self.parents = parents
        self.regressor = regressor.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "RegressorGuide":
        """Stay in evaluation mode: a guide does not learn."""
        return super().train(False)

    def forward(self, image: Tensor, weights: Tensor, pixel_area: Tensor, requested: Tensor) -> Tensor:
        return (self.regressor(image) - self.parents.standardise(requested)).square().sum(1)


def intervene(
    parents: Float[Tensor, "batch variable"], measured: int, at_once: int = 1
) -> Float[Tensor, "batch variable"]:
    """pa*: in each row `at_once` of the first `measured` variables take the values they have in another row.

    Donors come from the whole batch, also where several processes share it.
    """
    whole = processes.gather(parents)
    batch = len(whole)
    chosen, order = torch.rand(batch, measured).argsort(1)[:, :at_once], torch.randperm(batch)
    donors = torch.empty_like(order)
    donors[order] = order.roll(1)  # a derangement: nobody is their own donor
    chosen, donors = chosen.to(parents.device), donors.to(parents.device)
    requested = whole.scatter(1, chosen, whole[donors].gather(1, chosen))
    return processes.mine(requested)


class CounterfactualFineTuning(nn.Module):
    """The Lagrangian of one batch; the multiplier is a buffer, so that it is saved and resumed with the weights.

    Args:
        guide: the frozen predictor's squared errors.
        constraint: c, the pre-trained model's negative ELBO in nats per pixel.
        damping: the quadratic term's weight. `rate`: the multiplier's step.
        at_once: how many variables are asked to change in an image.
        outside: weight of the mean absolute change where no change is asked for.
    """

    multiplier: Tensor

    def __init__(
        self,
        mechanism: ImageMechanism,
        guide: nn.Module,
        *,
        augment: Augment,
        constraint: float,
        damping: float,
        rate: float,
        start: float,
        at_once: int = 1,
        outside: float = 0.0,
    ) -> None:
        super().__init__()
        cast(nn.Module, mechanism.model).requires_grad_(False)
        for part in mechanism.model.prediction():
            part.requires_grad_(True)
        self.mechanism, self.guide, self.augment = mechanism, guide, augment
        self.constraint, self.damping, self.rate = constraint, damping, rate
        self.at_once, self.outside = at_once, outside
        self.register_buffer("multiplier", torch.tensor(start))

    def forward(self, batch: Batch, progress: float) -> Loss:
        batch = augmented(batch, self.augment, self.mechanism.parents)
        x, weights, pa = batch["image"], batch["weights"], batch["parents"]
        abduction = self.mechanism.infer(x, pa, weights, sample=True)
        requested = intervene(pa, weights.shape[1], self.at_once)
        factual, changed = self.mechanism.predict(abduction, [pa, requested], weights)
        counterfactual = self.mechanism.counterfactual(x, factual, changed)
        agreement = self.guide(counterfactual, weights, batch["pixel_area"], requested).mean()
        change = (counterfactual - x).abs()
        away = (elsewhere(weights, (requested != pa)[:, : weights.shape[1]]) * change).mean()
        violation = processes.mean(-elbo(x, abduction, factual)) - self.constraint
        loss = self.lagrangian(agreement + self.outside * away, violation)
        return loss, {
            "agreement": agreement,
            "nelbo": violation + self.constraint,
            "multiplier": self.multiplier.clone(),
            "change": change.mean(),
            "elsewhere": away,
        }

    def lagrangian(self, agreement: Tensor, violation: Tensor) -> Tensor:
        """What is minimised; in training, the multiplier takes its step."""
        pull = (self.multiplier + self.damping * violation.detach()).clamp_min(0)
        if self.training and bool(violation.isfinite()):
            self.multiplier.add_(self.rate * violation.detach()).clamp_(min=0)
        return agreement + pull * violation
