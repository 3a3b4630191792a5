"""Is the graph compatible with the data? The conditional independencies that it implies, tested.

A directed acyclic graph says that each variable is independent of what comes before it, given its parents (the ordered
Markov property, Lauritzen 1996; as a basis for tests, Shipley, Struct. Equ. Modeling 2000). So each pair of variables
without an edge is tested given the parents of the later one, by two tests:

- the partial correlation (Fisher's z), which detects linear dependence and is wrong where regressions are not linear;
- the generalised covariance measure (Shah & Peters, Ann. Statist. 2020, arXiv 1804.07203): residuals of kernel ridge
  regressions on the conditioning set are uncorrelated. The verdict uses this test, with Holm's correction.

The tests can refute a graph but not prove it. They do not detect a superfluous edge, a reversed edge that implies the
same independencies, or a dependence without covariance. They detect a hidden common cause of two variables that have
no edge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from segue.causal.graph import sorted_names

if TYPE_CHECKING:
    import networkx as nx

Columns = Float[np.ndarray, "sample column"]
MAX_SAMPLES = 1500  # the cost of a kernel regression grows with the cube of the samples
PENALTIES = np.logspace(-4, 3, 15)
LEVEL = 0.05


@dataclass(frozen=True)
class Independence:
    """The graph implies that `one` is independent of `other` given `given`; and the tests of this on the data.

    Attributes:
        correlation: partial, linear. linear_p: of Fisher's z.
        covariance: normalised residual covariance, standard normal if independent (of several columns the largest).
        p: of that. corrected: p after Holm's correction over all pairs.

    >>> test = Independence("age", "lumen", (), 0.3, linear_p=0.01, covariance=2.8, p=0.005, corrected=0.02)
    >>> test.refuted
    True
    """

    one: str
    other: str
    given: tuple[str, ...]
    correlation: float
    linear_p: float
    covariance: float
    p: float
    corrected: float

    @property
    def refuted(self) -> bool:
        """Whether the corrected p-value is below `LEVEL`."""
        return self.corrected < LEVEL


def implied(graph: "nx.DiGraph") -> list[tuple[str, str, tuple[str, ...]]]:
    """(earlier, later, parents of the later) of every pair without an edge: together they imply all independencies.

    >>> from segue.causal import causal_graph
    >>> implied(causal_graph({"b": ["a"], "c": ["b"]}, ["a", "b", "c"]))
    [('a', 'c', ('b',))]
    """
    order = sorted_names(graph)
    return [
        (earlier, later, tuple(graph.predecessors(later)))
        for i, later in enumerate(order)
        for earlier in order[:i]
        if not graph.has_edge(earlier, later)
    ]


def check_graph(graph: "nx.DiGraph", data: Mapping[str, Columns], *, seed: int = 0) -> list[Independence]:
    """Test every independence that the graph implies; the smallest p-value comes first.

    Args:
        data: by variable, (sample, columns): one column, or one for each level of a categorical variable. At most
            `MAX_SAMPLES` samples are used, drawn at random with `seed`.

    >>> from segue.causal import causal_graph
    >>> random = np.random.default_rng(0)
    >>> a = random.normal(size=(200, 1))
    >>> data = {"a": a, "b": a + random.normal(size=(200, 1)), "c": random.normal(size=(200, 1))}
    >>> tests = check_graph(causal_graph({"b": ["a"]}, ["a", "b", "c"]), data)  # a correct graph
    >>> len(tests), any(test.refuted for test in tests)
    (2, False)
    >>> check_graph(causal_graph({}, ["a", "b", "c"]), data)[0].refuted  # the edge a -> b is missing
    True
    """
    from scipy.special import ndtr  # slow to import, and who opens a model does without

    data = subsample(data, seed)
    found: list[tuple[str, str, tuple[str, ...], float, float, float, float]] = []
    residuals: dict[tuple[str, ...], Residuals] = {}
    for one, other, given in implied(graph):
        if given not in residuals:
            residuals[given] = Residuals([data[name] for name in given], len(data[one]))
        made = residuals[given]
        pairs = [(x, y) for x in columns(data[one]) for y in columns(data[other])]
        linear = [partial_correlation(made.linear(x), made.linear(y), made.dimensions) for x, y in pairs]
        general = [covariance_measure(made.kernel(x), made.kernel(y)) for x, y in pairs]
        correlation, linear_p = max(linear, key=lambda pair: abs(pair[0]))
        covariance = max(general, key=abs)
        p = min(1.0, len(pairs) * 2 * ndtr(-abs(covariance)))
        found.append((one, other, given, correlation, min(1.0, len(pairs) * linear_p), covariance, p))
    corrected = holm(np.array([row[-1] for row in found])).tolist()
    tested = [Independence(*row, q) for row, q in zip(found, corrected, strict=True)]
    return sorted(tested, key=lambda row: row.p)


def verdict(tested: list[Independence]) -> str:
    """The result in one sentence.

    >>> verdict([])
    'The graph has an edge between any two variables: it implies no independence, and no data can refute it.'
    """
    if not tested:
        return "The graph has an edge between any two variables: it implies no independence, and no data can refute it."
    refuted = [row for row in tested if row.refuted]
    alpha = f"{LEVEL:.0%} (generalised covariance measure, Holm's correction)"
    if not refuted:
        return (
            f"None of the {len(tested)} independencies that the graph implies is refuted at {alpha}: the data are "
            "compatible with it. They may also be compatible with other graphs."
        )
    worst = refuted[0]
    given = f" given {', '.join(worst.given)}" if worst.given else ""
    count = f"{len(refuted)} of the {len(tested)} independencies that the graph implies"
    return (
        f"{count} {'is' if len(refuted) == 1 else 'are'} refuted at {alpha}. The strongest evidence is against "
        f"that of {worst.one} and "
        f"{worst.other}{given}: an edge is missing, or both have a cause that is not in the graph."
    )


class Residuals:
    """Residuals of regressions on one conditioning set, whose kernel matrix is decomposed once for all targets."""

    def __init__(self, given: list[Columns], samples: int) -> None:
        blocks = [standard(x) for block in given for x in columns(block)]
        z = np.stack(blocks, axis=1) if blocks else np.zeros((samples, 0))
        self.dimensions = z.shape[1]
        self.basis, _ = np.linalg.qr(np.column_stack([np.ones(samples), z]))
        if self.dimensions:
            from scipy.linalg import eigh
            from scipy.spatial.distance import pdist, squareform

            squared = squareform(pdist(z, "sqeuclidean"))
            # A linear kernel for the trend, and a Gaussian one for deviations from it at the scale of the data.
            kernel = z @ z.T / self.dimensions + np.exp(-squared / np.median(squared[squared > 0]))
            values, self.vectors = eigh(kernel)
            # By penalty, the eigenvalues of 1 - hat, and its diagonal.
            self.shrunk = PENALTIES / (values.clip(0)[:, None] + PENALTIES)
            self.diagonal = self.vectors**2 @ self.shrunk

    def linear(self, y: Float[np.ndarray, " sample"]) -> Float[np.ndarray, " sample"]:
        """Residuals of least squares."""
        return y - self.basis @ (self.basis.T @ y)

    def kernel(self, y: Float[np.ndarray, " sample"]) -> Float[np.ndarray, " sample"]:
        """Leave-one-out residuals of kernel ridge regression, with the penalty that minimises them."""
        centred = y - y.mean()
        if not self.dimensions:
            return centred
        rotated = self.vectors.T @ centred
        residuals = (self.vectors @ (self.shrunk * rotated[:, None])) / self.diagonal
        return residuals[:, (residuals**2).sum(0).argmin()]


def partial_correlation(x: np.ndarray, y: np.ndarray, dimensions: int) -> tuple[float, float]:
    """Correlation of two linear residuals, and the p-value of Fisher's z."""
    from scipy.special import ndtr

    scale = np.sqrt((x @ x) * (y @ y))
    r = float(np.clip(x @ y / scale, -1 + 1e-12, 1 - 1e-12)) if scale > 0 else 0.0
    return r, float(2 * ndtr(-abs(np.arctanh(r)) * np.sqrt(max(1, len(x) - dimensions - 3))))


def covariance_measure(x: np.ndarray, y: np.ndarray) -> float:
    """sqrt(n) mean(R) / sd(R) of the products R of two residuals."""
    products = x * y
    spread = products.std()
    return float(np.sqrt(len(products)) * products.mean() / spread) if spread > 0 else 0.0


def holm(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Holm's step-down correction of p-values (Scand. J. Statist. 1979)."""
    if not len(p):
        return p
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    corrected = np.empty_like(stepped)
    corrected[order] = stepped
    return corrected


def subsample(data: Mapping[str, Columns], seed: int) -> dict[str, Columns]:
    """At most `MAX_SAMPLES` samples, the same ones of every variable."""
    count = len(next(iter(data.values())))
    rows = np.arange(count)
    if count > MAX_SAMPLES:
        rows = np.sort(np.random.default_rng(seed).choice(count, MAX_SAMPLES, replace=False))
    return {name: np.asarray(values, dtype=float)[rows] for name, values in data.items()}


def columns(block: Columns) -> list[Float[np.ndarray, " sample"]]:
    return list(block.T)


def standard(x: np.ndarray) -> np.ndarray:
    """Mean 0 and sd 1; a constant becomes 0."""
    spread = x.std()
    return (x - x.mean()) / (spread if spread > 0 else 1.0)
