"""Realism as a two-sample test: can counterfactuals be told from factual images by the judge's features?

Images are represented by features (`Segmentor.features`), reduced to standardised principal components of the factual
images. Two distances between samples are computed: the Frechet distance between Gaussians of the same moments (Heusel
et al., NeurIPS 2017, arXiv 1706.08500), and the unbiased maximum mean discrepancy of a cubic kernel (Gretton et al.,
JMLR 2012; Binkowski et al., ICLR 2018, arXiv 1801.01401).

A distance is computed between the factual images of one half of the subjects and the counterfactuals of the other half,
and averaged over random halvings: the two samples are independent. The distance between the factual images of both
halves is the reference: it differs from 0 by sampling only.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from segue.evaluation.metric.realism import DISTANCES

Features = Float[np.ndarray, "image feature"]
Weights = Float[np.ndarray, "draw image"]

DIMENSIONS, IMAGES_A_DIMENSION = 16, 10  # few images do not determine a covariance in many dimensions
HALVINGS, HALVINGS_A_DRAW = 200, 8
FEWEST = 8  # subjects; with fewer, a half does not determine a covariance


class Sampled(NamedTuple):
    """A distance averaged over halvings: of the subjects as they are (`value`), and of each bootstrap draw of them."""

    value: float
    draws: Float[np.ndarray, " draw"]

    def over(self, other: "Sampled") -> "Sampled":
        """The difference, draw by draw; both have the same subjects in each draw."""
        return Sampled(self.value - other.value, self.draws - other.draws)

    def summary(self) -> dict[str, float | list[float]]:
        """Value and 95% interval.

        A draw repeats images, which makes distances larger; so the draws are shifted to have the value as their mean.
        """
        known = self.draws[np.isfinite(self.draws)]
        around = known - known.mean() if len(known) else np.zeros(1)
        low, high = self.value + np.quantile(around, [0.025, 0.975])
        return {"value": self.value, "ci95": [float(low), float(high)]}


class TwoSample:
    """The test against given factual images; call it with the counterfactuals of the same images, in their order.

    Args:
        factual: features. subjects: of each image; halves and bootstrap draws are of whole subjects.
        bootstrap: draws. seed: of halves and draws, the same for every call.
    """

    def __init__(self, factual: Features, subjects: Sequence[str], *, bootstrap: int, seed: int) -> None:
        _, group = np.unique(subjects, return_inverse=True)
        dimensions = max(1, min(DIMENSIONS, len(factual) // IMAGES_A_DIMENSION))
        self.components = Components(factual, dimensions)
        self.factual, self.group = self.components(factual), group
        self.one, self.other = random_halves(group, bootstrap=bootstrap, seed=seed)
        self.facts = self.distances(self.factual)

    def __call__(self, changed: Features) -> dict[str, Sampled]:
        """Each distance between factual images of one half and counterfactuals of the other."""
        return {kind: sampled(values) for kind, values in self.distances(self.components(changed)).items()}

    def null(self) -> dict[str, Sampled]:
        """Each distance between the factual images of both halves."""
        return {kind: sampled(values) for kind, values in self.facts.items()}

    def band(self, kind: str) -> list[float]:
        """The interval that holds the distance between two halves of the factual images in 95% of the halvings."""
        low, high = np.quantile(self.facts[kind][:HALVINGS], [0.025, 0.975])
        return [float(low), float(high)]

    def distances(self, changed: Features) -> dict[str, Float[np.ndarray, " draw"]]:
        """By halving: the mean of both distances between facts of one half and counterfactuals of the other half."""
        found = {}
        for kind, measure in (("frechet", self.frechet), ("kernel", self.kernel)):
            found[kind] = (measure(self.one, self.other, changed) + measure(self.other, self.one, changed)) / 2
        return found

    def frechet(self, a: Weights, b: Weights, changed: Features) -> Float[np.ndarray, " draw"]:
        return frechet(*moments(self.factual, a), *moments(changed, b))

    def kernel(self, a: Weights, b: Weights, changed: Features) -> Float[np.ndarray, " draw"]:
        return kernel_distance(self.factual, changed, self.group, a, b)


def random_halves(group: Int[np.ndarray, " image"], *, bootstrap: int, seed: int) -> tuple[Weights, Weights]:
    """The weight of each image in one half and in the other half: one row for each halving.

    The first `HALVINGS` rows halve the subjects as they are; then follow `HALVINGS_A_DRAW` for each bootstrap draw.
    """
    random = np.random.default_rng(seed)
    subjects = int(group.max()) + 1
    drawn = random.multinomial(subjects, np.full(subjects, 1 / subjects), size=bootstrap)
    counts = np.concatenate([np.ones((HALVINGS, subjects), dtype=int), drawn.repeat(HALVINGS_A_DRAW, axis=0)])
    ranks = random.permuted(np.tile(np.arange(subjects), (len(counts), 1)), axis=1)
    size = subjects // 2
    one, other = counts * (ranks < size), counts * ((size <= ranks) & (ranks < 2 * size))
    return one[:, group].astype(float), other[:, group].astype(float)


def sampled(values: Float[np.ndarray, " draw"]) -> Sampled:
    """The mean over the rows of `random_halves`."""
    return Sampled(float(values[:HALVINGS].mean()), values[HALVINGS:].reshape(-1, HALVINGS_A_DRAW).mean(1))


def realism(
    factual: Features,
    changed: Mapping[str, Features],
    *,
    baseline: Mapping[str, str],
    subjects: Sequence[str],
    bootstrap: int,
    seed: int,
) -> tuple[dict[str, dict[str, Any]], dict[str, Any] | None]:
    """The test of every method (keys of its `realism`), and of the factual images; nothing if subjects are too few.

    Args:
        changed: features of the counterfactuals, by method. baseline: by method, the one that it is compared to.
    """
    if len(set(subjects)) < FEWEST:
        return {name: {} for name in changed}, None
    test = TwoSample(factual, subjects, bootstrap=bootstrap, seed=seed)
    facts, samples = test.null(), {name: test(features) for name, features in changed.items()}
    found: dict[str, dict[str, Any]] = {}
    for name, sample in samples.items():
        found[name] = {
            kind: sample[kind].summary() | {"over_facts": sample[kind].over(facts[kind]).summary()}
            for kind in DISTANCES
        }
        if name in baseline:
            base = samples[baseline[name]]
            found[name] |= {f"{kind}_over_no_cft": sample[kind].over(base[kind]).summary() for kind in DISTANCES}
    return found, {kind: {"value": facts[kind].value, "band": test.band(kind)} for kind in DISTANCES}


class Components:
    """The leading principal components of a sample, each with mean 0 and standard deviation 1 over it."""

    def __init__(self, sample: Features, dimensions: int) -> None:
        self.mean = sample.mean(0)
        _, length, axes = np.linalg.svd(sample.astype(float) - self.mean, full_matrices=False)
        kept = length[:dimensions] > 1e-6 * max(length[0], 1e-12)  # constant features have no direction
        sd = length[:dimensions][kept] / np.sqrt(len(sample) - 1)
        self.axes = axes[:dimensions][kept].T / sd

    def __call__(self, features: Features) -> Float[np.ndarray, "image component"]:
        return (features - self.mean) @ self.axes


def moments(
    sample: Features, weights: Weights
) -> tuple[Float[np.ndarray, "draw feature"], Float[np.ndarray, "draw feature feature"]]:
    """Mean and unbiased covariance of a weighted sample, for each row of the integer weights; NaN below two images."""
    total = weights.sum(1)[:, None]
    mean = weights @ sample / np.maximum(total, 1)
    products = (sample[:, :, None] * sample[:, None, :]).reshape(len(sample), -1)
    squares = (weights @ products).reshape(len(weights), sample.shape[1], sample.shape[1])
    scatter = squares - total[..., None] * mean[:, :, None] * mean[:, None, :]
    degrees = np.where(total > 1, total - 1, np.nan)
    return mean, scatter / degrees[..., None]


def frechet(
    mean: Float[np.ndarray, "draw feature"],
    cov: Float[np.ndarray, "draw feature feature"],
    other_mean: Float[np.ndarray, "draw feature"],
    other_cov: Float[np.ndarray, "draw feature feature"],
) -> Float[np.ndarray, " draw"]:
    """|m - m'|^2 + tr(S + S' - 2 (S S')^1/2), one value for each row (Dowson & Landau, J Multivar Anal 1982).

    >>> one = np.ones((1, 1, 1))
    >>> frechet(np.zeros((1, 1)), one, np.full((1, 1), 2.0), 4 * one)  # (0 - 2)^2 + (1 - 2)^2
    array([5.])
    """
    bad = ~(np.isfinite(cov).all((1, 2)) & np.isfinite(other_cov).all((1, 2)))
    cov, other_cov = (np.where(bad[:, None, None], 0, c) for c in (cov, other_cov))
    values, vectors = np.linalg.eigh(cov)
    root = (vectors * np.sqrt(values.clip(0))[:, None]) @ vectors.swapaxes(1, 2)
    cross = np.sqrt(np.linalg.eigvalsh(root @ other_cov @ root).clip(0)).sum(1)
    traces = np.trace(cov, axis1=1, axis2=2) + np.trace(other_cov, axis1=1, axis2=2)
    return np.where(bad, np.nan, ((mean - other_mean) ** 2).sum(1) + traces - 2 * cross)


def kernel_distance(
    factual: Features, changed: Features, group: Int[np.ndarray, " image"], a: Weights, b: Weights
) -> Float[np.ndarray, " draw"]:
    """Unbiased MMD^2 of k(x, y) = (x.y / features + 1)^3: factual images with weights `a`, changed ones with `b`.

    Only pairs of images of two different subjects count. NaN if a half holds a single subject.
    """
    apart = (group[:, None] != group).astype(float)

    def average(left: Features, right: Features, v: Weights, w: Weights) -> Float[np.ndarray, " draw"]:
        kernel = (left @ right.T / left.shape[1] + 1) ** 3 * apart
        pairs = ((v @ apart) * w).sum(1)
        return ((v @ kernel) * w).sum(1) / np.where(pairs > 0, pairs, np.nan)

    within = average(factual, factual, a, a) + average(changed, changed, b, b)
    return within - 2 * average(factual, changed, a, b)
