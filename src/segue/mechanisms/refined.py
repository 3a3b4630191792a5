"""What is done to the answers of a mechanism: changes shrunk and blurred, shadows lifted, aims corrected."""

from collections.abc import Sequence
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor, nn

from segue.causal.facts import Facts
from segue.causal.parents import SoftMasks
from segue.mechanisms.base import ImageMechanism, Moved, Moves
from segue.mechanisms.correction import concerned, ensemble_measure, next_aim
from segue.nets.layers import blurred, highest

__all__ = ["Refined", "lifted", "refined", "shrunk"]

GRAIN = 0.7
"""Standard deviation, in pixels, of the blur that takes the noise out of two images whose darkness is compared."""


class Refined(nn.Module):
    """An image mechanism whose answers are refined; its posterior is the inner mechanism's.

    Around a mechanism that moves it has `moved` (`Moves`); around any other it has not.

    Args:
        inner: the mechanism.
        shrinkage: size of change, in the networks' intensity (range 2), that is treated as no change: see `shrunk`.
        blur: sharpness limit of a change, the standard deviation of a Gaussian in pixels: see `blurred`.
        floor: how far away, in pixels, an answer's darkest value may come from: see `lifted`. 0: from anywhere.
        corrections: how often a request is corrected: see `segue.mechanisms.correction`.
        ensemble: segmentors that measure answers together with the guide.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> Refined(model.mechanism.inner, corrections=1).corrections
    1
    """

    def __init__(
        self,
        inner: ImageMechanism,
        *,
        shrinkage: float = 0.0,
        blur: float = 0.0,
        floor: int = 0,
        corrections: int = 0,
        ensemble: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.inner = cast(Any, inner)
        self.parents = inner.parents
        self.shrinkage, self.blur, self.floor, self.corrections = shrinkage, blur, floor, corrections
        self.ensemble = nn.ModuleList(member.eval().requires_grad_(False) for member in ensemble)
        if isinstance(inner, Moves):
            self.moved = self.corrected

    def extra_repr(self) -> str:
        """The settings, in the module's text."""
        names = ("shrinkage", "blur", "floor", "corrections")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)

    def abduct(self, facts: Facts, *, sample: bool = False) -> Any:
        """The inner mechanism's posterior."""
        return self.inner.abduct(facts, sample=sample)

    def predict(
        self, facts: Facts, posterior: Any, requests: Sequence[Tensor]
    ) -> list[Float[Tensor, "batch channel *space"]]:
        """x* under each of several parents pa*, refined."""
        return [one.image for one in self.corrected(facts, posterior, requests)]

    def corrected(self, facts: Facts, posterior: Any, requests: Sequence[Tensor]) -> list[Moved]:
        """The answer to each request, refined, with its displacement: the inner mechanism's, to the corrected aim."""
        aims, answers = requests, self.shaped(facts, posterior, requests)
        if not self.corrections:
            return answers
        areas = ensemble_measure(self.parents, cast(list[SoftMasks], list(self.ensemble)), facts)
        concern = [concerned(facts, request) for request in requests]
        for _ in range(self.corrections):
            each = zip(requests, concern, aims, (areas(one.image) for one in answers), strict=True)
            aims = [next_aim(self.parents, *one) for one in each]
            answers = self.shaped(facts, posterior, aims)
        return answers

    def shaped(self, facts: Facts, posterior: Any, aims: Sequence[Tensor]) -> list[Moved]:
        """The inner mechanism's answers, their changes shrunk and blurred, and their shadows lifted."""
        moved = isinstance(self.inner, Moves)
        ask = self.inner.moved if moved else self.inner.predict
        answers = [one if moved else Moved(one, None) for one in ask(facts, posterior, aims)]
        x = facts.image
        if self.shrinkage or self.blur:
            answers = [Moved(x + self.shape(image - x), displacement) for image, displacement in answers]
        return [Moved(lifted(image, x, self.floor), displacement) for image, displacement in answers]

    def shape(self, change: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *space"]:
        """A change shrunk, then blurred."""
        if self.shrinkage:
            change = shrunk(change, self.shrinkage)
        return blurred(change, self.blur) if self.blur else change


def shrunk(change: Float[Tensor, "*shape"], size: float) -> Float[Tensor, "*shape"]:
    """change^3 / (change^2 + size^2): large changes stay (less size^2 / change), small ones vanish.

    A smooth form of the non-negative garrote (Breiman, Technometrics 1995;37:373), applied to the effect of an
    intervention. A network that paints the pixels of a region changes all of them a little. Anatomy changes few pixels,
    and those strongly. No change stays no change.

    >>> import torch
    >>> shrunk(torch.tensor([0.0, 0.01, 1.0]), 0.1)
    tensor([0.0000e+00, 9.9010e-05, 9.9010e-01])
    """
    return change**3 / (change**2 + size**2)


def lifted(
    image: Float[Tensor, "batch channel *space"], factual: Float[Tensor, "batch channel *space"], floor: int
) -> Float[Tensor, "batch channel *space"]:
    """An answer that, noise aside, is nowhere darker than the darkest of the factual image within `floor` pixels.

    A guide takes a shadow that is blacker than any tissue nearby for the absence of a structure, and a model that is
    fine-tuned against it paints one. Its pixels are raised by what the blurred answer lacks, so that the noise remains.
    What is brighter than its surroundings stays: calcium may appear where there was none. 0 lifts nothing.

    >>> import torch
    >>> x = torch.zeros(1, 1, 9, 9)
    >>> shadow = x.clone()
    >>> shadow[..., 3:6, :] = -1
    >>> bool(lifted(shadow, x, 2).mean() > 0.5 * shadow.mean()), torch.equal(lifted(x, x, 2), x)
    (True, True)
    """
    if not floor:
        return image
    darkest = -highest(-blurred(factual, GRAIN), floor)
    for _ in range(2):  # the first lifts a shadow's middle, the second its edges
        image = image + (darkest - blurred(image, GRAIN)).clamp_min(0)
    return image


def refined(
    mechanism: ImageMechanism,
    *,
    shrinkage: float = 0.0,
    blur: float = 0.0,
    floor: int = 0,
    corrections: int = 0,
    ensemble: Sequence[nn.Module] = (),
) -> Refined:
    """`Refined` around a mechanism.

    Where that moves anatomy, its paint is shrunk and blurred, and the motion of the image's smooth part. The motion of
    the image itself is not: it carries noise, and of noise small changes are the larger part.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> refined(model.mechanism.inner.painter.inner, blur=0.7).blur
    0.7
    """
    shaping: dict[str, Any] = {"shrinkage": shrinkage, "blur": blur}
    if isinstance(mechanism, Moves):
        mover = cast(Any, mechanism)
        mover.painter, shaping = Refined(mover.painter, **shaping), {}
    return Refined(mechanism, floor=floor, corrections=corrections, ensemble=ensemble, **shaping)
