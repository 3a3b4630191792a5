"""Whether values were seen together in training: a Gaussian copula of the variables.

In rank space each variable is replaced by its normal score, the quantile of a standard normal distribution at the
value's rank among the training values. There the training data are described by a correlation matrix alone, which holds
nobody's row of values (Gaussian copula; Nelsen, An Introduction to Copulas, 2006).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["QUANTILE", "correlation_of", "distance_given_rest", "normal_scores", "unusual"]

QUANTILE = 0.99
"""Values are unusual beyond this quantile of the distance that training values have."""
RIDGE = 0.02
"""Share of the identity in a correlation matrix: variables that are functions of each other stay invertible."""


def normal_scores(
    values: Float[Tensor, "row variable"], marginal: Float[Tensor, "sample variable"]
) -> Float[Tensor, "row variable"]:
    """The normal score of each value among the training values; equal values have their middle rank.

    Args:
        marginal: training values, sorted by variable.

    >>> marginal = torch.tensor([[1.0], [2.0], [2.0], [5.0]])
    >>> normal_scores(torch.tensor([[2.0], [9.0]]), marginal)
    tensor([[0.0000],
            [1.1503]])
    """
    columns, wanted = marginal.T.contiguous(), values.T.contiguous()
    ranks = (torch.searchsorted(columns, wanted) + torch.searchsorted(columns, wanted, right=True)).T / 2
    share = (ranks / len(marginal)).clamp(0.5 / len(marginal), 1 - 0.5 / len(marginal))
    return torch.special.ndtri(share.to(values))


def correlation_of(rows: Float[Tensor, "sample variable"]) -> Float[Tensor, "variable variable"]:
    """The correlation matrix of the training values' normal scores.

    >>> x = torch.linspace(0, 1, 50)
    >>> correlation_of(torch.stack([x, x.exp()], dim=1))
    tensor([[1.0000, 0.9800],
            [0.9800, 1.0000]])
    """
    scores = normal_scores(rows, rows.sort(dim=0).values)
    found = torch.atleast_2d(torch.corrcoef(scores.T)).nan_to_num(0)  # a constant variable goes with none
    return ((1 - RIDGE) * found).fill_diagonal_(1.0)


def distance_given_rest(
    scores: Float[Tensor, "row variable"],
    changed: Bool[Tensor, "row variable"],
    correlation: Float[Tensor, "variable variable"],
) -> Float[Tensor, " row"]:
    """Squared Mahalanobis distance of the changed variables from what the others let expect.

    With P the inverse correlation and S what changed: (Pz)_S' (P_SS)^-1 (Pz)_S. It follows a chi-squared distribution
    with |S| degrees of freedom for values like those of training.

    >>> correlation = torch.tensor([[1.0, 0.8], [0.8, 1.0]])
    >>> scores, first = torch.tensor([[2.0, 2.0], [2.0, -2.0]]), torch.tensor([[True, False], [True, False]])
    >>> distance_given_rest(scores, first, correlation)  # (2 - 0.8 * 2)^2 / (1 - 0.64), (2 + 0.8 * 2)^2 / (1 - 0.64)
    tensor([ 0.4444, 36.0000])
    """
    precision = correlation.double().inverse()
    pull = scores.double() @ precision
    found = [
        row[mask] @ torch.linalg.solve(precision[mask][:, mask], row[mask]) if mask.any() else row.new_zeros(())
        for row, mask in zip(pull, changed, strict=True)
    ]
    return torch.stack(found).to(scores)


def unusual(
    factual: Float[Tensor, "row variable"],
    requested: Float[Tensor, "row variable"],
    marginal: Float[Tensor, "sample variable"],
    correlation: Float[Tensor, "variable variable"],
) -> Bool[Tensor, " row"]:
    """Whether the values that change were not seen in training together with those that stay.

    That is: farther than `QUANTILE` of training values would be, and farther than the factual values are.

    >>> x = torch.linspace(0, 1, 200)
    >>> marginal = torch.stack([x, x], dim=1)
    >>> factual, requested = torch.tensor([[0.1, 0.1]] * 2), torch.tensor([[0.1, 0.15], [0.1, 0.9]])
    >>> unusual(factual, requested, marginal, correlation_of(marginal))
    tensor([False,  True])
    """
    changed = factual != requested
    if not changed.any():
        return changed.any(1)
    from scipy.special import gammaincinv  # slow to import

    before, after = (
        distance_given_rest(normal_scores(pa, marginal), changed, correlation) for pa in (factual, requested)
    )
    freedom = changed.sum(1).clamp_min(1).cpu().numpy()
    limit = 2 * gammaincinv(freedom / 2, QUANTILE)  # the chi-squared distribution's
    return (after > torch.from_numpy(limit).to(after)) & (after > before)
