"""A reference hierarchical VAE of the usual kind, written for the benchmarks from its published description.

Blocks after Child (2021, "Very Deep VAEs", arXiv 2011.10650): gelu - 1x1 - gelu - 3x3 - gelu - 3x3 - gelu - 1x1 with
a bottleneck of a quarter of the width, average pooling down, nearest-neighbour up, a learned bias at each resolution,
last convolutions scaled by 1 / sqrt(depth). Conditioning after Ribeiro et al. (ICML 2023, arXiv 2306.15764), with the
exogenous prior: every parent broadcast to the block's resolution and concatenated to the posterior's input and to the
latent; the prior sees latents alone. A counterfactual decodes the whole ladder anew.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from segue.causal.facts import Facts
from segue.mechanisms.hvae import HVAEMechanism, HVAEPosterior
from segue.nets import gaussian
from segue.nets.hvae import LOG_SCALE, LOG_SD_LIMIT, Latents, PixelGaussian
from segue.nets.layers import average_pool, double

BOTTLENECK = 4


class Block(nn.Module):
    """gelu - 1x1 - gelu - 3x3 - gelu - 3x3 - gelu - 1x1; 3x3 is 1x1 where the image has two pixels or fewer a side."""

    def __init__(self, inputs: int, width: int, outputs: int, *, side: int, residual: bool = False) -> None:
        super().__init__()
        middle, kernel = width // BOTTLENECK, 3 if side > 2 else 1
        self.residual = residual
        self.layers = nn.Sequential(
            nn.GELU(), nn.Conv2d(inputs, middle, 1),
            nn.GELU(), nn.Conv2d(middle, middle, kernel, padding=kernel // 2),
            nn.GELU(), nn.Conv2d(middle, middle, kernel, padding=kernel // 2),
            nn.GELU(), nn.Conv2d(middle, outputs, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class Decoding(nn.Module):
    """A block of the decoder: prior from the latents above, posterior from (h, encoder, parents), h updated by z.

    Args:
        latent: channels of z. stochastic: else z is the prior's mean. last: no block follows that would see z.
    """

    def __init__(
        self, width: int, *, latent: int, context: int, side: int, stochastic: bool, last: bool
    ) -> None:
        super().__init__()
        self.width, self.latent, self.stochastic, self.last = width, latent, stochastic, last
        self.prior = Block(width, width, 2 * latent + width, side=side)
        if stochastic:
            self.posterior = Block(2 * width + context, width, 2 * latent, side=side)
        self.project = nn.Conv2d(latent + context, width, 1)
        if not last:
            self.descend = nn.Conv2d(latent + width, width, 1)
        self.residual = Block(width, width, width, side=side, residual=True)

    def forward_prior(self, above: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(mean, log sd, features) of p(z | latents above)."""
        mean, log_sd, features = self.prior(above).split([self.latent, self.latent, self.width], dim=1)
        return mean.float(), gaussian.bounded(log_sd.float(), LOG_SD_LIMIT), features

    def forward_posterior(self, h: Tensor, encoded: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, log sd) of q(z | latents above, x, pa)."""
        mean, log_sd = self.posterior(torch.cat([h, encoded, context.to(h.dtype)], dim=1)).float().chunk(2, dim=1)
        return mean, gaussian.bounded(log_sd, LOG_SD_LIMIT)

    def update(self, h: Tensor, z: Tensor, features: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """(h after z, what the next block's prior sees)."""
        h = self.residual(h + features + self.project(torch.cat([z, context], dim=1)))
        seen = torch.cat([z.to(features.dtype), features], dim=1)
        return h, seen if self.last else self.descend(seen)


class ReferenceHVAE(nn.Module):
    """The ladder; the interface is `segue.mechanisms.hvae.HierarchicalModel`.

    Args:
        size: image size. context: channels of the parents' image.
        strides: by level, fine to coarse, the image's resolution over the level's; each twice the one before.
        widths, depths: by level. latent: channels of each latent.
        finest: the finest stochastic level.
    """

    def __init__(
        self,
        *,
        size: Sequence[int],
        context: int,
        strides: Sequence[int],
        widths: Sequence[int],
        depths: Sequence[int],
        latent: int,
        finest: int,
    ) -> None:
        super().__init__()
        self.stride = strides[0]
        self.sizes = [tuple(side // stride for side in size) for stride in strides]
        sides = [min(at) for at in self.sizes]
        self.stem = nn.Conv2d(1, widths[0], 3, stride=self.stride, padding=1)
        self.encoder = nn.ModuleList(
            nn.Sequential(*(Block(width, width, width, side=side, residual=True) for _ in range(depth)))
            for width, depth, side in zip(widths, depths, sides, strict=True)
        )
        levels = range(len(widths))
        self.narrow = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 1) for i in levels[:-1])
        self.widen = nn.ModuleList(nn.Conv2d(widths[i + 1], widths[i], 1) for i in levels[:-1])
        self.widen_above = nn.ModuleList(nn.Conv2d(widths[i + 1], widths[i], 1) for i in levels[:-1])
        self.bias = nn.ParameterList(
            0.1 * torch.randn(1, width, *at) for width, at in zip(widths, self.sizes, strict=True)
        )
        self.decoder = nn.ModuleList(
            nn.ModuleList(
                Decoding(
                    widths[i],
                    latent=latent,
                    context=context,
                    side=sides[i],
                    stochastic=i >= finest,
                    last=(i, j) == (0, depths[0] - 1),
                )
                for j in range(depths[i])
            )
            for i in levels
        )
        # 1x1 to the likelihood at full resolution; from a coarser level, to all its pixels at once.
        self.out = nn.Conv2d(widths[0], 2 * self.stride**2, 1)
        self.scale_last(sum(depths))

    def scale_last(self, depth: int) -> None:
        """Child's initialisation: what ends a residual branch starts at 1 / sqrt(depth)."""
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, Decoding):
                    module.project.weight.div_(math.sqrt(depth))
                if isinstance(module, Block) and module.residual:
                    module.layers[-1].weight.div_(math.sqrt(depth))  # type: ignore[operator]

    def abduct(
        self, x: Float[Tensor, "batch 1 h w"], context: Float[Tensor, "batch context h w"], *, sample: bool
    ) -> Latents:
        """z ~ q(z | x, pa), or its mean; the states are the latents, coarse to fine."""
        return self.infer(x, context, sample=sample)[0]

    def infer(
        self, x: Float[Tensor, "batch 1 h w"], context: Float[Tensor, "batch context h w"], *, sample: bool
    ) -> tuple[Latents, PixelGaussian]:
        """Latents, and p(x | z, pa) from the same pass through the decoder."""
        return self.decode(context, encoded=self.encode(x), sample=sample)

    def predict(self, states: list[Tensor], context: Float[Tensor, "batch context h w"]) -> PixelGaussian:
        """p(x | z, pa): the whole decoder, z being given; `context` may be (k * batch, ...), as in segue's own."""
        copies = [torch.cat([z] * (len(context) // len(z))) for z in states]
        return self.decode(context, given=copies, sample=False)[1]

    def sample(self, context: Float[Tensor, "batch context h w"]) -> PixelGaussian:
        """p(x | z, pa) for z drawn from the prior."""
        return self.decode(context, sample=True)[1]

    def prediction(self) -> list[nn.Module]:
        """All of it: parents enter every block, and the decoder infers z as it goes down."""
        return [self]

    def encode(self, x: Tensor) -> list[Tensor]:
        """Features by level, fine to coarse."""
        x = self.stem(x)
        features = []
        for level, blocks in enumerate(self.encoder):
            x = blocks(x if level == 0 else self.narrow[level - 1](F.avg_pool2d(x, 2)))
            features.append(x)
        return features

    def decode(
        self,
        context: Tensor,
        *,
        sample: bool,
        encoded: list[Tensor] | None = None,
        given: list[Tensor] | None = None,
    ) -> tuple[Latents, PixelGaussian]:
        """Top down: z from the posterior where there is something `encoded`, as `given`, or from the prior."""
        batch, last = len(context), len(self.decoder) - 1
        h = self.bias[last].expand(batch, -1, -1, -1)
        above = h
        latents: list[Tensor] = []
        kls: list[Tensor] = []
        for level in reversed(range(last + 1)):
            if level < last:
                h = self.bias[level] + double(self.widen[level](h))
                above = self.bias[level] + double(self.widen_above[level](above))
            parents = average_pool(context, self.sizes[level])
            for block in self.decoder[level]:  # type: ignore[attr-defined]
                mean_p, log_sd_p, features = block.forward_prior(above)
                z, mean, log_sd = mean_p, mean_p, log_sd_p
                if block.stochastic:
                    if encoded is not None:
                        mean, log_sd = block.forward_posterior(h, encoded[level], parents)
                        kls.append(gaussian.kl(mean, log_sd, mean_p, log_sd_p).flatten(2).sum(2))
                    z = gaussian.draw_normal(mean, log_sd) if sample else mean
                    z = given[len(latents)] if given is not None else z
                    latents.append(z)
                h, above = block.update(h, z, features, parents)
        kl = torch.stack(kls, dim=1) if kls else context.new_zeros(batch, 0, 0)
        return Latents(latents, kl.sum(2), kl.flatten(1)), self.likelihood(h)

    def likelihood(self, h: Tensor) -> PixelGaussian:
        """Location and bounded log-scale by pixel, in float32."""
        with torch.autocast(h.device.type, enabled=False):
            full = self.out(h.float())
            loc, raw = F.pixel_shuffle(full, self.stride).chunk(2, dim=1)
        low, high = LOG_SCALE
        return PixelGaussian(loc, low + (high - low) * torch.sigmoid(raw))


class OnePass(HVAEMechanism):
    """A mechanism whose model infers z and decodes it in one pass, so that the factual parents need no second one."""

    def abduct(self, facts: Facts, *, sample: bool = False) -> HVAEPosterior:
        """As the base class has it."""
        assert isinstance(self.model, ReferenceHVAE)
        return HVAEPosterior(*self.model.infer(facts.image, self.context(facts.pa, facts.weights), sample=sample))
