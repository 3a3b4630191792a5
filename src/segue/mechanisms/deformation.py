"""Anatomy moves before it is painted: x* = W(x; exp(v)) + r.

v is a stationary velocity field for the request pa*, predicted from the image, the guide's soft masks of it and the
painted change pa* - pa. W resamples by the diffeomorphism exp(v). r is what a painting mechanism changes. It is made
expensive in fine-tuning, so that what can move is moved. Where nothing is asked v is zero and not a bit changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.causal.facts import Facts
from segue.causal.parents import Parents
from segue.cohort.grid import Grid
from segue.hardware import side_by_side
from segue.mechanisms.base import (
    ImageMechanism,
    Likelihood,
    Loss,
    Moved,
    Samples,
    Shapes,
    Smooths,
    Trainable,
    offered,
)
from segue.mechanisms.diffeomorphism import exponential, resample
from segue.nets.velocity import VelocityNet, check_resolution

__all__ = [
    "VELOCITY",
    "Carried",
    "Deformation",
    "DeformationPosterior",
    "DeformationSettings",
    "Edit",
    "Energy",
    "build_velocity",
    "check_motion",
]

VELOCITY = "velocity"  # the folder of its network
Carried = Literal["image", "smooth"]
Energy = Literal["first", "bending"]


@dataclass(frozen=True, kw_only=True)
class DeformationSettings:
    """How anatomy moves.

    Attributes:
        widths, resolution, smoothing: of the network (`segue.nets.velocity.VelocityNet`).
        squarings: of the velocity's exponential.
        carried: what moves: the image with its noise, or its smooth part, while the scanner's noise stays in place.
        energy: of the velocity, which fine-tuning keeps low (`segue.training.prices`): first, its squared gradient;
            bending, its squared second derivatives.

    >>> DeformationSettings().resolution
    4
    """

    widths: tuple[int, ...] = (32, 64, 96, 96)
    resolution: int = 4
    smoothing: float = 1.5
    squarings: int = 5
    carried: Carried = "image"
    energy: Energy = "first"


class DeformationPosterior(NamedTuple):
    """What the velocity depends on, and the painting mechanism's posterior; None where that paints nothing.

    >>> DeformationPosterior(torch.rand(3, 8, 4, 4), None).rows(torch.tensor([1])).gates.shape
    torch.Size([1, 8, 4, 4])
    """

    gates: Float[Tensor, "batch gate *coarse"]
    painter: Any

    def rows(self, index: Int[Tensor, " row"]) -> "DeformationPosterior":
        """The posterior of some images, repeats allowed."""
        return DeformationPosterior(self.gates[index], self.painter and self.painter.rows(index))


class Edit(NamedTuple):
    """An answer and what it is made of: image = x + (what moved) + paint.

    >>> Edit(*(torch.zeros(1, 1, 4, 4) for _ in range(4))).paint.shape
    torch.Size([1, 1, 4, 4])
    """

    image: Float[Tensor, "batch channel *space"]
    velocity: Float[Tensor, "batch dims *space"]
    displacement: Float[Tensor, "batch dims *space"]
    paint: Float[Tensor, "batch channel *space"]


class Deformation(nn.Module):
    """A mechanism that moves what is in the image, around one that paints.

    Args:
        painter: the painting mechanism, pre-trained; perhaps `Refined`, which then refines what is painted, and what
            moves of the smooth part.
        velocity: the network of v.
        squarings, carried: see `DeformationSettings`.
        moves_only: nothing is painted.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> net = build_velocity(DeformationSettings(), model.parents, model.grid)
    >>> mechanism = Deformation(model.mechanism.inner.painter, net, moves_only=True)
    >>> from segue.engine.answer import abduct_images, check_inputs
    >>> facts = abduct_images(model, check_inputs(model, model.examples()[:1])).facts
    >>> with torch.inference_mode():
    ...     (null,) = mechanism.predict(facts, mechanism.abduct(facts), [facts.pa])
    >>> torch.equal(null, facts.image)
    True
    """

    def __init__(
        self,
        painter: ImageMechanism,
        velocity: VelocityNet,
        *,
        squarings: int = 5,
        carried: Carried = "image",
        moves_only: bool = False,
    ) -> None:
        super().__init__()
        self.painter, self.parents, self.velocity = cast(Any, painter), painter.parents, velocity
        self.squarings, self.carried, self.moves_only = squarings, carried, moves_only

    def extra_repr(self) -> str:
        """The settings, in the module's text."""
        return f"squarings={self.squarings}, carried={self.carried}, moves_only={self.moves_only}"

    @property
    def settings(self) -> dict[str, Any]:
        """What makes it again, besides its networks."""
        return {"squarings": self.squarings, "carried": self.carried, "moves_only": self.moves_only}

    def abduct(self, facts: Facts, *, sample: bool = False) -> DeformationPosterior:
        """The gates of the image and its soft masks, and the painter's posterior."""
        with torch.no_grad():
            soft = self.parents.soft(facts.image)
        gates = self.velocity.gates(torch.cat([facts.image, soft.to(facts.image)], dim=1))
        painted = not self.moves_only or self.carried == "smooth"
        return DeformationPosterior(gates, self.painter.abduct(facts, sample=sample) if painted else None)

    def predict(
        self, facts: Facts, posterior: DeformationPosterior, requests: Sequence[Tensor]
    ) -> list[Float[Tensor, "batch channel *space"]]:
        """x* = W(x; exp(v)) + r under each of several parents pa*."""
        return [edit.image for edit in self.edits(facts, posterior, requests)]

    def moved(self, facts: Facts, posterior: DeformationPosterior, requests: Sequence[Tensor]) -> list[Moved]:
        """x* with exp(v) under each of several parents pa*."""
        return [Moved(edit.image, edit.displacement) for edit in self.edits(facts, posterior, requests)]

    def edits(self, facts: Facts, posterior: DeformationPosterior, requests: Sequence[Tensor]) -> list[Edit]:
        """The answers with what they are made of."""
        x = facts.image
        works: list[Callable[[], list[Any]]] = [
            lambda: self.painted(facts, posterior, requests),
            lambda: self.motions(facts, posterior, requests),
        ]
        painted, motions = side_by_side(works)  # neither needs the other
        return [
            Edit(x + moved + (image - x), velocity, displacement, image - x)
            for image, (velocity, displacement, moved) in zip(painted, motions, strict=True)
        ]

    def painted(
        self, facts: Facts, posterior: DeformationPosterior, requests: Sequence[Tensor]
    ) -> list[Float[Tensor, "batch channel *space"]]:
        """The painter's answers; the image itself where nothing is painted."""
        if self.moves_only:
            return [facts.image] * len(requests)
        return list(self.painter.predict(facts, posterior.painter, requests))

    def motions(
        self, facts: Facts, posterior: DeformationPosterior, requests: Sequence[Tensor]
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """The velocity of each request, its displacement, and what becomes of the image by it."""
        carried = self.what_moves(facts, posterior)
        at_rest = resample(carried, carried.new_zeros(len(carried), carried.ndim - 2, *carried.shape[2:]))
        found = []
        for requested in requests:
            velocity = self.field(facts, posterior, requested)
            displacement = exponential(velocity, self.squarings)
            moved = self.kept(resample(carried, displacement) - at_rest)  # equal to the bit where nothing moves
            found.append((velocity, displacement, moved))
        return found

    def field(
        self, facts: Facts, posterior: DeformationPosterior, requested: Tensor
    ) -> Float[Tensor, "batch dims *space"]:
        """v, in pixels."""
        before, after = (self.parents.context(pa, facts.weights, "map") for pa in (facts.pa, requested))
        return self.velocity(posterior.gates, after - before)

    def what_moves(self, facts: Facts, posterior: DeformationPosterior) -> Float[Tensor, "batch channel *space"]:
        """The image, or its smooth part."""
        if self.carried == "image":
            return facts.image
        return cast(Any, offered(self.painter, Smooths)).smooth(facts, posterior.painter).detach()

    def kept(self, moved: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *space"]:
        """What remains of the change by motion: of the smooth part it is free of noise, and shaped as paint is."""
        shaper = offered(self.painter, Shapes) if self.carried == "smooth" else None
        return moved if shaper is None else shaper.shape(moved)

    def loss(self, facts: Facts, progress: float) -> Loss:
        """The painter's: the velocity is not pre-trained."""
        return offered(self.painter, Trainable).loss(facts, progress)

    def fidelity(self, facts: Facts, posterior: DeformationPosterior) -> Float[Tensor, " batch"]:
        """The painter's; moving changes nothing of it."""
        return offered(self.painter, Trainable).fidelity(facts, self.of_painter(facts, posterior))

    def log_likelihood(self, facts: Facts, posterior: DeformationPosterior) -> Float[Tensor, " batch"]:
        """The painter's."""
        return offered(self.painter, Likelihood).log_likelihood(facts, self.of_painter(facts, posterior))

    def sample(self, pa: Tensor, weights: Tensor) -> Float[Tensor, "batch channel *space"]:
        """The painter's images of nobody."""
        return offered(self.painter, Samples).sample(pa, weights)

    def of_painter(self, facts: Facts, posterior: DeformationPosterior) -> Any:
        """The painter's posterior, inferred where the answers did without."""
        return self.painter.abduct(facts) if posterior.painter is None else posterior.painter

    def tuned(self) -> Sequence[nn.Module]:
        """The velocity, and what the painter predicts with."""
        return [self.velocity, *([] if self.moves_only else offered(self.painter, Trainable).tuned())]

    def networks(self) -> dict[str, nn.Module]:
        """The painter's, and that of v in a folder of its own."""
        return offered(self.painter, Trainable).networks() | {VELOCITY: self.velocity}


def build_velocity(settings: DeformationSettings, parents: Parents, grid: Grid) -> VelocityNet:
    """An untrained network of v for images of a grid.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> build_velocity(DeformationSettings(resolution=2), model.parents, model.grid).level
    0
    """
    return VelocityNet(
        size=grid.size,
        inputs=grid.channels + len(parents.variables.structures),
        context=parents.context_channels("map"),
        widths=settings.widths,
        resolution=settings.resolution,
        smoothing=settings.smoothing,
    )


def check_motion(settings: DeformationSettings, size: Sequence[int]) -> None:
    """Raise ValueError where the settings do not fit images of this size, or one another.

    >>> check_motion(DeformationSettings(squarings=0), (32, 32))
    Traceback (most recent call last):
    ValueError: squarings is 0 and smoothing 1.5: give squarings from 1 and smoothing from 0
    """
    check_resolution(size=size, widths=settings.widths, resolution=settings.resolution)
    if settings.squarings < 1 or settings.smoothing < 0:
        given = f"squarings is {settings.squarings} and smoothing {settings.smoothing:g}"
        raise ValueError(f"{given}: give squarings from 1 and smoothing from 0")
