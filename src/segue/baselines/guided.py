"""Guided diffusion: a diffusion model draws the image anew from its noise, drawn towards what was asked."""

import torch
from jaxtyping import Float
from torch import Tensor

from segue.baselines.base import BaselineParts, ordinary
from segue.causal.facts import Facts
from segue.engine.method import Method, Questions, still
from segue.nets.layers import blurred
from segue.training.guides import RegionGuide
from segue.training.prices import away

LONGEST_STEP = 0.5
"""Of a step's change of a pixel, in the networks' range of 2: where the guide has hardly a gradient, steps are long."""


def guided_diffusion(
    parts: BaselineParts,
    *,
    steps: int = 10,
    depth: float = 0.4,
    scale: float = 2.0,
    hold: bool = False,
    softness: float = 2.0,
) -> Method:
    """An unconditional diffusion model draws the image anew from its noise, guided by the areas of its own prediction.

    The image is inverted by DDIM to a depth (Sanchez & Tsaftaris, Diff-SCM, arXiv 2202.10166), with what each step
    loses kept, and sampled from there by DDIM with classifier guidance (Dhariwal & Nichol, arXiv 2105.05233, alg. 2):
    the predicted noise is changed along the gradient of the guide's error. As in Augustin et al. (DVCE, arXiv
    2210.11841) the guide sees the predicted x_0, because it has not learned from noisy images. The step is Polyak's: at
    scale 1 it takes the error to 0 if that were linear, so one scale serves requests of all sizes.

    With `hold`, what lies outside of what was asked comes from the inversion at each step, as in RePaint (Lugmayr et
    al., arXiv 2201.09865).

    Args:
        parts: see `BaselineParts`.
        steps: of DDIM, up and down.
        depth: of the inversion, as a share of the diffusion's time.
        scale: of the guidance.
        hold: whether what lies farther from the structures that are asked to change than fine-tuning's price allows
            (`segue.training.prices.away`) is held.
        softness: of the border of what is held, the standard deviation of a Gaussian in pixels.

    Raises:
        InputError: the study trains no diffusion model.

    >>> import segue
    >>> from segue.mechanisms.diffusion import DiffusionSettings, build_diffusion
    >>> model, small = segue.load("coronary-phantom"), DiffusionSettings(widths=(8, 8), steps=2)
    >>> net = build_diffusion(small, model.parents, model.grid, "map")
    >>> parts = BaselineParts(model.parents, model.grid, lambda: model.mechanism, lambda: net)
    >>> guided_diffusion(parts).open_ended
    True
    """
    diffusion, guide = parts.diffusion(), RegionGuide(parts.parents)
    times = diffusion.times(depth, steps)

    def lowered(clean: Tensor, facts: Facts, requested: Tensor) -> Tensor:
        """The predicted image after a step that lowers the guide's error."""
        with torch.enable_grad():
            image = clean.detach().requires_grad_()
            error = guide(image, facts, requested)
            (gradient,) = torch.autograd.grad(error.sum(), image)
        return clean - (scale * polyak(error.detach(), gradient)).clamp(-LONGEST_STEP, LONGEST_STEP)

    def descended(facts: Facts, states: list[Tensor], lost: list[Tensor], requested: Tensor) -> Tensor:
        """The image under a request, from the deepest of the states of the inversion."""
        image, held = states[-1], outside(parts, facts, requested, softness) if hold else 0.0
        for i in reversed(range(len(times) - 1)):
            t, before = times[i + 1], times[i]
            signal, level = diffusion.levels(t, image)
            clean = diffusion.clean(image, diffusion.noise(image, t, None), t)
            noise = (image - signal * lowered(clean, facts, requested)) / level
            image = diffusion.step(image, noise, t, before) + lost[i]
            image = image + held * (states[i] - image)
        return image

    @torch.no_grad()
    def answers(questions: Questions) -> list[Tensor]:
        facts = ordinary(questions.facts)
        states, lost = diffusion.invert(facts.image, None, times)
        return [descended(facts, states, lost, requested.clone()) for requested in questions.requests]

    def respond(questions: Questions) -> list[Tensor]:
        with torch.inference_mode(False):
            return answers(questions)

    return Method(still(respond))


def polyak(error: Float[Tensor, " batch"], gradient: Float[Tensor, "batch channel *space"]) -> Tensor:
    """The step that takes e² to 0 if e were linear in the image: 2 e² g / |g|², with g the gradient of e².

    >>> x = torch.tensor([[[3.0]]])
    >>> polyak(x.square().flatten(), 2 * x)
    tensor([[[3.]]])
    """
    square = gradient.flatten(1).square().sum(1)
    size = torch.where(square > 0, 2 * error / square.clamp_min(torch.finfo(square.dtype).tiny), 0.0)
    return gradient * size.reshape(-1, *[1] * (gradient.ndim - 1))


def outside(
    parts: BaselineParts, facts: Facts, requested: Tensor, softness: float
) -> Float[Tensor, "batch 1 *space"]:
    """1 where an image is held: far from the structures that are asked to change, with a soft border."""
    return blurred(away(parts.parents, facts, requested, facts.image), softness)
