"""A request corrected by what the guide measures on its answer.

A fine-tuned mechanism meets a request pa* up to an error m(x*) - pa*, which the guide sees without knowing the truth.
So the model is asked anew for what it missed by: with x*(a) the answer to the aim a, and a_0 = pa*,

    a_(n+1) = a_n + c (pa* - m(x*(a_n)))

a fixed-point iteration towards m(x*(a)) = pa*. It converges where an area follows its aim, which is what
counterfactual fine-tuning teaches; a model that ignores its parents is not helped. c is 1 for variables whose region
is asked to change and 0 for those of other regions, where a new aim would be a change that nobody asked for.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy import elsewhere, measure
from segue.causal.facts import Facts
from segue.causal.parents import Parents

LIMIT = 1.0
"""How far an aim may be from its request, in sd: a guide is to be met, not to be outwitted."""


def corrected(
    parents: Parents,
    facts: Facts,
    requested: Float[Tensor, "batch variable"],
    concern: Float[Tensor, "batch measured"],
    aim: Float[Tensor, "batch variable"],
    answer: Float[Tensor, "batch channel *space"],
) -> Float[Tensor, "batch variable"]:
    """The next aim, from the `answer` to the present one; covariates are not measured and stay.

    Args:
        concern: c of this request, see `concerned`.
    """
    measured = facts.weights.shape[1]
    wanted, given = requested.split([measured, requested.shape[1] - measured], dim=1)
    achieved = measure(
        parents.segmentor.soft(answer), facts.weights, parents.structure_of, facts.pixel_area
    )
    moved = aim[:, :measured] - wanted + concern * (wanted - achieved)
    most = LIMIT * parents.sd[:measured]
    return torch.cat([wanted + torch.clamp(moved, -most, most), given], dim=1)


def concerned(facts: Facts, requested: Float[Tensor, "batch variable"]) -> Float[Tensor, "batch measured"]:
    """c: the share of each variable's region that lies where a change is asked for."""
    changed = (requested != facts.pa)[:, : facts.weights.shape[1]]
    weights = facts.weights.flatten(2)
    here = 1 - elsewhere(facts.weights, changed).flatten(2)
    return (here * weights).sum(2) / weights.sum(2).clamp_min(torch.finfo(weights.dtype).tiny)
