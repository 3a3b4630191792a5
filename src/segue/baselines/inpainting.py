"""Mask-conditioned in-painting: a mask is changed, and a diffusion model draws the band between old and new border."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from segue.baselines.base import BaselineParts, changed_in
from segue.baselines.warp import untrained_warp
from segue.causal.facts import Facts
from segue.engine.method import Method, Questions, still
from segue.mechanisms.base import Moved
from segue.mechanisms.diffeomorphism import resample
from segue.nets.layers import blurred, highest

SOFT = 1.0
"""Of the border of the band, the standard deviation of a Gaussian in pixels."""
CHANGED = 0.1
"""From which change of the soft mask on a pixel is part of the band."""


def mask_inpainting(
    parts: BaselineParts, *, steps: int = 10, depth: float = 0.3, margin: int = 2, smoothing: float = 3.0
) -> Method:
    """A mask is changed by the untrained warp, and a diffusion model draws the band between the old and the new border.

    Pixel-level guidance needs masks; nobody draws them here: the guide's soft mask is warped until its area is the one
    that was asked (`untrained_warp`). The warped image is noised to a depth (SDEdit, Meng et al., arXiv 2108.01073) and
    denoised by DDIM; outside of the band between both masks, dilated, each step takes the noised factual image
    (RePaint, Lugmayr et al., arXiv 2201.09865, without its resampling). LeFusion (arXiv 2403.14066) and DiffTumor
    (arXiv 2402.19470) in-paint lesions within masks likewise; their networks have learned from lesions alone and see
    the mask. This one has learned from whole images, and sees the mask only in the warped image that it begins with.

    Args:
        parts: see `BaselineParts`.
        steps: of DDIM.
        depth: of the noise, as a share of the diffusion's time.
        margin: by which the band is dilated, in pixels.
        smoothing: of the warp.

    Raises:
        InputError: the study trains no diffusion model.

    >>> import segue
    >>> from segue.mechanisms.diffusion import DiffusionSettings, build_diffusion
    >>> model, small = segue.load("coronary-phantom"), DiffusionSettings(widths=(8, 8), steps=2)
    >>> net = build_diffusion(small, model.parents, model.grid, "map")
    >>> parts = BaselineParts(model.parents, model.grid, lambda: model.mechanism, lambda: net)
    >>> mask_inpainting(parts).draw is not None
    True
    """
    diffusion, warp = parts.diffusion(), untrained_warp(parts, smoothing=smoothing)
    times = diffusion.times(depth, steps)

    def inpainted(facts: Facts, requested: Tensor, warped: Moved, noise: Tensor) -> Tensor:
        """The factual image, its band drawn anew."""
        assert warped.displacement is not None  # a warp's answer
        drawn = band(parts, facts, requested, warped.displacement, margin)
        image = diffusion.noised(warped.image, noise, times[-1])
        for before, t in reversed(list(pairwise(times))):
            known = diffusion.noised(facts.image, noise, t)
            image = known + drawn * (image - known)
            image = diffusion.step(image, diffusion.noise(image, t, None), t, before)
        return facts.image + drawn * (image - facts.image)

    @torch.no_grad()
    def answers(questions: Questions, noise: Tensor) -> list[Tensor]:
        each = zip(questions.requests, warp.respond(questions), strict=True)
        return [inpainted(questions.facts, requested, warped, noise) for requested, warped in each]

    def respond(questions: Questions) -> list[Tensor]:
        image = questions.facts.image
        fixed = torch.randn(image.shape[1:], generator=torch.Generator().manual_seed(0))
        return answers(questions, fixed.to(image).expand_as(image))

    draw = still(lambda questions: answers(questions, torch.randn_like(questions.facts.image)))
    return Method(still(respond), draw=draw)


def band(
    parts: BaselineParts, facts: Facts, requested: Tensor, moved: Tensor, margin: int
) -> Float[Tensor, "batch 1 *space"]:
    """1 between the old and the new border of what was asked to change, and in a margin around it; softly to 0."""
    soft = parts.parents.segmentor.soft(facts.image)[:, parts.parents.structure_of]
    asked = changed_in(facts, requested)
    change = (resample(soft, moved) - soft).abs() * asked.reshape(*asked.shape, *[1] * (soft.ndim - 2))
    between = (change.amax(1, keepdim=True) > CHANGED).to(soft)
    return blurred(highest(between, margin), SOFT)
