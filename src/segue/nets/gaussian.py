"""Diagonal Gaussians as pairs (mean, log standard deviation): the distributions of the image mechanisms."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from segue import processes


def bounded(raw: Tensor, limit: float) -> Tensor:
    """Map `raw` smoothly into (-limit, limit), close to the identity near zero: a log-scale that stays bounded.

    >>> bounded(torch.tensor([0.0, 100.0]), 4.0)
    tensor([0., 4.])
    """
    return limit * torch.tanh(raw / limit)


def draw_normal(mean: Float[Tensor, "*shape"], log_sd: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """One reparameterised draw, mean + exp(log_sd) * eps with eps ~ N(0, 1).

    >>> draw_normal(torch.zeros(2, 3), torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    return mean + log_sd.exp() * processes.randn(*mean.shape, device=mean.device).to(mean.dtype)


def log_prob(
    x: Float[Tensor, "*shape"], mean: Float[Tensor, "*shape"], log_sd: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """Elementwise log N(x; mean, exp(log_sd)^2), in nats.

    >>> log_prob(torch.zeros(1), torch.zeros(1), torch.zeros(1))  # -log(2 pi) / 2
    tensor([-0.9189])
    """
    return -0.5 * ((x - mean) * torch.exp(-log_sd)).square() - log_sd - 0.5 * math.log(2 * math.pi)


def kl(
    mean_q: Float[Tensor, "*shape"],
    log_sd_q: Float[Tensor, "*shape"],
    mean_p: Float[Tensor, "*shape"],
    log_sd_p: Float[Tensor, "*shape"],
) -> Float[Tensor, "*shape"]:
    """Elementwise KL(q || p) between two Gaussians, in nats.

    >>> kl(torch.ones(1), torch.zeros(1), torch.zeros(1), torch.zeros(1))  # squared distance / 2
    tensor([0.5000])
    """
    ratio = torch.exp(2 * (log_sd_q - log_sd_p))
    distance = ((mean_q - mean_p) * torch.exp(-log_sd_p)).square()
    return log_sd_p - log_sd_q + 0.5 * (ratio + distance - 1)
