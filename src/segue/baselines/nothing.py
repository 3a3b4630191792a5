"""The factual image, whatever was asked: the least that a method must improve on."""

from segue.causal.parents import Parents
from segue.cohort.grid import Grid
from segue.engine.method import Method, of_function


def do_nothing(parents: Parents, grid: Grid) -> Method:
    """The method that changes nothing.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> do_nothing(model.parents, model.grid).open_ended
    True
    """
    return of_function(lambda facts, requested: facts.image)
