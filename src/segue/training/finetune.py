"""Counterfactual fine-tuning: a frozen guide should agree with pa* on the counterfactual, subject to fidelity.

For each image some variables are drawn and given another image's values (a permutation of the batch: the marginal). The
counterfactual x* is predicted from the posterior of the factual image, the guide measures it, and

    minimise  sum_v (m_v(x*) - pa*_v)^2   subject to  -fidelity(x, pa) <= c

over *all* variables, intervened or not, in standard deviations. An HVAE's fidelity is its ELBO, and c is the
pre-trained model's negative ELBO, measured. The constraint is enforced by the modified differential method of
multipliers (Platt & Barr, NeurIPS 1988): the multiplier climbs the violation g = -fidelity - c, and a damping term
keeps the pair from orbiting the solution.

Only what predicts is tuned. What abducts stays as pre-training left it, so methods differ in their predictions alone.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue import processes
from segue.causal.facts import Facts
from segue.mechanisms.base import ImageMechanism, Loss, Terms, Trainable, offered
from segue.mechanisms.deformation import Deformation
from segue.training.batches import Batch
from segue.training.objectives import Augmentation, augmented
from segue.training.prices import Prices, away, priced

__all__ = ["Constraint", "CounterfactualFineTuning", "intervene"]


def intervene(
    parents: Float[Tensor, "batch variable"], measured: int, at_once: int = 1
) -> Float[Tensor, "batch variable"]:
    """pa*: in each row `at_once` of the first `measured` variables take the values they have in another row.

    Donors come from the whole batch, also where several processes share it.

    >>> _ = torch.manual_seed(0)
    >>> parents = torch.arange(4.0).reshape(2, 2)
    >>> (intervene(parents, measured=2) != parents).sum(1)
    tensor([1, 1])
    """
    whole = processes.gather(parents)
    batch = len(whole)
    chosen, order = torch.rand(batch, measured).argsort(1)[:, :at_once], torch.randperm(batch)
    donors = torch.empty_like(order)
    donors[order] = order.roll(1)  # a derangement: no row is its own donor
    chosen, donors = chosen.to(parents.device), donors.to(parents.device)
    requested = whole.scatter(1, chosen, whole[donors].gather(1, chosen))
    return processes.mine(requested)


@dataclass(frozen=True)
class Constraint:
    """-fidelity <= `bound`, and how it is enforced.

    Attributes:
        bound: c, the pre-trained model's mean of -fidelity.
        damping: weight of the quadratic term. rate: step of the multiplier. start: its first value.

    >>> Constraint(bound=-2.5, damping=10.0, rate=0.05, start=0.1).bound
    -2.5
    """

    bound: float
    damping: float
    rate: float
    start: float


class CounterfactualFineTuning(nn.Module):
    """The Lagrangian of one batch; the multiplier is a buffer, so that it is saved and resumed with the weights.

    Args:
        guide: the frozen predictor's squared errors (`segue.training.guides`).
        at_once: how many variables are asked to change in an image.
        constraint: on the mechanism's fidelity; None where fine-tuning leaves that as it is.
        prices: weights of what is penalised.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> from segue.training.guides import RegionGuide
    >>> constraint = Constraint(bound=0.0, damping=10.0, rate=0.05, start=0.1)
    >>> guide = RegionGuide(model.parents)
    >>> tuning = CounterfactualFineTuning(model.mechanism, guide, augment=Augmentation(), constraint=constraint)
    >>> round(float(tuning.multiplier), 2)
    0.1
    """

    multiplier: Tensor

    def __init__(
        self,
        mechanism: ImageMechanism,
        guide: nn.Module,
        *,
        augment: Augmentation,
        constraint: Constraint | None,
        at_once: int = 1,
        prices: Prices | None = None,
    ) -> None:
        super().__init__()
        trainable = offered(mechanism, Trainable)
        assert trainable is not None  # nothing else is fine-tuned
        cast(nn.Module, mechanism).requires_grad_(False)
        for part in trainable.tuned():
            part.requires_grad_(True)
        self.mechanism, self.guide, self.augment = cast(Any, mechanism), guide, augment
        self.constraint, self.at_once, self.prices = constraint, at_once, prices or Prices()
        self.register_buffer("multiplier", torch.tensor(constraint.start if constraint else 0.0))

    def forward(self, batch: Batch, progress: float) -> Loss:
        with self.mechanism.parents.once():  # mechanism, guide and prices look at the same two images
            return self.loss(batch)

    def loss(self, batch: Batch) -> Loss:
        """The Lagrangian and its terms."""
        facts = augmented(batch, self.augment, self.mechanism.parents)
        posterior = self.mechanism.abduct(facts, sample=True)
        requested = intervene(facts.pa, facts.measured, self.at_once)
        image, price, terms = self.answer(facts, posterior, requested)
        disagreement = self.guide(image, facts, requested).mean()
        change = (image - facts.image).abs()
        terms |= {"agreement": disagreement, "change": change.mean()}
        if self.prices.outside:
            terms["elsewhere"] = (away(self.mechanism.parents, facts, requested, image) * change).mean()
            price = price + self.prices.outside * terms["elsewhere"]
        if self.constraint is None:
            return disagreement + price, terms
        violation = self.violation(cast(Trainable, offered(self.mechanism, Trainable)).fidelity(facts, posterior))
        terms |= {"nelbo": violation + self.constraint.bound, "multiplier": self.multiplier.clone()}
        return self.lagrangian(disagreement + price, violation), terms

    def answer(self, facts: Facts, posterior: Any, requested: Tensor) -> tuple[Tensor, Tensor, Terms]:
        """x*, and what its making costs."""
        mover = offered(self.mechanism, Deformation)
        if mover is None:
            (image,) = self.mechanism.predict(facts, posterior, [requested])
            return image, torch.zeros(()), {}
        (edit,) = mover.edits(facts, posterior, [requested])
        return edit.image, *priced(edit, self.prices)

    def violation(self, fidelity: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """By how much the mean of -fidelity is above its bound."""
        assert self.constraint is not None
        return processes.mean(-fidelity) - self.constraint.bound

    def lagrangian(self, objective: Tensor, violation: Tensor) -> Tensor:
        """What is minimised; in training, the multiplier takes its step."""
        assert self.constraint is not None
        weight = (self.multiplier + self.constraint.damping * violation.detach()).clamp_min(0)
        if self.training and bool(violation.isfinite()):
            self.multiplier.add_(self.constraint.rate * violation.detach()).clamp_(min=0)
        return objective + weight * violation
