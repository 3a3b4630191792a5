"""Test-time deformation: a velocity field is optimised for each image and request, through the guide."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from segue.baselines.base import SQUARINGS, BaselineParts, minimised, ordinary
from segue.baselines.warp import moved_by
from segue.causal.facts import Facts
from segue.engine.method import Method, Questions
from segue.mechanisms.base import Moved
from segue.mechanisms.diffeomorphism import exponential, resample
from segue.nets.layers import blurred
from segue.training.guides import RegionGuide
from segue.training.prices import ENERGIES


def deform_at_test_time(
    parts: BaselineParts,
    *,
    steps: int = 60,
    lr: float = 0.2,
    smoothness: float = 1.0,
    resolution: int = 4,
    smoothing: float = 1.5,
) -> Method:
    """A velocity field is optimised for each image through the guide; nothing is trained.

    Minimises the squared errors of all areas, in sd, plus the velocity's squared gradient, by Adam. The velocity is
    the mechanism's (`segue.nets.velocity`): coarse, smoothed, and exponentiated.

    Args:
        parts: see `BaselineParts`.
        steps, lr: of Adam; the velocity is in pixels.
        smoothness: weight of the velocity's mean squared gradient, as in fine-tuning.
        resolution: the velocity has 1 / so much of the image's. smoothing: of it, in pixels of its own grid.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> parts = BaselineParts(model.parents, model.grid, lambda: model.mechanism)
    >>> deform_at_test_time(parts, steps=1).open_ended
    True
    """
    guide, energy = RegionGuide(parts.parents), ENERGIES["first"]()

    def fine(coarse: Tensor, size: torch.Size) -> Float[Tensor, "batch dims *space"]:
        mode = "bilinear" if len(size) == 2 else "trilinear"
        return F.interpolate(blurred(coarse, smoothing), size=tuple(size), mode=mode, align_corners=False)

    def optimised(facts: Facts, requested: Tensor) -> Tensor:
        """The displacement (batch, dims, *space) of one request of every image."""
        size = facts.image.shape[2:]
        shape = (len(facts.image), len(size), *(side // resolution for side in size))
        coarse = torch.zeros(shape, device=facts.image.device, requires_grad=True)

        def loss() -> Tensor:
            velocity = fine(coarse, size)
            image = resample(facts.image, exponential(velocity, SQUARINGS))
            return guide(image, facts, requested).sum() + smoothness * len(image) * energy(velocity)

        minimised([coarse], loss, steps=steps, lr=lr)
        return exponential(fine(coarse, size), SQUARINGS).detach()

    def respond(questions: Questions) -> list[Moved]:
        with torch.inference_mode(False), torch.enable_grad():
            facts = ordinary(questions.facts)
            return [moved_by(facts, optimised(facts, requested.clone())) for requested in questions.requests]

    return Method(respond)
