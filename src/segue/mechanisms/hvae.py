"""The HVAE's image mechanism x = loc(z, pa) + scale(z, pa) * u, u ~ N(0, 1) (Ribeiro et al., arXiv 2306.15764).

Abduction infers z from (x, pa), and the pixel noise u = (x - loc) / scale exactly. So the null intervention returns x,
except for rounding, whatever the network has learned (composition).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from segue import processes
from segue.causal.facts import Facts
from segue.causal.parents import Conditioning, Parents
from segue.cohort.grid import Grid
from segue.mechanisms.base import Loss
from segue.nets.hvae import HVAE, Latents, PixelGaussian

__all__ = ["HVAEMechanism", "HVAEPosterior", "HVAESettings", "build_hvae", "restore_hvae"]


class HierarchicalModel(Protocol):
    """p(x | z, pa) and q(z | x, pa), conditioned on an image of parents: `segue.nets.hvae.HVAE`, or one like it."""

    def abduct(self, x: Tensor, context: Tensor, *, sample: bool) -> Latents: ...

    def predict(self, states: list[Tensor], context: Tensor) -> PixelGaussian: ...

    def sample(self, context: Tensor) -> PixelGaussian: ...

    def prediction(self) -> Sequence[nn.Module]: ...


@dataclass(frozen=True, kw_only=True)
class HVAESettings:
    """The network (see `segue.nets.hvae.HVAE`) and its loss.

    Attributes:
        widths, depths: channels and residual blocks by level, fine to coarse. latent: channels of each latent.
        finest: the finest stochastic level. reach: number of finest levels at which the parents enter.
        head: channels of the likelihood's head.
        free_bits: nats below which the batch-mean KL of a latent channel is not penalised (Kingma et al. 2016).
        beta_warmup: share of the training over which the weight of the KL rises linearly from 0 to 1.

    >>> HVAESettings(latent=4).widths
    (64, 96, 128, 128)
    """

    widths: tuple[int, ...] = (64, 96, 128, 128)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    latent: int = 8
    finest: int = 1
    reach: int = 3
    head: int = 32
    free_bits: float = 0.05
    beta_warmup: float = 0.2


@dataclass(frozen=True)
class HVAEPosterior:
    """z of a batch of images, and p(x | z, pa) at their factual parents, which gives u.

    >>> latents = Latents([torch.rand(2, 3)], torch.zeros(2, 1), torch.zeros(2, 1))
    >>> factual = PixelGaussian(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
    >>> HVAEPosterior(latents, factual).rows(torch.tensor([1])).factual.loc.shape
    torch.Size([1, 1, 4, 4])
    """

    latents: Latents
    factual: PixelGaussian

    def rows(self, index: Int[Tensor, " row"]) -> "HVAEPosterior":
        """The posterior of some images, repeats allowed."""
        states, kl, kl_channels = self.latents
        latents = Latents([state[index] for state in states], kl[index], kl_channels[index])
        return HVAEPosterior(latents, PixelGaussian(*(part[index] for part in self.factual)))


class HVAEMechanism(nn.Module):
    """A hierarchical VAE together with the parents that it is conditioned on, and how they enter.

    In training the network works in the precision of its surroundings (Accelerate's). It answers in float32: two
    decodings that round differently would differ everywhere (docs/speed.md). Parents are measured, and images rendered,
    in float32 always.

    Args:
        free_bits, beta_warmup: see `HVAESettings`.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> model.mechanism.inner.painter.inner
    HVAEMechanism(
      conditioning=map
    ...
    """

    model: HierarchicalModel

    def __init__(
        self,
        *,
        model: nn.Module,
        parents: Parents,
        conditioning: Conditioning,
        free_bits: float = 0.0,
        beta_warmup: float = 0.0,
    ) -> None:
        super().__init__()
        self.model, self.parents, self.conditioning = cast(Any, model), parents, conditioning
        self.free_bits, self.beta_warmup = free_bits, beta_warmup

    def extra_repr(self) -> str:
        """The settings that answers depend on, in the module's text."""
        return f"conditioning={self.conditioning}"

    def context(self, pa: Tensor, weights: Tensor) -> Float[Tensor, "batch context *space"]:
        """The image of parents `pa` (batch, variable) on the regions `weights` (batch, measured, *space)."""
        return self.parents.context(pa, weights, self.conditioning)

    def abduct(self, facts: Facts, *, sample: bool = False) -> HVAEPosterior:
        """z ~ q(z | x, pa), or its mean, and p(x | z, pa)."""
        latents = self.model.abduct(facts.image, self.context(facts.pa, facts.weights), sample=sample)
        (factual,) = self.decode(latents, [facts.pa], facts.weights)
        return HVAEPosterior(latents, factual)

    def predict(
        self, facts: Facts, posterior: HVAEPosterior, requests: Sequence[Tensor]
    ) -> list[Float[Tensor, "batch channel *space"]]:
        """x* = loc* + scale* u, with the abducted u of x."""
        noise = posterior.factual.noise(facts.image)
        return [changed.render(noise) for changed in self.decode(posterior.latents, requests, facts.weights)]

    def decode(self, latents: Latents, parents: Sequence[Tensor], weights: Tensor) -> list[PixelGaussian]:
        """p(x | z, pa) for each of several parents (batch, variable) of the same images, decoded as one batch."""
        contexts = torch.cat([self.context(pa, weights) for pa in parents])
        loc, log_scale = self.model.predict(latents.states, contexts)
        pairs = zip(loc.chunk(len(parents)), log_scale.chunk(len(parents)), strict=True)
        return [PixelGaussian(*pair) for pair in pairs]

    def code(self, posterior: HVAEPosterior) -> list[Tensor]:
        """The states of the latent stream, from which the image is decoded."""
        return posterior.latents.states

    def predict_from(
        self, facts: Facts, posterior: HVAEPosterior, code: list[Tensor], requested: Tensor
    ) -> Float[Tensor, "batch channel *space"]:
        """x* = loc(s, pa*) + scale(s, pa*) u for other states s, with the abducted u of x."""
        latents = posterior.latents._replace(states=code)
        (changed,) = self.decode(latents, [requested], facts.weights)
        return changed.render(posterior.factual.noise(facts.image))

    def log_likelihood(self, facts: Facts, posterior: HVAEPosterior) -> Float[Tensor, " batch"]:
        """The ELBO, log p(x | z, pa) - sum_l KL(q_l || p_l), in nats per pixel and channel."""
        x = facts.image
        return (posterior.factual.log_prob(x) - posterior.latents.kl.sum(1)) / x[0].numel()

    fidelity = log_likelihood

    def loss(self, facts: Facts, progress: float) -> Loss:
        """The negative ELBO of one posterior sample, with free bits and the warm-up of the KL's weight."""
        x, posterior = facts.image, self.abduct(facts, sample=True)
        beta = min(1.0, progress / self.beta_warmup) if self.beta_warmup else 1.0
        latents, factual = posterior.latents, posterior.factual
        penalised = processes.mean(latents.kl_channels).clamp_min(self.free_bits).sum()
        loss = (beta * penalised - factual.log_prob(x).mean()) / x[0].numel()
        return loss, {
            "nelbo": -self.log_likelihood(facts, posterior).mean(),
            "mae": (x - factual.loc).abs().mean(),
            **{f"kl/{i}": kl for i, kl in enumerate(latents.kl.mean(0) / x[0].numel())},
        }

    def tuned(self) -> Sequence[nn.Module]:
        """What predicts. What abducts stays: a factual image has the same z and KL under every guide."""
        return self.model.prediction()

    def networks(self) -> dict[str, nn.Module]:
        """The network, in the training's own folder."""
        return {"": cast(nn.Module, self.model)}

    def smooth(self, facts: Facts, posterior: HVAEPosterior) -> Float[Tensor, "batch channel *space"]:
        """The factual image without its noise: loc."""
        return posterior.factual.loc

    def sample(self, pa: Tensor, weights: Tensor) -> Float[Tensor, "batch channel *space"]:
        """x = loc + scale u, z and u drawn from their priors."""
        found = PixelGaussian(*(part.float() for part in self.model.sample(self.context(pa, weights))))
        return found.render(torch.randn_like(found.loc))


def build_hvae(settings: HVAESettings, parents: Parents, grid: Grid, conditioning: Conditioning) -> HVAEMechanism:
    """An untrained mechanism for images of a grid.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> small = HVAESettings(widths=(8, 8), depths=(1, 1), reach=1)
    >>> build_hvae(small, model.parents, model.grid, "map").model.reach
    1
    """
    net = HVAE(
        size=grid.size,
        context=parents.context_channels(conditioning),
        channels=grid.channels,
        widths=settings.widths,
        depths=settings.depths,
        latent=settings.latent,
        finest=settings.finest,
        reach=settings.reach,
        head=settings.head,
    )
    loss = {"free_bits": settings.free_bits, "beta_warmup": settings.beta_warmup}
    return HVAEMechanism(model=net, parents=parents, conditioning=conditioning, **loss)


def restore_hvae(arguments: Mapping[str, Any], parents: Parents, conditioning: Conditioning) -> HVAEMechanism:
    """A mechanism around a network with these arguments, for trained weights to be loaded into `model`.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> arguments = {"size": (8, 8), "context": 3, "widths": (8, 8), "depths": (1, 1), "reach": 1}
    >>> restore_hvae(arguments, model.parents, "map").model.finest
    1
    """
    return HVAEMechanism(model=HVAE(**arguments), parents=parents, conditioning=conditioning)
