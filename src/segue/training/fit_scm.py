"""Fit the mechanisms of a structural causal model by maximum likelihood, with early stopping.

The likelihood of a graph is a product over its variables, so each mechanism is fitted separately.
"""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from segue.causal.scalar_mechanism import Mechanism
from segue.causal.scm import SCM
from segue.progress import track

STEPS = 3  # learning rates, each a quarter of the one before


@dataclass(frozen=True)
class Fit:
    """The result for one variable: epochs, and the mean log-likelihood of the held-out samples, in nats."""

    epochs: int
    held_out: float


def fit_scm(
    scm: SCM,
    training: Float[Tensor, "sample variable"],
    held_out: Float[Tensor, "other variable"],
    *,
    epochs: int = 400,
    batch_size: int = 256,
    lr: float = 0.01,
    patience: int = 10,
    seed: int = 0,
    title: str = "scm",
) -> dict[str, Fit]:
    """Fit every mechanism to `training`; keep its weights with the highest likelihood of `held_out`.

    Returns:
        The result by variable.
    """
    for i, name in enumerate(scm.names):
        scm.mechanism(name).adapt(training[:, i])
    found = {}
    for name in track(scm.names, total=len(scm.names), title=title):
        torch.manual_seed(seed)
        pairs = [
            (values[:, scm.names.index(name)], scm.context(name, scm.by_name(values)))
            for values in (training, held_out)
        ]
        found[name] = fit_mechanism(
            scm.mechanism(name), *pairs, epochs=epochs, batch_size=batch_size, lr=lr, patience=patience
        )
    return found


def fit_mechanism(
    mechanism: Mechanism,
    training: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    patience: int,
) -> Fit:
    """Adam on (values, contexts). After `patience` epochs without improvement: the best weights, and a lower rate."""
    values, contexts = training
    optimiser = torch.optim.Adam(mechanism.parameters(), lr=lr)
    best, kept = likelihood(mechanism, *held_out), copy.deepcopy(mechanism.state_dict())
    since, shrunk, epoch = 0, 0, 0
    while epoch < epochs and shrunk < STEPS:
        epoch += 1
        for rows in torch.randperm(len(values)).split(batch_size):
            loss = -mechanism.log_prob(values[rows], contexts[rows]).mean()
            if bool(loss.isfinite()):
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(mechanism.parameters(), 10.0)
                optimiser.step()
        now, since = likelihood(mechanism, *held_out), since + 1
        if now > best:
            best, kept, since = now, copy.deepcopy(mechanism.state_dict()), 0
        elif since >= patience:
            mechanism.load_state_dict(kept)
            since, shrunk = 0, shrunk + 1
            for group in optimiser.param_groups:
                group["lr"] /= 4
    mechanism.load_state_dict(kept)
    return Fit(epoch, best)


@torch.no_grad()
def likelihood(mechanism: Mechanism, values: Tensor, contexts: Tensor) -> float:
    """Mean log-likelihood of a sample, in nats."""
    return float(mechanism.log_prob(values, contexts).mean())
