"""The image mechanism x = loc(z, pa) + scale(z, pa) * u, u ~ N(0, 1): abduction and prediction.

An `ImageModel` supplies q(z | x, pa) and p(x | z, pa); the mechanism gives it its parents, as an image. Because u is
abducted as (x - loc) / scale, the null intervention returns x whatever the model has learned (composition).
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

import torch
from jaxtyping import Float
from monai.networks.layers.convutils import gaussian_1d
from monai.networks.layers.simplelayers import separable_filtering
from torch import Tensor, nn

from segue.causal.facts import Facts
from segue.causal.parents import Conditioning, Parents, SoftMasks
from segue.mechanisms.correction import concerned, corrected, look
from segue.nets import gaussian


class Abduction(NamedTuple):
    """What is inferred from (x, pa): z as the model's `states`, and KL(q || p) in nats.

    `kl` has shape (batch, blocks), one column a stochastic block, coarse to fine; `kl_channels` the same by latent
    channel.
    """

    states: list[Tensor]
    kl: Float[Tensor, "batch blocks"]
    kl_channels: Float[Tensor, "batch channels"]


class Likelihood(NamedTuple):
    """p(x | z, pa) = N(loc, exp(log_scale)^2) per pixel."""

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


class ImageModel(Protocol):
    """p(x | z, pa) and q(z | x, pa), conditioned on an image of parents."""

    def abduct(self, x: Tensor, context: Tensor, *, sample: bool) -> Abduction: ...

    def predict(self, states: list[Tensor], context: Tensor) -> Likelihood: ...

    def sample(self, context: Tensor) -> Likelihood: ...

    def prediction(self) -> Sequence[nn.Module]:
        """What a counterfactual recomputes; all else infers z."""
        ...


class ImageMechanism(nn.Module):
    """An image model together with the parents that it is conditioned on, and how they enter.

    In training the model works in the precision of its surroundings (Accelerate's). It answers in float32: what rounds
    two decodings apart is a change of its own, everywhere (docs/speed.md). Parents are measured, and images rendered,
    in float32 always. `shrinkage` is the size of change, in the network's intensity, below which a change is taken for
    none: see `shrunk`; `blur` is how sharp a change may be, in pixels: see `blurred`. `corrections` says how often an
    answer is corrected, and `panel` the segmentors that look at it: see `segue.mechanisms.correction`.
    """

    model: ImageModel

    def __init__(
        self,
        *,
        model: nn.Module,
        parents: Parents,
        conditioning: Conditioning,
        shrinkage: float = 0.0,
        blur: float = 0.0,
        corrections: int = 0,
        panel: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.model, self.parents, self.conditioning = cast(ImageModel, model), parents, conditioning
        self.shrinkage, self.blur, self.corrections = shrinkage, blur, corrections
        self.panel = nn.ModuleList(member.eval().requires_grad_(False) for member in panel)

    def context(self, pa: Tensor, weights: Tensor) -> Float[Tensor, "batch context *space"]:
        """The image of parents `pa` (batch, variable) on the regions `weights` (batch, measured, *space)."""
        return self.parents.context(pa, weights, self.conditioning)

    def infer(self, x: Tensor, pa: Tensor, weights: Tensor, *, sample: bool) -> Abduction:
        """z ~ q(z | x, pa), or its mean."""
        context = self.context(pa, weights)
        return self.model.abduct(x, context, sample=sample)

    def predict(self, abduction: Abduction, parents: Sequence[Tensor], weights: Tensor) -> list[Likelihood]:
        """p(x | z, pa) for each of several parents (batch, variable) of the same images, decoded as one batch."""
        contexts = torch.cat([self.context(pa, weights) for pa in parents])
        loc, log_scale = self.model.predict(abduction.states, contexts)
        pairs = zip(loc.chunk(len(parents)), log_scale.chunk(len(parents)), strict=True)
        return [Likelihood(*pair) for pair in pairs]

    def sample(self, pa: Tensor, weights: Tensor) -> Likelihood:
        """p(x | z, pa) for z drawn from the prior."""
        context = self.context(pa, weights)
        return self.model.sample(context)

    def counterfactual(self, x: Tensor, factual: Likelihood, changed: Likelihood) -> Tensor:
        """x* = loc* + scale* u with the abducted u of x, its change shrunk and blurred."""
        image = changed.render(factual.noise(x))
        if not (self.shrinkage or self.blur):
            return image
        change = image - x
        if self.shrinkage:
            change = shrunk(change, self.shrinkage)
        if self.blur:
            change = blurred(change, self.blur)
        return x + change

    def answer(
        self, facts: Facts, abduction: Abduction, factual: Likelihood, requests: Sequence[Tensor]
    ) -> list[Float[Tensor, "batch channel *space"]]:
        """x* under each of several parents pa* (batch, variable), all from one abduction."""
        images = self.decode(facts, abduction, factual, requests)
        if not self.corrections:
            return images
        areas = look(self.parents, cast(list[SoftMasks], list(self.panel)), facts)
        aims, concern = requests, [concerned(facts, request) for request in requests]
        for _ in range(self.corrections):
            each = zip(requests, concern, aims, map(areas, images), strict=True)
            aims = [corrected(self.parents, *one) for one in each]
            images = self.decode(facts, abduction, factual, aims)
        return images

    def decode(
        self, facts: Facts, abduction: Abduction, factual: Likelihood, parents: Sequence[Tensor]
    ) -> list[Tensor]:
        """x* as `parents` make it at once."""
        changed = self.predict(abduction, parents, facts.weights)
        return [self.counterfactual(facts.image, factual, likelihood) for likelihood in changed]

    def abduct(self, x: Tensor, pa: Tensor, weights: Tensor, *, sample: bool) -> tuple[Abduction, Likelihood]:
        """z ~ q(z | x, pa), or its mean, and p(x | z, pa), whose `noise(x)` is the abducted u."""
        abduction = self.infer(x, pa, weights, sample=sample)
        (likelihood,) = self.predict(abduction, [pa], weights)
        return abduction, likelihood


def shrunk(change: Float[Tensor, "*shape"], size: float) -> Float[Tensor, "*shape"]:
    """change^3 / (change^2 + size^2): what is large stays (less size^2 / change), what is small goes.

    A smooth form of the non-negative garrote (Breiman, Technometrics 1995;37:373) on the effect of an intervention. A
    network that paints a region's pixels cannot help changing all of them a little; anatomy changes few, and those
    much. Nothing done is still nothing changed.
    """
    return change**3 / (change**2 + size**2)


def blurred(change: Float[Tensor, "batch channel *space"], sd: float) -> Float[Tensor, "batch channel *space"]:
    """A Gaussian's blur of `sd` pixels, the border repeated, in float32.

    Two scans that differ in their anatomy differ by no more detail than the scanner's point spread function lets
    through, though each has noise as fine as its pixels. A change that is sharper is none of anatomy.
    """
    with torch.autocast(change.device.type, enabled=False):
        kernel = gaussian_1d(torch.tensor(sd), normalize=True)
        return separable_filtering(change.float(), [kernel] * (change.ndim - 2), mode="replicate")


def elbo(
    x: Float[Tensor, "batch channel *space"], abduction: Abduction, likelihood: Likelihood
) -> Float[Tensor, " batch"]:
    """log p(x | z, pa) - sum_l KL(q_l || p_l), in nats per pixel and channel, one value an image."""
    return (likelihood.log_prob(x) - abduction.kl.sum(1)) / x[0].numel()
