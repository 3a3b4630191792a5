"""The image's parents: what the guide's segmentor measures on the factual image, and covariates given beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.anatomy import Variables, paint
from segue.causal.facts import Facts

__all__ = ["Parents", "SoftMasks"]

Conditioning = Literal["map", "broadcast"]


@runtime_checkable
class SoftMasks(Protocol):
    """A segmentor, as far as measuring needs it.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> isinstance(model.parents.segmentor, SoftMasks)
    True
    """

    def soft(self, image: Tensor) -> Tensor: ...


class Factual(NamedTuple):
    """An image measured: areas and whatever else, and the frames that fix its regions while it changes."""

    areas: Float[Tensor, "batch measured"]
    frames: Float[Tensor, "batch params"]


class Parents(nn.Module):
    """Measures, standardises and paints parents pa = (areas..., covariates...).

    Args:
        segmentor: a `SoftMasks` network, frozen here; its soft masks are measured (no masks are needed at inference).
        variables: structures x regions.
        covariates: names of the further parents, which are given, not measured.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> x = model.grid.scale(model.examples()[:1])
    >>> model.parents.factual(x, torch.ones(1)).areas.shape
    torch.Size([1, 9])
    """

    segmentor: SoftMasks
    structure_of: Tensor
    mean: Tensor
    sd: Tensor

    def __init__(self, *, segmentor: nn.Module, variables: Variables, covariates: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.segmentor = cast(SoftMasks, segmentor.eval().requires_grad_(False))
        self.variables = variables
        self.names = (*variables.names, *covariates)
        self.known: list[tuple[Tensor, bool, Tensor]] | None = None
        self.register_buffer("structure_of", variables.structure_of.clone(), persistent=False)
        self.register_buffer("mean", torch.zeros(len(self.names)))
        self.register_buffer("sd", torch.ones(len(self.names)))

    def train(self, mode: bool = True) -> "Parents":
        """Stay in evaluation mode: what measures does not learn."""
        return super().train(False)

    @contextmanager
    def once(self) -> Iterator[None]:
        """In the block, the soft masks of an image are computed once, whoever asks for them, in each precision."""
        self.known = []
        try:
            yield
        finally:
            self.known = None

    def soft(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch structure *space"]:
        """The guide's soft masks of an image."""
        reduced, learns = torch.is_autocast_enabled(image.device.type), torch.is_grad_enabled() and image.requires_grad
        for seen, precision, soft in self.known or ():
            if seen is image and precision == reduced and (soft.requires_grad or not learns):
                return soft if learns else soft.detach()
        soft = self.segmentor.soft(image)
        if self.known is not None:
            self.known.append((image, reduced, soft))
        return soft

    def fit(self, parents: Float[Tensor, "sample variable"]) -> "Parents":
        """Take mean and standard deviation from the training split."""
        self.mean.copy_(parents.mean(0))
        self.sd.copy_(parents.std(0).clamp_min(1e-6))
        return self

    def factual(
        self,
        image: Float[Tensor, "batch channel *space"],
        pixel_area: Float[Tensor, " batch"],
        spacing: Float[Tensor, "batch dims"] | None = None,
    ) -> Factual:
        """Measure a factual image; its frames come from the same soft masks."""
        return self.read(self.soft(image), image, pixel_area, spacing)

    def read(
        self,
        soft: Float[Tensor, "batch structure *space"],
        image: Float[Tensor, "batch channel *space"],
        pixel_area: Float[Tensor, " batch"],
        spacing: Float[Tensor, "batch dims"] | None = None,
    ) -> Factual:
        """Measure a factual image in the soft masks given."""
        frames = self.variables.frames(soft)
        weights = self.variables.weights(frames, tuple(soft.shape[2:]))
        return Factual(self.variables.measure(soft, image, weights, pixel_area, spacing), frames)

    def measure(
        self,
        soft: Float[Tensor, "batch structure *space"],
        image: Float[Tensor, "batch channel *space"],
        facts: Facts,
    ) -> Float[Tensor, "batch measured"]:
        """What is measured on an image with these soft masks, in the fixed regions of the facts."""
        return self.variables.measure(soft, image, facts.weights, facts.pixel_area, facts.spacing)

    def weights(self, frames: Tensor, size: tuple[int, ...]) -> Float[Tensor, "batch measured *space"]:
        """The region weights of every measured variable."""
        return self.variables.weights(frames, size)

    def standardise(self, parents: Float[Tensor, "batch variable"]) -> Float[Tensor, "batch variable"]:
        return (parents - self.mean) / self.sd

    def context_channels(self, conditioning: Conditioning) -> int:
        """Channels of `context`."""
        covariates = len(self.names) - len(self.variables.names)
        return covariates + (self.variables.channels if conditioning == "map" else len(self.variables.names))

    def context(
        self,
        parents: Float[Tensor, "batch variable"],
        weights: Float[Tensor, "batch measured *space"],
        conditioning: Conditioning,
    ) -> Float[Tensor, "batch context *space"]:
        """The parents' image: standardised values painted on their regions, or broadcast; covariates broadcast.

        A map has one channel for each measurement of a structure, which its regions share.
        """
        standard = self.standardise(parents)
        count = len(self.variables.names)
        space = weights.shape[2:]
        spread = standard.reshape(*standard.shape, *[1] * len(space)).expand(-1, -1, *space)
        if conditioning == "broadcast":
            return spread
        painted = paint(standard[:, :count], weights, self.variables.channel_of, self.variables.channels)
        return torch.cat([painted, spread[:, count:]], dim=1)
