"""Axioms of counterfactuals (Monteiro et al., ICLR 2023, arXiv 2303.01274), and likelihoods, image by image.

composition             mean |x*(null) - x|, as a share of the intensity range, as the method gives it
reversibility           mean |x' - x|, where x' is x* with the value set back to the factual one, abducted anew from x*
nelbo                   of the factual image, by the method's own mechanism, nats per pixel
nelbo_factual           of the factual image, by the pre-trained mechanism
nelbo_counterfactual    of x*, by the pre-trained mechanism: an image like those of the cohort costs no more than a fact
spread                  sd over posterior samples of x*, the mean over pixels, as a share of the intensity range

A method that answers exported questions only (a folder of images) has no composition and no reversibility; one without
a likelihood has no nelbo.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from segue.engine.method import Method, Questions, log_likelihood
from segue.evaluation.asked import Asked
from segue.mechanisms.base import ImageMechanism

ByImage = dict[str, Float[Tensor, " batch"]]
SAMPLES = 4


def composition(x: Tensor, null: Tensor) -> ByImage:
    """Distance of the answer to nothing from the factual image."""
    return {"composition": (null - x).abs().flatten(1).mean(1) / 2}


def reversibility(method: Method, asked: Asked, image: Tensor, requested: Tensor) -> ByImage:
    """Distance from the factual image after setting a value, and setting it back from a new abduction.

    Args:
        image: x* of the request `requested`.
    """
    x, pa = asked.facts.image, asked.facts.pa
    changed = asked.facts._replace(image=image, pa=requested)
    (back,) = method.respond(Questions(asked.ids, changed, [pa]))
    return {"reversibility": (back.image - x).abs().flatten(1).mean(1) / 2}


def spread(method: Method, asked: Asked, requested: Tensor) -> ByImage:
    """How much x* of the request `requested` differs between posterior samples, whose seed is fixed."""
    if method.draw is None:
        return {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = [method.draw(Questions(asked.ids, asked.facts, [requested]))[0].image for _ in range(SAMPLES)]
    return {"spread": torch.stack(draws).std(0).flatten(1).mean(1) / 2}


def likelihoods(
    method: Method, pretrained: ImageMechanism | None, asked: Asked, image: Tensor, requested: Tensor
) -> ByImage:
    """Negative log-likelihoods (or their bounds), where there are any."""
    changed = asked.facts._replace(image=image, pa=requested)
    known = {
        "nelbo": log_likelihood(method.mechanism, asked.facts),
        "nelbo_factual": log_likelihood(pretrained, asked.facts),
        "nelbo_counterfactual": log_likelihood(pretrained, changed),
    }
    return {name: -value for name, value in known.items() if value is not None}
