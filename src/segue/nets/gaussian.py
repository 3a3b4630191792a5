"""Diagonal Gaussians as a pair (mean, log standard deviation): all the probability that the image mechanism needs."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from segue import processes


def bounded(raw: Tensor, limit: float) -> Tensor:
    """Squash `raw` smoothly into (-limit, limit), the identity near zero: log-scales that cannot run away."""
    return limit * torch.tanh(raw / limit)


def sample(mean: Float[Tensor, "*shape"], log_sd: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """One reparameterised draw, mean + exp(log_sd) * eps with eps ~ N(0, 1)."""
    return mean + log_sd.exp() * processes.randn(*mean.shape, device=mean.device).to(mean.dtype)


def log_prob(
    x: Float[Tensor, "*shape"], mean: Float[Tensor, "*shape"], log_sd: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """Elementwise log N(x; mean, exp(log_sd)^2), in nats."""
    return -0.5 * ((x - mean) * torch.exp(-log_sd)).square() - log_sd - 0.5 * math.log(2 * math.pi)


def kl(
    mean_q: Float[Tensor, "*shape"],
    log_sd_q: Float[Tensor, "*shape"],
    mean_p: Float[Tensor, "*shape"],
    log_sd_p: Float[Tensor, "*shape"],
) -> Float[Tensor, "*shape"]:
    """Elementwise KL(q || p) between two Gaussians, in nats."""
    ratio = torch.exp(2 * (log_sd_q - log_sd_p))
    distance = ((mean_q - mean_p) * torch.exp(-log_sd_p)).square()
    return log_sd_p - log_sd_q + 0.5 * (ratio + distance - 1)
