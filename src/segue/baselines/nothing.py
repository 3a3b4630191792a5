"""The factual image, whatever was asked: the least that a method must improve on."""

from segue.baselines.base import BaselineParts
from segue.engine.method import Method, of_function


def do_nothing(parts: BaselineParts) -> Method:
    """The method that changes nothing.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> do_nothing(BaselineParts(model.parents, model.grid, lambda: model.mechanism)).open_ended
    True
    """
    return of_function(lambda facts, requested: facts.image)
