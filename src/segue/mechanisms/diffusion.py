"""The diffusion model's image mechanism: DDIM inversion abducts, DDIM sampling under other parents predicts.

With alpha_t the share of the image's variance that is left at time t (alpha_0 = 1: the image itself), one step of DDIM
(Song et al., arXiv 2010.02502, eq. 12 with sigma = 0) goes, upwards or downwards, from x_t to

    x_s = sqrt(alpha_s) x_0 + sqrt(1 - alpha_s) e,    x_0 = (x_t - sqrt(1 - alpha_t) e) / sqrt(alpha_t)

with the predicted noise e(x_t, t, pa). Upwards it abducts u from an image, downwards it predicts from u (Sanchez &
Tsaftaris, Diff-SCM, CLeaR 2022). Finite steps are not exact inverses, so u also holds what each step down lacks, as
direct inversion does (Ju et al., ICLR 2024). So the null intervention returns x, except for rounding, whatever the
network has learned (composition).

Guidance is decoupled (Xia et al., arXiv 2506.14399): variables that are asked to change have a weight w of their own,
those that stay have weight 1. With e(stay) the noise when only the parents that stay are given,

    e = e(stay) + w (e(pa*) - e(stay)).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from segue import processes
from segue.causal.facts import Facts
from segue.causal.parents import Conditioning, Parents
from segue.cohort.grid import Grid
from segue.mechanisms.base import Loss
from segue.nets.diffusion import DiffusionNet

__all__ = ["Diffusion", "DiffusionSettings", "Inversion", "build_diffusion", "restore_diffusion"]

ANSWERING = ("steps", "depth", "guidance", "last")
"""The settings that answers depend on and pre-training does not."""
TIMES = 1000
"""Time steps of the diffusion; at the last, all but 0.08% of the variance is noise."""
DROPPED = 0.1
"""In training, the share of images without any parent, and the share of single parents that are left out besides."""

States = list[Float[Tensor, "batch channel *space"]]


@dataclass(frozen=True, kw_only=True)
class DiffusionSettings:
    """The network (see `segue.nets.diffusion.DiffusionNet`), and how it answers.

    Attributes:
        widths, blocks, patch: of the network.
        steps: of DDIM, from the image to `depth` and back.
        depth: share of the diffusion's time up to which an image is inverted. Where it is less than 1, the coarse
            structure of the image stays.
        guidance: weight w of the variables that are asked to change.
        last: steps before the image through which the gradient of fine-tuning flows.

    >>> DiffusionSettings(depth=0.4).steps
    25
    """

    widths: tuple[int, ...] = (32, 64, 96)
    blocks: int = 1
    patch: int = 2
    steps: int = 25
    depth: float = 0.6
    guidance: float = 1.0
    last: int = 2


class Inversion:
    """u of a batch of images: the noise at the depth, and what each step down lacks. Inverted when it is first needed.

    `invert` gives both, what is lacking from the deepest step to the last.

    >>> u = Inversion(lambda: (torch.rand(2, 1, 4, 4), [torch.rand(2, 1, 4, 4)]))
    >>> u.rows(torch.tensor([1])).found[0].shape
    torch.Size([1, 1, 4, 4])
    """

    def __init__(self, invert: Callable[[], tuple[Tensor, States]]) -> None:
        self.invert = invert

    @cached_property
    def found(self) -> tuple[Tensor, States]:
        """The noise, and what is lacking."""
        return self.invert()

    def rows(self, index: Int[Tensor, " row"]) -> "Inversion":
        """u of some images, repeats allowed."""
        return Inversion(lambda: (self.found[0][index], [part[index] for part in self.found[1]]))


class Diffusion(nn.Module):
    """A diffusion model together with the parents that it is conditioned on, and how they enter.

    Times run from 0 (the image) to `TIMES`. The network sees two maps for each channel of `Parents.context`: the
    parents' values, and 1 where a value is given. Both are 0 where a parent is left out.

    Args:
        model: the network; how it is sampled (steps, depth, guidance, last) is read from it.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> settings = DiffusionSettings(widths=(8, 8))
    >>> diffusion = build_diffusion(settings, model.parents, model.grid, "map")
    >>> diffusion.times(0.5)[:3]
    [0, 20, 40]
    """

    alphas: Tensor

    def __init__(self, *, model: DiffusionNet, parents: Parents, conditioning: Conditioning) -> None:
        super().__init__()
        self.model, self.parents, self.conditioning = model, parents, conditioning
        from monai.networks.schedulers import DDIMScheduler  # here, as `segue.nets` comes first

        kept = DDIMScheduler(TIMES, schedule="scaled_linear_beta").alphas_cumprod
        self.register_buffer("alphas", torch.cat([torch.ones(1), kept]), persistent=False)

    def extra_repr(self) -> str:
        """The settings that answers depend on, in the module's text."""
        net = self.model
        return f"conditioning={self.conditioning}, steps={net.steps}, depth={net.depth}, guidance={net.guidance}"

    def maps(
        self, facts: Facts, pa: Float[Tensor, "batch variable"], given: Bool[Tensor, "batch variable"] | None = None
    ) -> Float[Tensor, "batch map *space"]:
        """What the network is conditioned on: the parents in the facts' regions; all of them, or those `given`."""
        return self.painted(pa, facts.weights, torch.ones_like(pa, dtype=torch.bool) if given is None else given)

    def painted(self, pa: Tensor, weights: Tensor, given: Tensor) -> Float[Tensor, "batch map *space"]:
        """The standardised parents that are given, and where they are given."""
        mean, sd = self.parents.mean, self.parents.sd
        known = (torch.where(given, pa, mean), mean + sd * given)  # the second: 1 where given, once standardised
        return torch.cat([self.parents.context(one, weights, self.conditioning) for one in known], dim=1)

    def noise(self, x_t: Tensor, t: int | Int[Tensor, " batch"], maps: Tensor | None) -> Tensor:
        """The noise that the network predicts in x_t, e = sqrt(alpha_t) v + sqrt(1 - alpha_t) x_t."""
        times = torch.full((len(x_t),), t, device=x_t.device) if isinstance(t, int) else t
        v = self.model(x_t, times.clamp_min(1), maps)  # at 0 there is no noise to learn from
        signal, noise = self.levels(t, x_t)
        return signal * v + noise * x_t

    def clean(self, x_t: Tensor, noise: Tensor, t: int | Int[Tensor, " batch"]) -> Tensor:
        """The x_0 that is left when the predicted noise is taken out."""
        signal, level = self.levels(t, x_t)
        return (x_t - level * noise) / signal

    def noised(self, image: Tensor, noise: Tensor, t: int | Int[Tensor, " batch"]) -> Tensor:
        """x_t of an image and its noise."""
        signal, level = self.levels(t, image)
        return signal * image + level * noise

    def step(self, x_t: Tensor, noise: Tensor, t: int, t_before: int) -> Tensor:
        """One deterministic step of DDIM to another time, downwards or upwards."""
        return self.noised(self.clean(x_t, noise, t), noise, t_before)

    def levels(self, t: int | Int[Tensor, " batch"], like: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(alpha_t) and sqrt(1 - alpha_t), to multiply `like` by."""
        alpha = self.alphas[t]
        alpha = alpha if alpha.ndim == 0 else alpha.reshape(-1, *[1] * (like.ndim - 1))
        return alpha.sqrt(), (1 - alpha).sqrt()

    def times(self, depth: float, steps: int = 0) -> list[int]:
        """The times of DDIM from 0 up to a share of all, one more than there are steps (0: those of the network)."""
        steps = steps or self.model.steps
        return [round(depth * TIMES * i / steps) for i in range(steps + 1)]

    def invert(self, image: Tensor, maps: Tensor | None, times: Sequence[int]) -> tuple[States, States]:
        """DDIM inversion: x_t at each of the times from 0 on, and what each step down lacks that leads back to it."""
        states, lost, noise = [image], [], self.noise(image, times[0], maps)
        for t, after in pairwise(times):
            x_t = self.step(states[-1], noise, t, after)
            noise = self.noise(x_t, after, maps)
            lost.append(states[-1] - self.step(x_t, noise, after, t))
            states.append(x_t)
        return states, lost

    def abduct(self, facts: Facts, *, sample: bool = False) -> Inversion:
        """u by DDIM inversion, given the factual parents. It follows from the image: a sample is the same."""

        @torch.no_grad()
        def invert() -> tuple[Tensor, States]:
            states, lost = self.invert(facts.image, self.maps(facts, facts.pa), self.times(self.model.depth))
            return states[-1], lost[::-1]

        return Inversion(invert)

    def predict(
        self, facts: Facts, posterior: Inversion, requests: Sequence[Tensor]
    ) -> list[Float[Tensor, "batch channel *space"]]:
        """x* under each of several parents, by guided DDIM from u. Only the `last` steps have a gradient."""
        return [self.descend(facts, posterior, requested) for requested in requests]

    def descend(self, facts: Facts, posterior: Inversion, requested: Tensor) -> Tensor:
        """x* under one pa*, down from the abducted noise."""
        x_t, lost = posterior.found
        guided = self.guided(facts, requested)
        down = list(pairwise(reversed(self.times(self.model.depth))))
        for left, (t, before), missing in zip(range(len(down), 0, -1), down, lost, strict=True):
            with torch.set_grad_enabled(torch.is_grad_enabled() and left <= self.model.last):
                x_t = self.step(x_t, guided(x_t, t), t, before) + missing
        return x_t

    def guided(self, facts: Facts, requested: Tensor) -> Callable[[Tensor, int], Tensor]:
        """The noise at (x_t, t) under pa*, the variables that are asked to change weighted by `guidance`."""
        maps, weight = self.maps(facts, requested), self.model.guidance
        if weight == 1:
            return lambda x_t, t: self.noise(x_t, t, maps)
        both = torch.cat([maps, self.maps(facts, requested, requested == facts.pa)])

        def weighted(x_t: Tensor, t: int) -> Tensor:
            asked, stay = self.noise(torch.cat([x_t, x_t]), t, both).chunk(2)
            return stay + weight * (asked - stay)

        return weighted

    def denoising(self, image: Tensor, maps: Tensor) -> Float[Tensor, " batch"]:
        """The squared error of v at a time that is drawn for each image."""
        t = 1 + (TIMES * processes.rand(len(image), device=image.device)).long()
        noise = processes.randn(*image.shape, device=image.device)
        signal, level = self.levels(t, image)
        error = self.model(self.noised(image, noise, t), t, maps) - (signal * noise - level * image)
        return error.square().flatten(1).mean(1)

    def loss(self, facts: Facts, progress: float) -> Loss:
        """The squared error of v, parents left out at random (`DROPPED`)."""
        pa = facts.pa
        draws = processes.rand(len(pa), pa.shape[1] + 1, device=pa.device)
        given = (draws[:, 1:] >= DROPPED) & (draws[:, :1] >= DROPPED)
        loss = self.denoising(facts.image, self.maps(facts, pa, given)).mean()
        return loss, {"denoising": loss}

    def fidelity(self, facts: Facts, posterior: Any) -> Float[Tensor, " batch"]:
        """-log(error of v) / 2, given all parents: nats per pixel of a Gaussian of the best variance."""
        return -self.denoising(facts.image, self.maps(facts, facts.pa)).log() / 2

    def tuned(self) -> Sequence[nn.Module]:
        """The network: the one that predicts also abducts."""
        return [self.model]

    def networks(self) -> dict[str, nn.Module]:
        """The network, in the training's own folder."""
        return {"": self.model}

    def sample(self, pa: Tensor, weights: Tensor) -> Float[Tensor, "batch channel *space"]:
        """Images with these parents, by DDIM from noise that is drawn."""
        maps = self.painted(pa, weights, torch.ones_like(pa, dtype=torch.bool))
        x_t = torch.randn(len(pa), self.model.channels, *weights.shape[2:], device=pa.device)
        for t, before in pairwise(reversed(self.times(1.0))):
            x_t = self.step(x_t, self.noise(x_t, t, maps), t, before)
        return x_t


def build_diffusion(
    settings: DiffusionSettings, parents: Parents, grid: Grid, conditioning: Conditioning
) -> Diffusion:
    """An untrained mechanism for images of a grid.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> build_diffusion(DiffusionSettings(widths=(8, 8)), model.parents, model.grid, "map").model.patch
    2
    """
    net = DiffusionNet(
        spatial_dims=len(grid.size),
        maps=2 * parents.context_channels(conditioning),
        channels=grid.channels,
        widths=settings.widths,
        blocks=settings.blocks,
        patch=settings.patch,
        **{key: getattr(settings, key) for key in ANSWERING},
    )
    return Diffusion(model=net, parents=parents, conditioning=conditioning)


def restore_diffusion(arguments: Mapping[str, Any], parents: Parents, conditioning: Conditioning) -> Diffusion:
    """A mechanism around a network with these arguments, for trained weights to be loaded into `model`.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> restore_diffusion({"spatial_dims": 2, "maps": 6, "widths": (8, 8)}, model.parents, "map").model.steps
    25
    """
    return Diffusion(model=DiffusionNet(**arguments), parents=parents, conditioning=conditioning)
