"""The image mechanism: a hierarchical VAE p(x | z, pa), after Ribeiro et al. (ICML 2023, arXiv 2306.15764).

Two streams run top down. The *latent* stream s sees z_1..z_L alone and gives the prior p(z_l | z_<l): the latents are
exogenous, independent of the parents, so that abducted latents may be held fixed while the parents change (the
paper's "exogenous prior" model). The *image* stream h reads s and the parents and gives p(x | z, pa); it lives at the
finest `reach` levels only, which bounds how far from its region a parent can act. In prediction only h is recomputed.

The network knows nothing of variables. It is conditioned on an image of parents, `context`: values broadcast (the
paper), or each region's value painted on that region (`segue.anatomy.paint`).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from huggingface_hub import PyTorchModelHubMixin
from jaxtyping import Float
from torch import Tensor, nn

from segue.nets import gaussian
from segue.nets.layers import Block, Residual, average_pool, conv, double, halve

__all__ = ["HVAE", "Latents", "PixelGaussian"]

LOG_SD_LIMIT = 4.0  # latents' log standard deviations stay in (-4, 4)
LOG_SCALE = (-5.0, 1.0)  # the likelihood's log-scale, for images of range [-1, 1]: 0.3% of the range to wide open


class Latents(NamedTuple):
    """z ~ q(z | x, pa), as the states of the latent stream, and KL(q || p) in nats.

    `kl` has shape (batch, blocks), one column a stochastic block, coarse to fine; `kl_channels` the same by latent
    channel.

    >>> Latents([], torch.zeros(2, 3), torch.zeros(2, 6)).kl.shape
    torch.Size([2, 3])
    """

    states: list[Tensor]
    kl: Float[Tensor, "batch blocks"]
    kl_channels: Float[Tensor, "batch channels"]


class PixelGaussian(NamedTuple):
    """p(x | z, pa) = N(loc, exp(log_scale)^2) per pixel.

    >>> p = PixelGaussian(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
    >>> p.render(p.noise(torch.ones(1, 1, 2, 2))).mean()
    tensor(1.)
    """

    loc: Float[Tensor, "batch channel *space"]
    log_scale: Float[Tensor, "batch channel *space"]

    def log_prob(self, x: Float[Tensor, "batch channel *space"]) -> Float[Tensor, " batch"]:
        """log p(x | z, pa) in nats, summed over pixels."""
        return gaussian.log_prob(x, self.loc, self.log_scale).flatten(1).sum(1)

    def noise(self, x: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *space"]:
        """The abducted pixel noise u = (x - loc) / scale."""
        return (x - self.loc) * torch.exp(-self.log_scale)

    def render(self, noise: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *space"]:
        """The image x = loc + scale * u."""
        return self.loc + self.log_scale.exp() * noise


class LatentBlock(nn.Module):
    """One stochastic block: prior from s, posterior from (s, encoder features, context), s updated by z."""

    def __init__(self, *, spatial_dims: int, width: int, latent: int, context: int) -> None:
        super().__init__()
        self.prior = nn.Sequential(nn.SiLU(), conv(spatial_dims, width, 2 * latent, zero=True))
        self.evidence = conv(spatial_dims, 2 * width + context, width, 1)
        self.posterior = nn.Sequential(nn.SiLU(), conv(spatial_dims, width, 2 * latent, zero=True))
        self.project = conv(spatial_dims, latent, width, 1)
        self.residual = Residual(spatial_dims=spatial_dims, width=width)

    def gaussians(self, s: Tensor, features: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(mean_q, log_sd_q, mean_p, log_sd_p), the posterior given relative to the prior (Vahdat & Kautz 2020)."""
        mean_p, log_sd_p = self.prior(s).float().chunk(2, dim=1)
        evidence = self.evidence(torch.cat([s, features, context.to(s.dtype)], dim=1))
        shift, log_ratio = self.posterior(evidence).float().chunk(2, dim=1)
        log_sd_p = gaussian.bounded(log_sd_p, LOG_SD_LIMIT)
        return mean_p + shift, gaussian.bounded(log_sd_p + log_ratio, LOG_SD_LIMIT), mean_p, log_sd_p

    def update(self, s: Tensor, z: Tensor) -> Tensor:
        """The latent stream after z."""
        return self.residual(s + self.project(z))


class HVAE(nn.Module, PyTorchModelHubMixin):
    """A top-down ladder of stochastic residual blocks with a Gaussian likelihood of learned scale.

    Args:
        size: image size; every side a multiple of 2 ** len(widths).
        context: channels of the parents' image.
        channels: image channels.
        widths: channels by level, fine to coarse; level l works at 1 / 2 ** (l + 1) of the resolution.
        depths: residual blocks by level; at stochastic levels each carries a latent.
        latent: channels of each latent.
        finest: the finest stochastic level; 0 is half resolution. Latents at half resolution also encode the pixel
            noise. The likelihood then becomes so sharp that fine-tuning cannot change anything within its constraint.
        reach: number of finest levels at which the parents enter.
        head: channels of the likelihood's head, at full resolution.

    >>> net = HVAE(size=(8, 8), context=1, widths=(8, 8), depths=(1, 1), reach=1)
    >>> x, context = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    >>> net.predict(net.abduct(x, context, sample=False).states, context).loc.shape
    torch.Size([1, 1, 8, 8])
    """

    TRACEABLE = "predict"  # see `segue.nets.traced`
    encoder: Any  # by level, a list of blocks: more than torch's types can say
    latents: Any
    image: Any

    def __init__(
        self,
        *,
        size: Sequence[int],
        context: int,
        channels: int = 1,
        widths: Sequence[int] = (64, 96, 128, 128),
        depths: Sequence[int] = (2, 2, 2, 2),
        latent: int = 8,
        finest: int = 1,
        reach: int = 3,
        head: int = 32,
    ) -> None:
        super().__init__()
        check_shape(size=size, widths=widths, depths=depths, finest=finest, reach=reach)
        dims = len(size)
        self.finest, self.reach = finest, reach
        self.sizes = [tuple(side // 2 ** (level + 1) for side in size) for level in range(len(widths))]
        previous = (channels, *widths[:-1])
        self.down = nn.ModuleList(halve(dims, a, b) for a, b in zip(previous, widths, strict=True))
        self.encoder = nn.ModuleList(residuals(dims, width, depth) for width, depth in zip(widths, depths, strict=True))
        self.top = nn.Parameter(torch.empty(1, widths[-1], *self.sizes[-1]))
        if not self.top.is_meta:  # normal numbers without memory import torch's compiler, for a second
            nn.init.normal_(self.top, std=0.1)
        self.widen = nn.ModuleList(conv(dims, b, a, 1) for a, b in pairwise(widths))
        self.latents = nn.ModuleList(
            nn.ModuleList(
                LatentBlock(spatial_dims=dims, width=widths[level], latent=latent, context=context)
                for _ in range(depths[level])
            )
            if level >= finest
            else residuals(dims, widths[level], 1)
            for level in range(len(widths))
        )
        fine = range(reach)
        self.read = nn.ModuleList(conv(dims, widths[level], widths[level], 1) for level in fine)
        self.rise = nn.ModuleList(conv(dims, widths[level + 1], widths[level], 1) for level in range(reach - 1))
        self.inject = nn.ModuleList(Inject(spatial_dims=dims, context=context, width=widths[level]) for level in fine)
        self.image = nn.ModuleList(residuals(dims, widths[level], depths[level]) for level in fine)
        self.head = Head(spatial_dims=dims, width=widths[0], context=context, hidden=head, channels=channels)

    def abduct(
        self,
        x: Float[Tensor, "batch channel *space"],
        context: Float[Tensor, "batch context *space"],
        *,
        sample: bool,
    ) -> Latents:
        """Infer z ~ q(z | x, pa), or its mean where `sample` is false."""
        features = self.encode(x)
        s = self.top.expand(len(x), *self.top.shape[1:])
        states: list[Tensor] = []
        kls: list[Tensor] = []
        for level in reversed(range(len(self.latents))):
            if level < len(self.latents) - 1:
                s = double(self.widen[level](s))
            at_level = average_pool(context, self.sizes[level])
            for block in self.latents[level]:
                if level >= self.finest:
                    mean_q, log_sd_q, mean_p, log_sd_p = block.gaussians(s, features[level], at_level)
                    kls.append(gaussian.kl(mean_q, log_sd_q, mean_p, log_sd_p).flatten(2).sum(2))
                    s = block.update(s, gaussian.draw_normal(mean_q, log_sd_q) if sample else mean_q)
                else:
                    s = block(s)
            states.append(s)
        kl = torch.stack([one.sum(1) for one in kls], dim=1)
        return Latents(states[-self.reach :], kl, torch.cat(kls, dim=1))

    def predict(self, states: list[Tensor], context: Float[Tensor, "batch context *space"]) -> PixelGaussian:
        """p(x | z, pa) from the latent stream's states and the parents: all that a counterfactual recomputes.

        `context` may hold several parents for each state, k in a block of images after the other: (k * batch, ...).
        """
        h: Tensor | None = None
        for level, s in zip(reversed(range(self.reach)), states, strict=True):
            at_level = self.inject[level](average_pool(context, self.sizes[level]))
            read = self.read[level](s)
            read = torch.cat([read] * (len(context) // len(s)))  # unlike `repeat`, keeps channels last
            h = read if h is None else read + double(self.rise[level](h))
            for block in self.image[level]:
                h = block(h + at_level)
        assert h is not None  # reach >= 1
        return self.head(h, context)

    def sample(self, context: Float[Tensor, "batch context *space"]) -> PixelGaussian:
        """p(x | z, pa) for z drawn from the prior."""
        s = self.top.expand(len(context), *self.top.shape[1:])
        states: list[Tensor] = []
        for level in reversed(range(len(self.latents))):
            if level < len(self.latents) - 1:
                s = double(self.widen[level](s))
            for block in self.latents[level]:
                if level >= self.finest:
                    mean, log_sd = block.prior(s).float().chunk(2, dim=1)
                    s = block.update(s, gaussian.draw_normal(mean, gaussian.bounded(log_sd, LOG_SD_LIMIT)))
                else:
                    s = block(s)
            states.append(s)
        return self.predict(states[-self.reach :], context)

    def prediction(self) -> list[nn.Module]:
        """The image stream and its head."""
        return [self.read, self.rise, self.inject, self.image, self.head]

    def encode(self, x: Tensor) -> list[Tensor]:
        """Bottom-up features, fine to coarse."""
        features = []
        for down, blocks in zip(self.down, self.encoder, strict=True):
            x = down(x)
            for block in blocks:
                x = block(x)
            features.append(x)
        return features


class Inject(nn.Module):
    """Parents into an image-stream level: a pixelwise two-layer perceptron of the context."""

    def __init__(self, *, spatial_dims: int, context: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv(spatial_dims, context, width, 1), nn.SiLU(), conv(spatial_dims, width, width, 1)
        )

    def forward(self, context: Tensor) -> Tensor:
        return self.layers(context)


class Head(Block):
    """From half resolution to the pixel likelihood; the last convolution in float32, since rounding would be visible.

    It works at full resolution, although convolutions with few channels are slow there. A head that predicts the four
    pixels of a patch at once can tell them apart, and fine-tuning then produces checkerboard patterns.
    """

    def __init__(self, *, spatial_dims: int, width: int, context: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.narrow = conv(spatial_dims, width, hidden, 1)
        self.inject = conv(spatial_dims, context, hidden, 1)
        self.mix = conv(spatial_dims, hidden, hidden)
        self.out = conv(spatial_dims, hidden, 2 * channels)

    def forward(self, h: Tensor, context: Tensor) -> PixelGaussian:
        h = double(self.narrow(h)) + self.inject(context)
        h = nn.functional.silu(self.mix(nn.functional.silu(h)))
        with torch.autocast(h.device.type, enabled=False):
            loc, raw = self.out(h.float()).chunk(2, dim=1)
        low, high = LOG_SCALE
        return PixelGaussian(loc, low + (high - low) * torch.sigmoid(raw))


def residuals(spatial_dims: int, width: int, depth: int) -> nn.ModuleList:
    """`depth` residual blocks."""
    return nn.ModuleList(Residual(spatial_dims=spatial_dims, width=width) for _ in range(depth))


def check_shape(
    *, size: Sequence[int], widths: Sequence[int], depths: Sequence[int], finest: int, reach: int
) -> None:
    """Raise ValueError where the ladder does not fit the image."""
    levels = len(widths)
    if levels != len(depths):
        raise ValueError(f"widths has {levels} levels and depths {len(depths)}: give one depth a width")
    if any(side % 2**levels for side in size):
        raise ValueError(f"size {list(size)} is not a multiple of {2**levels}: use fewer widths or another size")
    if not 0 <= finest < levels:
        raise ValueError(f"finest is {finest}: choose 0 (half resolution) to {levels - 1}")
    if not 1 <= reach <= levels:
        raise ValueError(f"reach is {reach}: choose 1 to {levels}")
