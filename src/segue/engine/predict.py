"""Where facts meet a request: abduction once, prediction of each pa*, nothing changed where nothing is asked."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from segue.causal.facts import Facts
from segue.errors import InputError
from segue.mechanisms.base import ImageMechanism, Moved, Moves

__all__ = ["abduct", "draw_one", "finite_image", "is_null", "mean_of", "predict", "predict_moved", "unless_null"]


def abduct(mechanism: ImageMechanism, facts: Facts, *, particles: int = 1, sample: bool = False) -> list[Any]:
    """The posterior of the facts: at its mean, or `particles` > 1 draws. With `sample`, a single particle is a draw.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> from segue.engine.answer import abduct_images, check_inputs
    >>> known = abduct_images(model, check_inputs(model, model.examples()[:2]))
    >>> len(abduct(model.mechanism, known.facts, particles=3))
    3
    """
    return [mechanism.abduct(facts, sample=sample or particles > 1) for _ in range(particles)]


def predict(
    mechanism: ImageMechanism, facts: Facts, posteriors: Sequence[Any], requests: Sequence[Tensor]
) -> list[Float[Tensor, "batch channel *space"]]:
    """x* under each pa* of `requests`, averaged over the posteriors.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> from segue.engine.answer import abduct_images, check_inputs
    >>> known = abduct_images(model, check_inputs(model, model.examples()[:2]))
    >>> (null,) = predict(model.mechanism, known.facts, known.posteriors, [known.facts.pa])
    >>> bool((null - known.facts.image).abs().max() < 1e-5)
    True
    """
    return [one.image for one in predict_moved(mechanism, facts, posteriors, requests)]


def predict_moved(
    mechanism: ImageMechanism, facts: Facts, posteriors: Sequence[Any], requests: Sequence[Tensor]
) -> list[Moved]:
    """What `predict` answers, with displacements; None of a mechanism that does not move.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> from segue.engine.answer import abduct_images, check_inputs
    >>> known = abduct_images(model, check_inputs(model, model.examples()[:1]))
    >>> ((image, moved),) = predict_moved(model.mechanism, known.facts, known.posteriors, [known.facts.pa])
    >>> bool(moved.any())
    False
    """
    answers = [draw_one(mechanism, facts, posterior, requests) for posterior in posteriors]
    return [mean_of(each) for each in zip(*answers, strict=True)]


def draw_one(mechanism: ImageMechanism, facts: Facts, posterior: Any, requests: Sequence[Tensor]) -> list[Moved]:
    """x* under each pa* from one posterior, with displacements.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> from segue.engine.answer import abduct_images, check_inputs
    >>> known = abduct_images(model, check_inputs(model, model.examples()[:1]))
    >>> len(draw_one(model.mechanism, known.facts, known.posteriors[0], [known.facts.pa] * 2))
    2
    """
    if isinstance(mechanism, Moves):
        return mechanism.moved(facts, posterior, requests)
    return [Moved(image, None) for image in mechanism.predict(facts, posterior, requests)]


def mean_of(draws: Sequence[Moved]) -> Moved:
    """The mean of the answers of several posteriors.

    >>> mean_of([Moved(torch.zeros(1, 1, 2), None), Moved(torch.ones(1, 1, 2), None)]).image
    tensor([[[0.5000, 0.5000]]])
    """
    images, fields = zip(*draws, strict=True)
    return Moved(mean_tensor(images), None if fields[0] is None else mean_tensor(fields))


def mean_tensor(tensors: Sequence[Shaped[Tensor, "*shape"]]) -> Shaped[Tensor, "*shape"]:
    """Their mean; where all are equal it is equal to them, bit for bit."""
    first = tensors[0]
    more = torch.zeros_like(first)
    for one in tensors[1:]:
        more += (one - first) / len(tensors)
    return first + more


def is_null(facts: Facts, requested: Float[Tensor, "batch variable"]) -> Bool[Tensor, " batch"]:
    """Whether a request changes no parent.

    >>> facts = Facts(torch.zeros(2, 1, 4, 4), torch.ones(2, 1), torch.ones(2, 1, 4, 4), torch.ones(2))
    >>> is_null(facts, torch.tensor([[1.0], [2.0]]))
    tensor([ True, False])
    """
    return (requested == facts.pa).all(1)


def unless_null(
    null: Bool[Tensor, " batch"],
    factual: Shaped[Tensor, "batch *rest"],
    answer: Shaped[Tensor, "batch *rest"],
) -> Shaped[Tensor, "batch *rest"]:
    """The answer, but where a request changes no parent the factual value, bit for bit.

    >>> unless_null(torch.tensor([True, False]), torch.tensor([1.0, 1.0]), torch.tensor([1.1, 2.0]))
    tensor([1., 2.])
    """
    return torch.where(null.reshape(-1, *[1] * (answer.ndim - 1)), factual, answer)


def finite_image(answer: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *space"]:
    """The answer itself.

    Raises:
        InputError: it holds values that are not finite: nobody may take it for an image.

    >>> finite_image(torch.tensor([[[1.0, torch.nan]]]))
    Traceback (most recent call last):
    segue.errors.InputError: the answer holds values that are not finite: ask for less, or check the model's weights
    """
    if not bool(answer.isfinite().all()):
        raise InputError("the answer holds values that are not finite: ask for less, or check the model's weights")
    return answer
