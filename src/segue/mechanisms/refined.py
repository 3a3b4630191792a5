"""What is done to the answers of any mechanism: small changes removed, sharp ones blurred, errors corrected."""

from collections.abc import Sequence
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor, nn

from segue.causal.facts import Facts
from segue.causal.parents import SoftMasks
from segue.mechanisms.base import ImageMechanism, Moved, Moves
from segue.mechanisms.correction import concerned, ensemble_measure, next_aim
from segue.nets.layers import blurred

__all__ = ["Refined", "refined", "shrunk"]


class Refined(nn.Module):
    """An image mechanism whose answers are refined; its posterior is the inner mechanism's.

    Around a mechanism that moves it has `moved` (`Moves`); around any other it has not.

    Args:
        inner: the mechanism.
        shrinkage: size of change, in the networks' intensity (range 2), that is treated as no change: see `shrunk`.
        blur: sharpness limit of a change, the standard deviation of a Gaussian in pixels: see `blurred`.
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
        corrections: int = 0,
        ensemble: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.inner = cast(Any, inner)
        self.parents = inner.parents
        self.shrinkage, self.blur, self.corrections = shrinkage, blur, corrections
        self.ensemble = nn.ModuleList(member.eval().requires_grad_(False) for member in ensemble)
        if isinstance(inner, Moves):
            self.moved = self.corrected

    def extra_repr(self) -> str:
        """The settings, in the module's text."""
        return f"shrinkage={self.shrinkage}, blur={self.blur}, corrections={self.corrections}"

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
        """The inner mechanism's answers, their changes shrunk and blurred."""
        moved = isinstance(self.inner, Moves)
        ask = self.inner.moved if moved else self.inner.predict
        answers = [one if moved else Moved(one, None) for one in ask(facts, posterior, aims)]
        if not (self.shrinkage or self.blur):
            return answers
        x = facts.image
        return [Moved(x + self.shape(image - x), displacement) for image, displacement in answers]

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


def refined(
    mechanism: ImageMechanism,
    *,
    shrinkage: float = 0.0,
    blur: float = 0.0,
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
    return Refined(mechanism, corrections=corrections, ensemble=ensemble, **shaping)
