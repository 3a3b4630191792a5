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
from segue.anatomy import elsewhere
from segue.mechanisms.base import ImageMechanism, Loss, Trainable, offered
from segue.training.batches import Batch
from segue.training.objectives import Augmentation, augmented

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
        outside: weight of the mean absolute change where no change is asked for.

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
        constraint: Constraint,
        at_once: int = 1,
        outside: float = 0.0,
    ) -> None:
        super().__init__()
        trainable = offered(mechanism, Trainable)
        assert trainable is not None  # nothing else is fine-tuned
        cast(nn.Module, cast(Any, trainable).model).requires_grad_(False)
        for part in trainable.tuned():
            part.requires_grad_(True)
        self.mechanism, self.guide, self.augment = cast(Any, mechanism), guide, augment
        self.constraint, self.at_once, self.outside = constraint, at_once, outside
        self.register_buffer("multiplier", torch.tensor(constraint.start))

    def forward(self, batch: Batch, progress: float) -> Loss:
        facts = augmented(batch, self.augment, self.mechanism.parents)
        posterior = self.mechanism.abduct(facts, sample=True)
        requested = intervene(facts.pa, facts.measured, self.at_once)
        (image,) = self.mechanism.predict(facts, posterior, [requested])
        disagreement = self.guide(image, facts, requested).mean()
        change = (image - facts.image).abs()
        away = (elsewhere(facts.weights, (requested != facts.pa)[:, : facts.measured]) * change).mean()
        fidelity = cast(Trainable, offered(self.mechanism, Trainable)).fidelity(facts, posterior)
        violation = processes.mean(-fidelity) - self.constraint.bound
        loss = self.lagrangian(disagreement + self.outside * away, violation)
        return loss, {
            "agreement": disagreement,
            "nelbo": violation + self.constraint.bound,
            "multiplier": self.multiplier.clone(),
            "change": change.mean(),
            "elsewhere": away,
        }

    def lagrangian(self, objective: Tensor, violation: Tensor) -> Tensor:
        """What is minimised; in training, the multiplier takes its step."""
        weight = (self.multiplier + self.constraint.damping * violation.detach()).clamp_min(0)
        if self.training and bool(violation.isfinite()):
            self.multiplier.add_(self.constraint.rate * violation.detach()).clamp_(min=0)
        return objective + weight * violation
