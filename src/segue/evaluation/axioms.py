"""What holds of counterfactuals beyond obeying: axioms, and the likelihood and the features of what comes out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.engine.model import predict
from segue.evaluation.effect import Asked, oracle
from segue.mechanisms.hvae import ImageMechanism, elbo
from segue.nets.segmentor import Segmentor

Features = Float[np.ndarray, "image feature"]


@dataclass(frozen=True)
class Axioms:
    """Axioms of counterfactuals (Monteiro et al., ICLR 2023), in shares of the intensity range; likelihoods; features.

    Each image has one variable set, in turn, to a value that another image has; all at the posterior's mean.

    Attributes:
        composition: mean |x*(null) - x|.
        reversibility: mean |x' - x|, x' having the value set back to the factual, from a new abduction of x*.
        nelbo: of the factual images, nats per pixel.
        nelbo_factual, nelbo_counterfactual: the pre-trained model's, of factual images and counterfactuals: one that
            looks like the cohort costs no more than a fact.
        features: the judge's, of the counterfactuals.
    """

    composition: float
    reversibility: float
    nelbo: float
    nelbo_factual: float
    nelbo_counterfactual: float
    features: Features

    def summary(self) -> dict[str, Any]:
        """As metrics.json has them."""
        realism = {key: getattr(self, key) for key in ("nelbo", "nelbo_factual", "nelbo_counterfactual")}
        return {"composition": self.composition, "reversibility": self.reversibility, "realism": realism}


@torch.inference_mode()
def axioms(
    mechanism: ImageMechanism, pretrained: ImageMechanism, judge: Segmentor, batches: Iterator[Asked]
) -> Axioms:
    """Measure them: one abduction of each factual image, and one of its counterfactual, by either model."""
    sums = dict.fromkeys(("composition", "reversibility", "nelbo", "nelbo_factual", "nelbo_counterfactual"), 0.0)
    features = []
    for asked in batches:
        x, pa, weights = asked.image, asked.pa, asked.weights
        requested = in_turn(asked)
        abduction, factual = mechanism.abduct(x, pa, weights, sample=False)
        null, image = mechanism.answer(asked.facts, abduction, factual, [pa, requested])
        (back,) = predict(mechanism, asked.facts._replace(image=image, pa=requested), [pa])
        by_image = {
            "composition": (null - x).abs().flatten(1).mean(1) / 2,
            "reversibility": (back - x).abs().flatten(1).mean(1) / 2,
            "nelbo": -elbo(x, abduction, factual),
            "nelbo_factual": -elbo(x, *pretrained.abduct(x, pa, weights, sample=False)),
            "nelbo_counterfactual": -elbo(image, *pretrained.abduct(image, requested, weights, sample=False)),
        }
        sums = {name: total + float(by_image[name].sum()) for name, total in sums.items()}
        features.append(judge.features(image).cpu().numpy())
    stacked = np.concatenate(features)
    return Axioms(**{name: total / len(stacked) for name, total in sums.items()}, features=stacked)


@torch.inference_mode()
def factual_features(judge: Segmentor, batches: Iterator[Asked]) -> Features:
    """The judge's features of the factual images."""
    return np.concatenate([judge.features(asked.image).cpu().numpy() for asked in batches])


@torch.inference_mode()
def true_features(judge: Segmentor, batches: Iterator[Asked]) -> Features:
    """The judge's features of the true counterfactuals of the requests that `axioms` makes."""
    found = []
    for asked in batches:
        images = torch.stack(oracle(asked), dim=1)
        found.append(judge.features(images[torch.arange(len(images)), turn(asked)]).cpu().numpy())
    return np.concatenate(found)


def turn(asked: Asked) -> Tensor:
    """The variable whose turn it is, for each image of a batch."""
    return torch.arange(len(asked.image)) % asked.values.shape[1]


def in_turn(asked: Asked) -> Float[Tensor, "batch variable"]:
    """The parents, one variable of each image set to its request."""
    images, variables = torch.arange(len(asked.image)), turn(asked)
    requested = asked.pa.clone()
    requested[images, variables] = asked.values[images, variables]
    return requested
