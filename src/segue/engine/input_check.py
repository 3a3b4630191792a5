"""Is this an image like the training images? If not: why, and what mends it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from segue.engine.answer import Abducted, Inputs, infer_images
from segue.engine.image_statistics import POSE, Statistics, image_statistics, model_statistics
from segue.engine.mends import mends
from segue.engine.reasons import INTENSITY, constant, reasons, usual_intensities
from segue.engine.typical import Typical

__all__ = ["InputCheck"]

if TYPE_CHECKING:
    from segue.engine.model import Model

TRIED = 3  # mends that are measured with the model, of those after which the image itself looks usual


class InputCheck:
    """The check of a model's input, calibrated on held-out images of its cohort.

    Args:
        typical: what is usual. model: that the images are for.

    >>> import segue
    >>> from segue.engine.answer import check_inputs, infer_images
    >>> model = segue.load("coronary-phantom")
    >>> images = torch.cat([model.examples()[:1], torch.zeros(1, 1, 48, 144)])
    >>> model.input_check.doubts(infer_images(model, check_inputs(model, images)))
    [(), ('the image is nearly constant (all pixels are 0): is it empty?',)]
    """

    def __init__(self, typical: Typical, model: "Model") -> None:
        self.typical, self.model = typical, model

    @torch.inference_mode()
    def statistics(self, known: Abducted) -> Statistics:
        """Of abducted images: all that is looked at."""
        return self.of_image(known.raw) | model_statistics(known, self.model.mechanism)

    def of_image(self, raw: Float[Tensor, "batch channel *space"]) -> Statistics:
        """Of images alone."""
        return image_statistics(raw, self.model.grid, self.typical.layout.to(raw.device))

    def doubts(self, known: Abducted) -> list[tuple[str, ...]]:
        """One tuple of sentences an image: what is unlike the training images, and the mend. Empty: nothing is.

        A mend that makes the image pass the whole check is the only thing said of it. An image that does not pass, and
        its mends, are looked at once more each; one that passes costs no further pass through a network.
        """
        found = self.statistics(known)
        excess = self.typical.excess(found)
        worst = torch.stack(list(excess.values())).amax(0)
        return [
            self.doubt(known, row, *({name: float(value[row]) for name, value in of.items()} for of in (found, excess)))
            if worst[row] > 1
            else ()
            for row in range(len(known.raw))
        ]

    def doubt(
        self, known: Abducted, row: int, found: dict[str, float], excess: dict[str, float]
    ) -> tuple[str, ...]:
        """The sentences of an image that does not pass."""
        raw = known.raw[row : row + 1]
        if said := constant(raw, found["even"]):
            return (said,)
        if said := self.mend(known, row, [name for name, beyond in excess.items() if beyond > 1]):
            return (said,)
        return tuple(reasons(raw, found, excess, self.typical, self.model))

    def mend(self, known: Abducted, row: int, unusual: Sequence[str]) -> str | None:
        """What is said of the first mend after which the image passes the whole check; None where none is known.

        Args:
            unusual: the statistics that call for a mend.
        """
        raw, grid = known.raw[row : row + 1], self.model.grid
        wrong = [name.removeprefix(POSE) for name in unusual if name.startswith(POSE)]
        intensity = any(name in INTENSITY for name in unusual)
        tried = list(mends(raw, grid, usual_intensities(self.typical, grid), intensity=intensity, wrong=wrong))
        if not tried:
            return None
        said, images = zip(*tried, strict=True)
        excess = self.worst(self.of_image(torch.cat(images)))
        chosen = sorted(i for i in excess.argsort().tolist()[:TRIED] if excess[i] <= 1)
        if not chosen:
            return None
        facts = known.facts.rows(torch.full((len(chosen),), row, device=raw.device))
        assert facts.spacing is not None, "the engine knows the sides of its pixels"
        given = facts.pa[:, facts.measured :]
        inputs = Inputs(torch.cat([images[i] for i in chosen]), facts.pixel_area, given, facts.spacing)
        passes = self.worst(self.statistics(infer_images(self.model, inputs))) <= 1
        return next((said[i] for i, good in zip(chosen, passes.tolist(), strict=True) if good), None)

    def worst(self, found: Statistics) -> Float[Tensor, " batch"]:
        """How far beyond its limit the most unusual statistic of each image is."""
        return torch.stack(list(self.typical.excess(found).values())).amax(0)
