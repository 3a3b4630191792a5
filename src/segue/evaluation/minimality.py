"""Counterfactual latent divergence: is x* nearer to x than images of others with the requested value are?

    CLD = log(0.8 exp P(S_cf <= d) + 0.2 exp P(S_f >= d)),   d = |f(x*) - f(x)|

S_cf: distances from x of other subjects' images that have the requested value; S_f: of those that have its own value
(Sanchez & Tsaftaris, CLeaR 2022, arXiv 2202.10166; with these weights, and values in bins, Melistas et al., NeurIPS
2024, arXiv 2403.20287). It is between 0 and 1. f: the judge's features, each in sd over the factual images.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

CLD_WEIGHTS = 0.8, 0.2
BINS = 3


def latent_divergence(
    factual: Float[np.ndarray, "image feature"],
    counterfactual: Float[np.ndarray, "image feature"],
    *,
    values: Float[np.ndarray, "image measured"],
    requested: Float[np.ndarray, "image measured"],
    turns: Int[np.ndarray, " image"],
    subjects: Sequence[str],
) -> float | None:
    """The mean over images, the turn's variable of each set to its request; None where no image has both sets.

    Values are alike if they are in the same third of the factual ones.

    >>> f = np.arange(9.0)[:, None]
    >>> found = latent_divergence(f, f, values=f, requested=f[::-1], turns=np.zeros(9, int), subjects=list("abcdefghi"))
    >>> round(found, 4) == round(float(np.log(0.8 + 0.2 * np.e)), 4)  # nothing changed: d = 0
    True
    """
    scale = factual.std(0).clip(min=1e-8)
    kept = [divergence_of(i, factual / scale, counterfactual / scale, *peers(i, int(v), values, requested, subjects))
            for i, v in enumerate(turns)]  # fmt: skip
    known = [one for one in kept if one is not None]
    return float(np.mean(known)) if known else None


def peers(
    i: int, variable: int, values: np.ndarray, requested: np.ndarray, subjects: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Which images of other subjects have the i-th image's own value, and which the requested one."""
    edges = np.quantile(values[:, variable], np.linspace(0, 1, BINS + 1)[1:-1])
    bins, others = np.searchsorted(edges, values[:, variable]), np.array(subjects) != subjects[i]
    return others & (bins == bins[i]), others & (bins == np.searchsorted(edges, requested[i, variable]))


def divergence_of(
    i: int, factual: np.ndarray, counterfactual: np.ndarray, own: np.ndarray, wanted: np.ndarray
) -> float | None:
    """CLD of one image; None where there are no images of others to compare with."""
    if not (own.any() and wanted.any()):
        return None
    distance = np.abs(factual - factual[i]).mean(1)
    d = float(np.abs(counterfactual[i] - factual[i]).mean())
    shares = (distance[wanted] <= d).mean(), (distance[own] >= d).mean()
    return float(np.log(sum(weight * np.exp(share) for weight, share in zip(CLD_WEIGHTS, shares, strict=True))))
