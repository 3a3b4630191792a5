"""A request corrected by what the guide measures on its answer.

A fine-tuned mechanism meets a request pa* up to an error m(x*) - pa*, which the guide measures without knowing the
truth. So the mechanism is asked again, for the request plus what was missed: with x*(a) the answer to the aim a, and
a_0 = pa*,

    a_(n+1) = a_n + c (pa* - m(x*(a_n)))

a fixed-point iteration towards m(x*(a)) = pa*. It converges where an area follows its aim, which is what
counterfactual fine-tuning teaches. A mechanism that ignores its parents is not helped. c is 1 for variables whose
region is asked to change and 0 for variables of other regions, where a new aim would be a change that nobody requested.

A guide's own error on x* would be corrected into the image as if it were the mechanism's. With an ensemble of further
segmentors, trained like the guide, m is their mean: pa + mean_k (m_k(x*) - m_k(x)). Each segmentor errs alike on x and
x*, and independently of the others.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy import elsewhere, measure
from segue.causal.facts import Facts
from segue.causal.parents import Parents, SoftMasks

LIMIT = 1.0
"""How far an aim may be from its request, in sd. The cap keeps corrections from exploiting errors of the guide."""

AreaMeasure = Callable[[Tensor], Float[Tensor, "batch measured"]]
"""From an answer to its areas."""


def ensemble_measure(parents: Parents, ensemble: Sequence[SoftMasks], facts: Facts) -> AreaMeasure:
    """m: the mean of what guide and `ensemble` measure in the fixed regions."""

    def areas_by(segmentor: SoftMasks, image: Tensor) -> Tensor:
        return measure(segmentor.soft(image), facts.weights, parents.structure_of, facts.pixel_area)

    pa = facts.pa[:, : facts.measured]
    before = [pa, *(areas_by(member, facts.image) for member in ensemble)]  # the guide has measured pa

    def areas(answer: Tensor) -> Tensor:
        after = [areas_by(member, answer) for member in (parents.segmentor, *ensemble)]
        return pa + torch.stack([b - a for a, b in zip(before, after, strict=True)]).mean(0)

    return areas


def next_aim(
    parents: Parents,
    requested: Float[Tensor, "batch variable"],
    concern: Float[Tensor, "batch measured"],
    aim: Float[Tensor, "batch variable"],
    achieved: Float[Tensor, "batch measured"],
) -> Float[Tensor, "batch variable"]:
    """a_(n+1). Covariates are not measured and stay.

    Args:
        concern: c of this request, see `concerned`.
        achieved: areas of the answer to the present aim.
    """
    measured = achieved.shape[1]
    wanted, given = requested.split([measured, requested.shape[1] - measured], dim=1)
    moved = aim[:, :measured] - wanted + concern * (wanted - achieved)
    most = LIMIT * parents.sd[:measured]
    return torch.cat([wanted + torch.clamp(moved, -most, most), given], dim=1)


def concerned(facts: Facts, requested: Float[Tensor, "batch variable"]) -> Float[Tensor, "batch measured"]:
    """c: the share of each variable's region that lies where a change is requested."""
    changed = (requested != facts.pa)[:, : facts.measured]
    weights = facts.weights.flatten(2)
    here = 1 - elsewhere(facts.weights, changed).flatten(2)
    return (here * weights).sum(2) / weights.sum(2).clamp_min(torch.finfo(weights.dtype).tiny)
