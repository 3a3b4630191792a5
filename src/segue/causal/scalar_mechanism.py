"""Mechanisms of scalar variables: v = f(u; pa) with noise u, one invertible or censored map for each variable.

Three kinds, each with `log_prob`, `abduct` and `predict`, so that abduction - action - prediction (Pearl, Causality,
2009, 7.1) works on any of them:

`Continuous`    v = f(u; pa), u ~ N(0, 1), f increasing in u: a conditional normalising flow, as in deep structural
                causal models (Pawlowski et al., NeurIPS 2020, arXiv 2006.06485). Among increasing mechanisms the
                law of v given pa identifies counterfactuals (Nasr-Esfahany et al., ICML 2023, arXiv 2302.02228).
`Censored`      v = f(u; pa) where that exceeds a limit, else absent: a flow behind a censored latent, the Tobit model
                (Tobin, Econometrica 1958) without its normality. One noise decides whether there is any and how much:
                a counterfactual can go from none to some, and more of a cause that makes more never takes some away.
`Categorical`   v = argmax_k log p_k(pa) + g_k with g_k ~ Gumbel(0, 1): the Gumbel-max mechanism, counterfactually
                stable (Oberst & Sontag, ICML 2019, arXiv 1905.05824). With two categories it is a threshold on a
                logistic latent, so binary variables are monotone.

What is observed of a censored or categorical variable leaves its noise a set. `abduct` takes the noise at `level` of
its posterior: 1/2 is the median, the same answer every time, and a uniform draw samples the posterior. Since f
increases in u, the median noise of a censored variable predicts the median of its counterfactual.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import zuko
from jaxtyping import Float
from torch import Tensor, nn

Kind = Literal["continuous", "censored", "categorical"]
LEAST = 1e-6  # of a probability, and of the sd of what does not vary

Column = Float[Tensor, " batch"]
Context = Float[Tensor, "batch parent"]


class Standardised(nn.Module):
    """(x - mean) / sd by column, with the mean and sd of what it was `fit` to."""

    mean: Tensor
    sd: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("sd", torch.ones(columns))

    def fit(self, values: Float[Tensor, "sample column"]) -> None:
        if values.shape[1]:
            self.mean.copy_(values.mean(0))
            self.sd.copy_(values.std(0).clamp_min(LEAST))

    def forward(self, values: Float[Tensor, "batch column"]) -> Float[Tensor, "batch column"]:
        return (values - self.mean) / self.sd


class Flow(nn.Module):
    """An increasing map between noise and value, given a context: location and scale, then a rational-quadratic spline.

    Both depend on the context through one network each (Durkan et al., NeurIPS 2019, arXiv 1906.04032; zuko). Without
    bins it is the location and scale alone, and without hidden layers these are linear: a Gaussian regression.

    Args:
        context: columns of the context. hidden: layers of the networks. bins: of the spline.
    """

    def __init__(self, context: int, hidden: Sequence[int], bins: int) -> None:
        super().__init__()
        settings: dict[str, Any] = {"hidden_features": list(hidden), "activation": nn.ELU}
        self.spline = None if bins == 0 else zuko.flows.NSF(1, context, bins=bins, transforms=1, **settings).transform
        self.affine = zuko.flows.MAF(1, context, transforms=1, **settings).transform

    def noise(self, value: Column, context: Context) -> tuple[Column, Column]:
        """u = f^-1(v; pa), and log |du / dv|."""
        given = context if context.shape[1] else None
        u, slope = self.affine(given).call_and_ladj(value[:, None])
        if self.spline is not None:
            u, more = self.spline(given).call_and_ladj(u)
            slope = slope + more
        return u[:, 0], slope

    def value(self, noise: Column, context: Context) -> Column:
        """v = f(u; pa)."""
        given = context if context.shape[1] else None
        u = noise[:, None]
        if self.spline is not None:
            u = self.spline(given).inv(u)
        return self.affine(given).inv(u)[:, 0]


class Continuous(nn.Module):
    """v = f(u; pa), u ~ N(0, 1)."""

    noises, columns = 1, 1

    def __init__(self, context: int, *, hidden: Sequence[int], bins: int) -> None:
        super().__init__()
        self.scale = Standardised(1)
        self.flow = Flow(context, hidden, bins)

    def adapt(self, values: Column) -> None:
        """Take the scale of the training values."""
        self.scale.fit(values[:, None])

    def encode(self, values: Column) -> Float[Tensor, "batch 1"]:
        """The value as its effects' mechanisms see it: standardised."""
        return self.scale(values[:, None])

    def decode(self, standard: Column) -> Column:
        return standard * self.scale.sd + self.scale.mean

    def log_prob(self, values: Column, context: Context) -> Column:
        """log p(v | pa), in nats by the variable's unit."""
        u, slope = self.flow.noise(self.encode(values)[:, 0], context)
        return normal_log_prob(u) + slope - self.scale.sd.log()

    def abduct(self, values: Column, context: Context, level: float | Tensor) -> Float[Tensor, "batch 1"]:
        """u = f^-1(v; pa): v determines it, whatever the level."""
        return self.flow.noise(self.encode(values)[:, 0], context)[0][:, None]

    def predict(self, noise: Float[Tensor, "batch 1"], context: Context) -> Column:
        return self.decode(self.flow.value(noise[:, 0], context))

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "batch 1"]:
        """Noise from its prior."""
        return torch.randn(count, 1, generator=generator)


class Censored(Continuous):
    """v = f(u; pa) where that exceeds `limit`, else absent, u ~ N(0, 1).

    The likelihood of an absent value is P(f(u; pa) <= limit) = Phi(f^-1(limit; pa)), and its noise lies in
    (-inf, f^-1(limit; pa)]. What a segmentor measures of nothing is small, not 0: a value up to the limit counts as
    absent, what is left of it is noise too (the second column), and comes back wherever the counterfactual has none.
    """

    noises = 2
    absent: Tensor

    def __init__(self, context: int, *, hidden: Sequence[int], bins: int, limit: float) -> None:
        super().__init__(context, hidden=hidden, bins=bins)
        self.limit = limit
        self.register_buffer("absent", torch.tensor(limit))

    def adapt(self, values: Column) -> None:
        super().adapt(values)
        if bool((none := values <= self.limit).any()):
            self.absent.copy_(values[none].mean())

    def bound(self, context: Context) -> Column:
        """f^-1(limit; pa), the noise up to which there is none."""
        limit = self.encode(context.new_full((len(context),), self.limit))[:, 0]
        return self.flow.noise(limit, context)[0]

    def log_prob(self, values: Column, context: Context) -> Column:
        """log p(v | pa) where there is some, else the log-probability that there is none."""
        limit = torch.full_like(values, self.limit)
        both = self.encode(torch.cat([values.clamp_min(self.limit), limit]))[:, 0]  # one pass through the networks
        noise, slopes = self.flow.noise(both, torch.cat([context, context]))
        (u, bound), slope = noise.chunk(2), slopes.chunk(2)[0]
        density = normal_log_prob(u) + slope - self.scale.sd.log()
        return torch.where(values > self.limit, density, torch.special.log_ndtr(bound))

    def abduct(self, values: Column, context: Context, level: float | Tensor) -> Float[Tensor, "batch 2"]:
        """u, at `level` of its truncated posterior where there is none; and what was measured beyond `absent` there."""
        present = values > self.limit
        exact = super().abduct(values.clamp_min(self.limit), context, level)[:, 0]
        bound = self.bound(context)
        chosen = level if isinstance(level, float) else level[:, 0]
        hidden = torch.special.ndtri((torch.special.ndtr(bound.double()) * chosen).clamp_min(1e-300))
        u = torch.where(present, exact, torch.minimum(hidden.to(bound), bound))
        return torch.stack([u, torch.where(present, 0.0, values - self.absent)], dim=1)

    def predict(self, noise: Float[Tensor, "batch 2"], context: Context) -> Column:
        some = super().predict(noise[:, :1], context).clamp_min(self.limit)
        return torch.where(noise[:, 0] > self.bound(context), some, self.absent + noise[:, 1])

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "batch 2"]:
        return torch.cat([super().draw(count, generator), torch.zeros(count, 1)], dim=1)


class Constant(nn.Module):
    """The same numbers, whatever the context: those of a root."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(columns))

    def forward(self, context: Context) -> Float[Tensor, "batch column"]:
        return self.values.expand(len(context), -1)


class Categorical(nn.Module):
    """v = levels[argmax_k log p_k(pa) + g_k], g_k ~ Gumbel(0, 1)."""

    levels: Tensor

    def __init__(self, context: int, *, hidden: Sequence[int], levels: Sequence[float]) -> None:
        super().__init__()
        self.noises = self.columns = len(levels)
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32))
        settings: dict[str, Any] = {"hidden_features": list(hidden), "activation": nn.ELU}
        self.logits = zuko.nn.MLP(context, len(levels), **settings) if context else Constant(len(levels))

    def adapt(self, values: Column) -> None:
        """Nothing to take: its levels are given."""

    def index(self, values: Column) -> Tensor:
        return (values[:, None] - self.levels).abs().argmin(1)

    def encode(self, values: Column) -> Float[Tensor, "batch level"]:
        """One column a level."""
        return nn.functional.one_hot(self.index(values), len(self.levels)).to(values)

    def log_probs(self, context: Context) -> Float[Tensor, "batch level"]:
        return self.logits(context).log_softmax(-1)

    def log_prob(self, values: Column, context: Context) -> Column:
        """log P(v | pa)."""
        return self.log_probs(context).gather(1, self.index(values)[:, None])[:, 0]

    def abduct(self, values: Column, context: Context, level: float | Tensor) -> Float[Tensor, "batch level"]:
        """Gumbel noise of which v is the maximum: that of v at `level` of Gumbel(0, 1), the others truncated below it.

        Top-down sampling (Maddison et al., NeurIPS 2014, arXiv 1411.0030), by inverse distribution functions.
        """
        log_p = self.log_probs(context)
        uniform = (torch.full_like(log_p, level) if isinstance(level, float) else level).clamp(LEAST, 1 - LEAST)
        surprise = -uniform.log()
        chosen = self.index(values)[:, None]
        top = -surprise.gather(1, chosen).log()
        below = log_p - (surprise + (log_p - top).exp()).log()
        return below.scatter(1, chosen, top) - log_p

    def predict(self, noise: Float[Tensor, "batch level"], context: Context) -> Column:
        return self.levels[(self.log_probs(context) + noise).argmax(1)]

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "batch level"]:
        uniform = torch.rand(count, self.noises, generator=generator).clamp(LEAST, 1 - LEAST)
        return -(-uniform.log()).log()


Mechanism = Continuous | Categorical


def make_mechanism(context: int, *, kind: Kind, hidden: Sequence[int], bins: int, **more: Any) -> Mechanism:
    """The mechanism of a kind; `more` is `limit` of a censored and `levels` of a categorical variable."""
    if kind == "categorical":
        return Categorical(context, hidden=hidden, **more)
    made = Censored if kind == "censored" else Continuous
    return made(context, hidden=hidden, bins=bins, **more)


def normal_log_prob(u: Tensor) -> Tensor:
    return -0.5 * (u**2 + math.log(2 * math.pi))
