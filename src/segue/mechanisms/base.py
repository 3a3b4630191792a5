"""What an image mechanism is: abduction and prediction; and what only some can do besides.

Abduction, action, prediction (Pearl, Causality, 2009, 7.1): a mechanism abducts a posterior of its noise from factual
images, and predicts images under other parents from that posterior. Nobody else looks into a posterior.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn

from segue.causal.facts import Facts
from segue.causal.parents import Parents

__all__ = [
    "Coded",
    "Ensembled",
    "ImageMechanism",
    "Likelihood",
    "Moved",
    "Moves",
    "Posterior",
    "Samples",
    "Shapes",
    "Smooths",
    "Trainable",
    "offered",
]

Terms = dict[str, Tensor]
"""Parts of a loss by name, to be logged."""
Loss = tuple[Tensor, Terms]


@runtime_checkable
class Posterior(Protocol):
    """What a mechanism inferred of a batch of images. Only the mechanism knows what is in it.

    >>> class Nothing:
    ...     def rows(self, index):
    ...         return self
    >>> isinstance(Nothing(), Posterior)
    True
    """

    def rows(self, index: Int[Tensor, " row"]) -> "Posterior":
        """The posterior of some images, repeats allowed."""
        ...


@runtime_checkable
class ImageMechanism(Protocol):
    """x = f(pa, u): the mechanism of the image, with its parents.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> isinstance(model.mechanism, ImageMechanism)
    True
    """

    parents: Parents

    def abduct(self, facts: Facts, *, sample: bool = False) -> Any:
        """The posterior of u given (x, pa): at its mean, or with `sample` one draw."""
        ...

    def predict(
        self, facts: Facts, posterior: Any, requests: Sequence[Float[Tensor, "batch variable"]]
    ) -> list[Float[Tensor, "batch channel *space"]]:
        """x* under each of several parents pa*, all from one posterior."""
        ...


@runtime_checkable
class Trainable(Protocol):
    """A mechanism that is trained on factual images, and fine-tuned with counterfactuals.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> isinstance(model.mechanism, Trainable), isinstance(model.mechanism.inner, Trainable)
    (False, True)
    """

    def loss(self, facts: Facts, progress: float) -> Loss:
        """What pre-training minimises on a batch. `progress` is the share of the training that is done."""
        ...

    def fidelity(self, facts: Facts, posterior: Any) -> Float[Tensor, " batch"]:
        """How well the factual images are explained, higher is better, with a gradient: fine-tuning's constraint."""
        ...

    def tuned(self) -> Sequence[nn.Module]:
        """What fine-tuning changes. All else stays as pre-training left it."""
        ...

    def networks(self) -> dict[str, nn.Module]:
        """What is saved: networks (hub mixins, see `save_network`), by folder; "" is the training's own."""
        ...


@runtime_checkable
class Likelihood(Protocol):
    """A mechanism with a likelihood, or a lower bound of it.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> offered(model.mechanism, Likelihood) is model.mechanism.inner
    True
    """

    def log_likelihood(self, facts: Facts, posterior: Any) -> Float[Tensor, " batch"]:
        """log p(x | pa), or its lower bound, in nats per pixel and channel."""
        ...


@runtime_checkable
class Samples(Protocol):
    """A mechanism that generates images of nobody.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> offered(model.mechanism, Samples) is model.mechanism.inner
    True
    """

    def sample(
        self, pa: Float[Tensor, "batch variable"], weights: Float[Tensor, "batch measured *space"]
    ) -> Float[Tensor, "batch channel *space"]:
        """Images with these parents, their noise drawn from its prior."""
        ...


class Moved(NamedTuple):
    """x*, and how the image was moved: x* at p shows what x shows at p + displacement(p), but for what is painted.

    The displacement is in pixels; None of a mechanism that does not move.

    >>> import torch
    >>> Moved(torch.zeros(1, 1, 4, 4), None).displacement is None
    True
    """

    image: Float[Tensor, "batch channel *space"]
    displacement: Float[Tensor, "batch dims *space"] | None


@runtime_checkable
class Moves(Protocol):
    """A mechanism that moves what is in the image: part of its answer is the image, resampled.

    >>> import segue
    >>> offered(segue.load("coronary-phantom").mechanism, Moves) is None
    False
    """

    def moved(
        self, facts: Facts, posterior: Any, requests: Sequence[Float[Tensor, "batch variable"]]
    ) -> list[Moved]:
        """What `predict` answers under each of several parents pa*, with the displacements."""
        ...


@runtime_checkable
class Smooths(Protocol):
    """A mechanism that knows an image without its noise.

    >>> import segue
    >>> offered(segue.load("coronary-phantom").mechanism.inner.painter, Smooths) is None
    False
    """

    def smooth(self, facts: Facts, posterior: Any) -> Float[Tensor, "batch channel *space"]:
        """The expected image given what was abducted, but for the pixels' noise."""
        ...


@runtime_checkable
class Shapes(Protocol):
    """A mechanism that shapes changes before it adds them to an image.

    >>> import segue
    >>> offered(segue.load("coronary-phantom").mechanism, Shapes) is None
    False
    """

    def shape(self, change: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *space"]:
        """A change, without what is too small or too sharp to be anatomy."""
        ...


@runtime_checkable
class Coded(Protocol):
    """A mechanism that decodes images from a code, of which images are a differentiable function.

    >>> import segue
    >>> offered(segue.load("coronary-phantom").mechanism.inner.painter, Coded) is None
    False
    """

    def code(self, posterior: Any) -> list[Tensor]:
        """What was abducted of the images, but for the pixels' noise: tensors (batch, ...)."""
        ...

    def predict_from(
        self, facts: Facts, posterior: Any, code: list[Tensor], requested: Float[Tensor, "batch variable"]
    ) -> Float[Tensor, "batch channel *space"]:
        """x* under pa*, decoded from another code, with the abducted noise."""
        ...


@runtime_checkable
class Ensembled(Protocol):
    """A mechanism whose answers are measured by further segmentors, trained like the guide.

    >>> import segue
    >>> len(offered(segue.load("coronary-phantom").mechanism, Ensembled).ensemble)
    3
    """

    ensemble: nn.ModuleList


def offered(mechanism: Any, capability: Any) -> Any:
    """The mechanism, or the one that it wraps (`inner`), which has a capability; None where neither has.

    Args:
        capability: `Trainable`, `Likelihood`, `Samples`, `Moves`, ....

    >>> offered(object(), Samples) is None
    True
    """
    while mechanism is not None:
        if isinstance(mechanism, capability):
            return mechanism
        mechanism = getattr(mechanism, "inner", None)
    return None
