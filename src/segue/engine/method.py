"""A method: from a batch of questions to images. A mechanism is one; so is a function; so is a folder of images.

Evaluation, report and explorer know methods only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from segue.causal.facts import Facts
from segue.engine.predict import abduct, is_null, predict_moved, unless_null
from segue.mechanisms.base import ImageMechanism, Likelihood, Moved, offered

__all__ = [
    "Method",
    "Questions",
    "log_likelihood",
    "of_function",
    "of_mechanism",
    "one_at_a_time",
    "set_one",
    "still",
]

Images = list[Float[Tensor, "batch channel *space"]]


class Questions(NamedTuple):
    """A batch of factual images, and what is asked of them.

    Attributes:
        ids: of the images. facts: what is known of them.
        requests: several pa* (batch, variable), asked of every image.

    >>> import torch
    >>> facts = Facts(torch.zeros(1, 1, 4, 4), torch.ones(1, 2), torch.ones(1, 2, 4, 4), torch.ones(1))
    >>> Questions(("a",), facts, [facts.pa + 1]).requests
    [tensor([[2., 2.]])]
    """

    ids: tuple[str, ...]
    facts: Facts
    requests: list[Tensor]


Respond = Callable[[Questions], list[Moved]]


@dataclass(frozen=True)
class Method:
    """What is judged.

    Attributes:
        respond: from questions to x*, one batch of images for each request, scaled to the networks' range; with the
            displacement of each, in pixels, where a method moves what is in the image (`segue.mechanisms.base.Moved`).
        open_ended: whether it answers any question. A folder of images made elsewhere does not: it answers those that
            were exported.
        mechanism: the image mechanism, if it is one; a likelihood and regions of its own come from there.
        draw: for a method that abducts, the same of one posterior sample.

    >>> import torch
    >>> facts = Facts(torch.zeros(1, 1, 1, 2), torch.ones(1, 2), torch.ones(1, 2, 1, 2), torch.ones(1))
    >>> brighter = of_function(lambda facts, requested: facts.image + 0.5)
    >>> null, changed = brighter.answer(Questions(("a",), facts, [facts.pa, facts.pa + 1]))
    >>> null.sum(), changed.sum()
    (tensor(0.), tensor(1.))
    """

    respond: Respond
    open_ended: bool = True
    mechanism: ImageMechanism | None = None
    draw: Respond | None = None

    def answer(self, questions: Questions) -> Images:
        """x* of every request; the factual image itself, bit for bit, where a request changes no parent."""
        return [one.image for one in self.moved(questions)]

    def moved(self, questions: Questions) -> list[Moved]:
        """The same with displacements, which are 0 where a request changes no parent."""
        each = zip(questions.requests, self.respond(questions), strict=True)
        return [unmoved_if_null(questions.facts, pa_star, answer) for pa_star, answer in each]

    @property
    def likelihood(self) -> Likelihood | None:
        """The mechanism's likelihood, if it has one."""
        return offered(self.mechanism, Likelihood)


def unmoved_if_null(facts: Facts, pa_star: Tensor, answer: Moved) -> Moved:
    """The answer, but the factual image and no displacement where a request changes no parent."""
    null, field = is_null(facts, pa_star), answer.displacement
    return Moved(
        unless_null(null, facts.image, answer.image),
        None if field is None else unless_null(null, torch.zeros_like(field), field),
    )


def still(images: Callable[[Questions], Images]) -> Respond:
    """The answers of a method that moves nothing, from a function that gives their images.

    >>> still(lambda questions: [torch.zeros(1, 1, 4, 4)])(None)[0].displacement is None
    True
    """
    return lambda questions: [Moved(image, None) for image in images(questions)]


def of_mechanism(mechanism: ImageMechanism, *, particles: int = 1, sample: bool = False) -> Method:
    """The method that a mechanism is: each image abducted once (see `segue.engine.predict.abduct`).

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> of_mechanism(model.mechanism).likelihood is not None
    True
    """

    def answers(questions: Questions, *, particles: int, sample: bool) -> list[Moved]:
        posteriors = abduct(mechanism, questions.facts, particles=particles, sample=sample)
        return predict_moved(mechanism, questions.facts, posteriors, questions.requests)

    respond, draw = partial(answers, particles=particles, sample=sample), partial(answers, particles=1, sample=True)
    return Method(respond, mechanism=mechanism, draw=draw)


def of_function(function: Callable[[Facts, Tensor], Tensor]) -> Method:
    """A plain function from facts and one pa* to x* (batch, channel, *space), scaled to the networks' range.

    >>> nothing = of_function(lambda facts, requested: facts.image)
    >>> nothing.open_ended
    True
    """
    return Method(still(lambda asked: [function(asked.facts, request) for request in asked.requests]))


def log_likelihood(mechanism: Any, facts: Facts) -> Float[Tensor, " batch"] | None:
    """log p(x | pa) of factual images at the posterior's mean, nats per pixel; None without a likelihood.

    >>> import torch
    >>> facts = Facts(torch.zeros(1, 1, 4, 4), torch.ones(1, 2), torch.ones(1, 2, 4, 4), torch.ones(1))
    >>> log_likelihood(None, facts) is None
    True
    """
    likelihood = offered(mechanism, Likelihood)
    return None if likelihood is None else likelihood.log_likelihood(facts, mechanism.abduct(facts))


def set_one(pa: Float[Tensor, "batch variable"], variable: int, value: Float[Tensor, " batch"]) -> Tensor:
    """pa with one variable set.

    >>> import torch
    >>> set_one(torch.zeros(1, 3), 1, torch.tensor([5.0]))
    tensor([[0., 5., 0.]])
    """
    requested = pa.clone()
    requested[:, variable] = value
    return requested


def one_at_a_time(pa: Tensor, values: Float[Tensor, "batch measured"]) -> list[Tensor]:
    """A pa* for each measured variable, which alone is set to its value.

    >>> import torch
    >>> one_at_a_time(torch.zeros(1, 2), torch.tensor([[5.0, 6.0]]))
    [tensor([[5., 0.]]), tensor([[0., 6.]])]
    """
    return [set_one(pa, v, values[:, v]) for v in range(values.shape[1])]
