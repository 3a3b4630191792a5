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
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy import elsewhere
from segue.causal.facts import Facts
from segue.causal.parents import Parents, SoftMasks
from segue.hardware import side_by_side

LIMIT = 1.0
"""How far an aim may be from its request, in sd. The cap keeps corrections from exploiting errors of the guide."""

AreaMeasure = Callable[[Tensor], Float[Tensor, "batch measured"]]
"""From an answer to its areas."""


def ensemble_measure(parents: Parents, ensemble: Sequence[SoftMasks], facts: Facts) -> AreaMeasure:
    """m: the mean of what guide and `ensemble` measure in the fixed regions.

    The factual image is measured by the ensemble only where the facts do not hold what it measures.
    """
    pa = facts.pa[:, : facts.measured]
    known = facts.by_ensemble
    by_each = areas_by_each(parents, ensemble, facts, facts.image) if known is None else known.transpose(0, 1)
    before = torch.cat([pa[None], by_each])  # the guide has measured pa

    def areas(answer: Tensor) -> Tensor:
        after = areas_by_each(parents, (parents.segmentor, *ensemble), facts, answer)
        return pa + (after - before).mean(0)

    return areas


def areas_by_each(
    parents: Parents, segmentors: Sequence[SoftMasks], facts: Facts, image: Float[Tensor, "batch channel *space"]
) -> Float[Tensor, "segmentor batch measured"]:
    """What each segmentor measures on an image, in the fixed regions of the facts.

    >>> import segue
    >>> from segue.engine.answer import abduct_images, check_inputs
    >>> model = segue.load("coronary-phantom")
    >>> facts = abduct_images(model, check_inputs(model, model.examples()[:2])).facts
    >>> by_guide = areas_by_each(model.parents, [model.parents.segmentor], facts, facts.image)
    >>> torch.allclose(by_guide[0], facts.pa, atol=1e-3)
    True
    """
    masks = side_by_side([partial(one.soft, image) for one in segmentors])
    return areas_of_each(parents, masks, facts, image)


def areas_of_each(
    parents: Parents,
    masks: Sequence[Float[Tensor, "batch structure *space"]],
    facts: Facts,
    image: Float[Tensor, "batch channel *space"],
) -> Float[Tensor, "segmentor batch measured"]:
    """What is measured on an image in the masks of each segmentor, in the fixed regions of the facts."""
    areas = [parents.measure(soft, image, facts) for soft in masks]
    return torch.stack(areas) if areas else facts.pa.new_zeros(0, len(facts.pa), facts.measured)


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
