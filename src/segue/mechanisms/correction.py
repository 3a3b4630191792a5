"""A request corrected by what the guide measures on its answer.

A fine-tuned mechanism meets a request pa* up to an error m(x*) - pa*, which the guide sees without knowing the truth.
So the model is asked anew for what it missed by: with x*(a) the answer to the aim a, and a_0 = pa*,

    a_(n+1) = a_n + c (pa* - m(x*(a_n)))

a fixed-point iteration towards m(x*(a)) = pa*. It converges where an area follows its aim, which is what
counterfactual fine-tuning teaches; a model that ignores its parents is not helped. c is 1 for variables whose region
is asked to change and 0 for those of other regions, where a new aim would be a change that nobody asked for.

A guide's own error on x* is corrected into the image as if it were the model's. With a panel of others, trained like
it, m is what they see on the average: pa + mean_k (m_k(x*) - m_k(x)), where each errs alike on x and x* and apart from
the others.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy import elsewhere, measure
from segue.causal.facts import Facts
from segue.causal.parents import Parents, SoftMasks

LIMIT = 1.0
"""How far an aim may be from its request, in sd: a guide is to be met, not to be outwitted."""

Look = Callable[[Tensor], Float[Tensor, "batch measured"]]
"""From an answer to its areas."""


def look(parents: Parents, panel: Sequence[SoftMasks], facts: Facts) -> Look:
    """m: what the guide and its `panel` measure in the fixed regions, on the average."""

    def seen(segmentor: SoftMasks, image: Tensor) -> Tensor:
        return measure(segmentor.soft(image), facts.weights, parents.structure_of, facts.pixel_area)

    pa = facts.pa[:, : facts.weights.shape[1]]
    before = [pa, *(seen(member, facts.image) for member in panel)]  # pa is what the guide saw

    def areas(answer: Tensor) -> Tensor:
        after = [seen(member, answer) for member in (parents.segmentor, *panel)]
        return pa + torch.stack([b - a for a, b in zip(before, after, strict=True)]).mean(0)

    return areas


def corrected(
    parents: Parents,
    requested: Float[Tensor, "batch variable"],
    concern: Float[Tensor, "batch measured"],
    aim: Float[Tensor, "batch variable"],
    achieved: Float[Tensor, "batch measured"],
) -> Float[Tensor, "batch variable"]:
    """The next aim, from what the answer to the present one achieved; covariates are not measured and stay.

    Args:
        concern: c of this request, see `concerned`.
        achieved: areas of the answer, see `look`.
    """
    measured = achieved.shape[1]
    wanted, given = requested.split([measured, requested.shape[1] - measured], dim=1)
    moved = aim[:, :measured] - wanted + concern * (wanted - achieved)
    most = LIMIT * parents.sd[:measured]
    return torch.cat([wanted + torch.clamp(moved, -most, most), given], dim=1)


def concerned(facts: Facts, requested: Float[Tensor, "batch variable"]) -> Float[Tensor, "batch measured"]:
    """c: the share of each variable's region that lies where a change is asked for."""
    changed = (requested != facts.pa)[:, : facts.weights.shape[1]]
    weights = facts.weights.flatten(2)
    here = 1 - elsewhere(facts.weights, changed).flatten(2)
    return (here * weights).sum(2) / weights.sum(2).clamp_min(torch.finfo(weights.dtype).tiny)
