"""What may enter the benchmark: a `Method`, a model of segue, a baseline, or a folder of images made elsewhere."""

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from segue.baselines import BASELINES, BaselineParts, of_folder
from segue.causal.parents import Parents
from segue.cohort.grid import Grid
from segue.engine.method import Images, Method, of_mechanism, still
from segue.engine.model import Model
from segue.errors import InputError, nearest
from segue.evaluation.asked import Asked, translated
from segue.leaderboard.task import GRID, Task
from segue.mechanisms.base import ImageMechanism
from segue.phantom import VARIABLES

__all__ = ["TRUE_ANSWERS", "UNTRAINED", "Entry", "of_baseline", "of_files", "of_model", "of_truth"]

UNTRAINED = ("nothing", "untrained_warp", "test_time_deformation")
"""The baselines that need a guide, and nothing that is trained."""
TRUE_ANSWERS = "truth"


class Entry(NamedTuple):
    """A method, and how it is asked.

    Attributes:
        method: answers in the range of `grid`.
        parents: the guide that measures the factual image for it: it is asked for the same *changes* of what that
            measures. None: it is told the true areas.
        grid: by which images are scaled for it.

    >>> from segue.engine.method import of_function
    >>> Entry(of_function(lambda facts, requested: facts.image)).grid.size
    (48, 144)
    """

    method: Method
    parents: Parents | None = None
    grid: Grid = GRID

    def answer(self, asked: Asked) -> Images:
        """x* of every request, in the range of the benchmark's grid."""
        image = asked.facts.image
        put = asked._replace(facts=asked.facts._replace(image=between(GRID, self.grid, image)))
        if self.parents is not None:
            put = translated(put, self.parents)
        return [between(self.grid, GRID, one) for one in self.method.answer(put.questions)]


def between(one: Grid, other: Grid, image: Tensor) -> Tensor:
    """An image scaled by one grid, scaled by another."""
    return image if one.intensity == other.intensity else other.scale(one.unscale(image))


def of_model(model: Model) -> Entry:
    """A model of segue: shipped, exported or of a run.

    Raises:
        InputError: it has another grid or other variables than the phantom of the benchmark.

    >>> import segue
    >>> of_model(segue.load("coronary-phantom")).parents is not None
    True
    """
    if model.grid.size != GRID.size or model.variables != VARIABLES or model.grid.intensity.rule is not None:
        raise InputError(
            f"the model has images of {model.grid.size} and variables {', '.join(model.variables)}; give one of the "
            f"phantom's nine areas on {GRID.size} pixels in HU (studies/coronary-phantom-full.yaml)"
        )
    return Entry(of_mechanism(model.mechanism), model.parents, model.grid)


def of_baseline(name: str, guide: Model) -> Entry:
    """One of `UNTRAINED`, with the guide of a model.

    Raises:
        InputError: there is no such baseline.

    >>> import segue
    >>> of_baseline("nothing", segue.load("coronary-phantom")).method.open_ended
    True
    """
    if name not in UNTRAINED:
        raise InputError(f"{name}: is no baseline of the benchmark{nearest(name, UNTRAINED)}")

    def pretrained() -> ImageMechanism:
        raise InputError(f"{name}: needs a pre-trained mechanism, which the benchmark does not give")

    return Entry(BASELINES[name](BaselineParts(guide.parents, guide.grid, pretrained)), guide.parents, guide.grid)


def of_files(folder: Path, task: Task) -> Entry:
    """A folder of images that answer the exported requests, in HU.

    Raises:
        InputError: the folder or one of its files is missing.

    >>> from segue.leaderboard.task import fixed_task
    >>> of_files(Path("nowhere"), fixed_task(images=2))
    Traceback (most recent call last):
    segue.errors.InputError: nowhere: no such folder; give the folder of the images that answer the exported requests
    """
    return Entry(of_folder(folder, ids=task.ids, variables=VARIABLES, grid=GRID))


def of_truth(task: Task) -> Entry:
    """The true counterfactuals: the error that the judge has with a perfect answer.

    >>> from segue.leaderboard.task import fixed_task
    >>> of_truth(fixed_task(images=2)).method.open_ended
    False
    """
    rows = {id: row for row, id in enumerate(task.ids)}
    return Entry(
        Method(
            still(lambda questions: list(task.truth.image[[rows[id] for id in questions.ids]].unbind(1))),
            open_ended=False,
        )
    )
