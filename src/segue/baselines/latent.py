"""Latent optimisation: what a pre-trained mechanism abducted is changed until the guide measures what was asked."""

import torch
from torch import Tensor

from segue.baselines.base import BaselineParts, minimised, ordinary
from segue.causal.facts import Facts
from segue.engine.method import Method, of_function
from segue.errors import InputError
from segue.mechanisms.base import Coded, offered
from segue.training.guides import RegionGuide


def latent_optimisation(
    parts: BaselineParts, *, steps: int = 40, lr: float = 0.02, distance: float = 10.0
) -> Method:
    """What the pre-trained model abducted of an image is optimised through the guide (REVISE); nothing is trained.

    Joshi et al., arXiv 1907.09615: minimise the predictor's error of the decoded image plus its distance to the
    factual one, over the latents. Here the predictor is the guide, the latents are the states s of the HVAE's latent
    stream, and the abducted pixel noise u is kept: x* = loc(s + d, pa*) + scale(s + d, pa*) u.

    Args:
        parts: see `BaselineParts`.
        steps, lr: of Adam.
        distance: weight of the mean absolute change of the image.

    Raises:
        InputError: the study's mechanism decodes its images from no code.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> parts = BaselineParts(model.parents, model.grid, lambda: model.mechanism.inner.painter.inner)
    >>> latent_optimisation(parts, steps=1).open_ended
    True
    """
    mechanism, guide = offered(parts.pretrained(), Coded), RegionGuide(parts.parents)
    if mechanism is None:
        raise InputError("baselines.latent_optimisation: the study's mechanism has no code to optimise; leave it out")

    def optimised(facts: Facts, requested: Tensor) -> Tensor:
        posterior = mechanism.abduct(facts)
        code = [part.detach() for part in mechanism.code(posterior)]
        offsets = [torch.zeros_like(part, requires_grad=True) for part in code]

        def decoded() -> Tensor:
            moved = [part + offset for part, offset in zip(code, offsets, strict=True)]
            return mechanism.predict_from(facts, posterior, moved, requested)

        def loss() -> Tensor:
            image = decoded()
            change = (image - facts.image).abs().flatten(1).mean(1)
            return (guide(image, facts, requested) + distance * change).sum()

        minimised(offsets, loss, steps=steps, lr=lr)
        with torch.no_grad():
            return decoded()

    def answer(facts: Facts, requested: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            return optimised(ordinary(facts), requested.clone())

    return of_function(answer)
