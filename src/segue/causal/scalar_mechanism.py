"""Mechanisms of scalar variables: v = f(u; pa) with noise u, one invertible or censored map for each variable.

Three kinds, each with `log_prob`, `abduct` and `predict`, as abduction - action - prediction needs them (Pearl,
Causality, 2009, 7.1):

`Continuous`    v = f(u; pa), u ~ N(0, 1), f increasing in u: a conditional normalising flow, as in deep structural
                causal models (Pawlowski et al., NeurIPS 2020, arXiv 2006.06485). Among increasing mechanisms the
                law of v given pa identifies counterfactuals (Nasr-Esfahany et al., ICML 2023, arXiv 2302.02228).
`Censored`      v = f(u; pa) where that exceeds a limit, else absent: a flow behind a censored latent, the Tobit model
                (Tobin, Econometrica 1958) without its normality. One noise variable decides both presence and amount.
                So a counterfactual can go from absent to present, and it is monotone in monotone causes.
`Categorical`   v = argmax_k log p_k(pa) + g_k with g_k ~ Gumbel(0, 1): the Gumbel-max mechanism, counterfactually
                stable (Oberst & Sontag, ICML 2019, arXiv 1905.05824). With two categories it is a threshold on a
                logistic latent, so binary variables are monotone.

An observed censored or categorical value does not determine its noise: it leaves a posterior over a set. `abduct`
returns the noise at the quantile `level` of this posterior: 1/2 gives the median, which is deterministic, and a uniform
draw samples the posterior. Since f increases in u, the median noise of a censored variable predicts the median of its
counterfactual.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import zuko
from jaxtyping import Float
from torch import Tensor, nn

ScalarKind = Literal["continuous", "censored", "categorical"]
EPSILON = 1e-6  # the smallest probability, and the smallest sd

Scalar = Float[Tensor, " batch"]
Context = Float[Tensor, "batch parent"]


class Standardised(nn.Module):
    """(x - mean) / sd by column, with the mean and sd of the values given to `fit`."""

    mean: Tensor
    sd: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("sd", torch.ones(columns))

    def fit(self, values: Float[Tensor, "sample column"]) -> None:
        if values.shape[1]:
            self.mean.copy_(values.mean(0))
            self.sd.copy_(values.std(0).clamp_min(EPSILON))

    def forward(self, values: Float[Tensor, "batch column"]) -> Float[Tensor, "batch column"]:
        return (values - self.mean) / self.sd


class Flow(nn.Module):
    """An increasing map between noise and value, given a context: location and scale, then a rational-quadratic spline.

    Each part depends on the context through a network (Durkan et al., NeurIPS 2019, arXiv 1906.04032; zuko). With
    `bins=0` only location and scale remain. Without hidden layers they are linear: a Gaussian regression.

    Args:
        context: columns of the context. hidden: layers of the networks. bins: of the spline.
    """

    def __init__(self, context: int, hidden: Sequence[int], bins: int) -> None:
        super().__init__()
        settings: dict[str, Any] = {"hidden_features": list(hidden), "activation": nn.ELU}
        self.spline = None if bins == 0 else zuko.flows.NSF(1, context, bins=bins, transforms=1, **settings).transform
        self.affine = zuko.flows.MAF(1, context, transforms=1, **settings).transform

    def noise(self, value: Scalar, context: Context) -> tuple[Scalar, Scalar]:
        """u = f^-1(v; pa), and log |du / dv|."""
        given = context if context.shape[1] else None
        u, slope = self.affine(given).call_and_ladj(value[:, None])
        if self.spline is not None:
            u, more = self.spline(given).call_and_ladj(u)
            slope = slope + more
        return u[:, 0], slope

    def value(self, noise: Scalar, context: Context) -> Scalar:
        """v = f(u; pa)."""
        given = context if context.shape[1] else None
        u = noise[:, None]
        if self.spline is not None:
            u = self.spline(given).inv(u)
        return self.affine(given).inv(u)[:, 0]


class Continuous(nn.Module):
    """v = f(u; pa), u ~ N(0, 1).

    Args:
        context: columns of the parents' encoding. hidden: layers of the networks. bins: of the spline; 0 for none.

    >>> mechanism = Continuous(2, hidden=(8,), bins=4)
    >>> value, context = torch.tensor([0.5, 2.0]), torch.zeros(2, 2)
    >>> noise = mechanism.abduct(value, context, 0.5)
    >>> torch.allclose(mechanism.predict(noise, context), value, atol=1e-4)
    True
    """

    noises, columns = 1, 1

    def __init__(self, context: int, *, hidden: Sequence[int], bins: int) -> None:
        super().__init__()
        self.scale = Standardised(1)
        self.flow = Flow(context, hidden, bins)

    def adapt(self, values: Scalar) -> None:
        """Set the scale from the training values."""
        self.scale.fit(values[:, None])

    def encode(self, values: Scalar) -> Float[Tensor, "batch 1"]:
        """The value as input of its children's mechanisms: standardised."""
        return self.scale(values[:, None])

    def decode(self, standard: Scalar) -> Scalar:
        return standard * self.scale.sd + self.scale.mean

    def log_prob(self, values: Scalar, context: Context) -> Scalar:
        """log p(v | pa), in nats by the variable's unit."""
        u, slope = self.flow.noise(self.encode(values)[:, 0], context)
        return normal_log_prob(u) + slope - self.scale.sd.log()

    def abduct(self, values: Scalar, context: Context, level: float | Tensor) -> Float[Tensor, "batch 1"]:
        """u = f^-1(v; pa), which v determines at any level."""
        return self.flow.noise(self.encode(values)[:, 0], context)[0][:, None]

    def predict(self, noise: Float[Tensor, "batch 1"], context: Context) -> Scalar:
        return self.decode(self.flow.value(noise[:, 0], context))

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "batch 1"]:
        """Noise from its prior."""
        return torch.randn(count, 1, generator=generator)


class Censored(Continuous):
    """v = f(u; pa) where that exceeds `limit`, else absent, u ~ N(0, 1).

    The likelihood of an absent value is P(f(u; pa) <= limit) = Phi(f^-1(limit; pa)), and its noise lies in
    (-inf, f^-1(limit; pa)]. A segmentor measures a small area, not 0, where a structure is absent. So a value up to the
    limit counts as absent. Its difference from the mean absent value is the second column of the noise, and is added
    again where the structure is absent in the counterfactual.

    >>> mechanism = Censored(1, hidden=(8,), bins=4, limit=0.0).requires_grad_(False)
    >>> absent, context = torch.tensor([-0.1]), torch.zeros(1, 1)
    >>> noise = mechanism.abduct(absent, context, 0.5)
    >>> mechanism.predict(noise, context)
    tensor([-0.1000])
    """

    noises = 2
    absent: Tensor

    def __init__(self, context: int, *, hidden: Sequence[int], bins: int, limit: float) -> None:
        super().__init__(context, hidden=hidden, bins=bins)
        self.limit = limit
        self.register_buffer("absent", torch.tensor(limit))

    def adapt(self, values: Scalar) -> None:
        super().adapt(values)
        if bool((none := values <= self.limit).any()):
            self.absent.copy_(values[none].mean())

    def bound(self, context: Context) -> Scalar:
        """f^-1(limit; pa), the noise up to which the value is absent."""
        limit = self.encode(context.new_full((len(context),), self.limit))[:, 0]
        return self.flow.noise(limit, context)[0]

    def log_prob(self, values: Scalar, context: Context) -> Scalar:
        """log p(v | pa) of present values, and the log-probability of absence of absent ones."""
        limit = torch.full_like(values, self.limit)
        both = self.encode(torch.cat([values.clamp_min(self.limit), limit]))[:, 0]  # one pass through the networks
        noise, slopes = self.flow.noise(both, torch.cat([context, context]))
        (u, bound), slope = noise.chunk(2), slopes.chunk(2)[0]
        density = normal_log_prob(u) + slope - self.scale.sd.log()
        return torch.where(values > self.limit, density, torch.special.log_ndtr(bound))

    def abduct(self, values: Scalar, context: Context, level: float | Tensor) -> Float[Tensor, "batch 2"]:
        """u, of absent values the quantile `level` of its truncated posterior; and their difference from `absent`."""
        present = values > self.limit
        exact = super().abduct(values.clamp_min(self.limit), context, level)[:, 0]
        bound = self.bound(context)
        chosen = level if isinstance(level, float) else level[:, 0]
        hidden = torch.special.ndtri((torch.special.ndtr(bound.double()) * chosen).clamp_min(1e-300))
        u = torch.where(present, exact, torch.minimum(hidden.to(bound), bound))
        return torch.stack([u, torch.where(present, 0.0, values - self.absent)], dim=1)

    def predict(self, noise: Float[Tensor, "batch 2"], context: Context) -> Scalar:
        some = super().predict(noise[:, :1], context).clamp_min(self.limit)
        return torch.where(noise[:, 0] > self.bound(context), some, self.absent + noise[:, 1])

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "batch 2"]:
        return torch.cat([super().draw(count, generator), torch.zeros(count, 1)], dim=1)


class Constant(nn.Module):
    """Parameters that do not depend on the context: the logits of a root."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(columns))

    def forward(self, context: Context) -> Float[Tensor, "batch column"]:
        return self.values.expand(len(context), -1)


class Categorical(nn.Module):
    """v = levels[argmax_k log p_k(pa) + g_k], g_k ~ Gumbel(0, 1).

    Args:
        bins: without effect: this mechanism has no spline. It lets all mechanisms be made alike.

    >>> mechanism = Categorical(0, hidden=(), levels=[1.0, 2.0])
    >>> noise = mechanism.abduct(torch.tensor([1.0, 2.0]), torch.zeros(2, 0), 0.5)
    >>> mechanism.predict(noise, torch.zeros(2, 0))
    tensor([1., 2.])
    """

    levels: Tensor

    def __init__(self, context: int, *, hidden: Sequence[int], levels: Sequence[float], bins: int = 0) -> None:
        super().__init__()
        self.noises = self.columns = len(levels)
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32))
        settings: dict[str, Any] = {"hidden_features": list(hidden), "activation": nn.ELU}
        self.logits = zuko.nn.MLP(context, len(levels), **settings) if context else Constant(len(levels))

    def adapt(self, values: Scalar) -> None:
        """Nothing to set: the levels are given."""

    def index(self, values: Scalar) -> Tensor:
        return (values[:, None] - self.levels).abs().argmin(1)

    def encode(self, values: Scalar) -> Float[Tensor, "batch level"]:
        """One column per level (one-hot)."""
        return nn.functional.one_hot(self.index(values), len(self.levels)).to(values)

    def log_probs(self, context: Context) -> Float[Tensor, "batch level"]:
        return self.logits(context).log_softmax(-1)

    def log_prob(self, values: Scalar, context: Context) -> Scalar:
        """log P(v | pa)."""
        return self.log_probs(context).gather(1, self.index(values)[:, None])[:, 0]

    def abduct(self, values: Scalar, context: Context, level: float | Tensor) -> Float[Tensor, "batch level"]:
        """Gumbel noise for which v is the maximum: v's at the quantile `level`, the others truncated below it.

        Top-down sampling (Maddison et al., NeurIPS 2014, arXiv 1411.0030), by inverse distribution functions.
        """
        log_p = self.log_probs(context)
        uniform = (torch.full_like(log_p, level) if isinstance(level, float) else level).clamp(EPSILON, 1 - EPSILON)
        surprise = -uniform.log()
        chosen = self.index(values)[:, None]
        top = -surprise.gather(1, chosen).log()
        below = log_p - (surprise + (log_p - top).exp()).log()
        return below.scatter(1, chosen, top) - log_p

    def predict(self, noise: Float[Tensor, "batch level"], context: Context) -> Scalar:
        return self.levels[(self.log_probs(context) + noise).argmax(1)]

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "batch level"]:
        uniform = torch.rand(count, self.noises, generator=generator).clamp(EPSILON, 1 - EPSILON)
        return -(-uniform.log()).log()


Mechanism = Continuous | Categorical

SCALAR_MECHANISMS: dict[ScalarKind, type[Mechanism]] = {
    "continuous": Continuous,
    "censored": Censored,
    "categorical": Categorical,
}
"""By kind, a class that takes (context, hidden, bins); censored ones also take `limit`, categorical ones `levels`."""


def normal_log_prob(u: Tensor) -> Tensor:
    return -0.5 * (u**2 + math.log(2 * math.pi))
