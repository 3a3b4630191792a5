"""The figure of extremes: each variable of one image, far below and far above what it is, by the methods compared."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segue.cohort.planes import Planes, central_voxel
from segue.engine.method import Method, Questions
from segue.evaluation.asked import Asked, in_turn
from segue.evaluation.effect import areas_by
from segue.evaluation.judge import Judge
from segue.pipeline.asking import Examination
from segue.pipeline.common import intensity_of
from segue.pipeline.pictures import in_large_figures
from segue.pipeline.scoring import Candidate
from segue.report.extremes import ExtremeRow, extremes_figure

EXTREMES = "extremes.png"
LADDER = (-3.0, -1.5, 1.5, 3.0)  # sd of the variable in training


def draw_extremes(asked: Examination, judge: Judge, found: Mapping[str, Candidate], path: Path) -> None:
    """A row for each variable and method, a column for each change; no file where no method answers any request.

    Methods: see `segue.pipeline.pictures.in_large_figures`. A folder of images answers exported
    requests only, and is left out.
    """
    names = in_large_figures(list(found))
    questions = far_questions(asked)
    by_method = {}
    for name in names:
        method, _ = found[name].open()
        if method.open_ended:
            torch.manual_seed(asked.study.evaluate.seed)  # of posterior samples, if any are drawn
            by_method[name] = list(extreme_rows(asked, judge, name, method, questions))
    rows = [row for of_variable in zip(*by_method.values(), strict=True) for row in of_variable]
    if rows:
        extremes_figure(path, rows=rows, levels=LADDER, intensity=intensity_of(asked.study).usual)


def far_questions(asked: Examination) -> list[Asked]:
    """For each change a batch with one image a variable: row v asks for variable v; areas are 0 at least."""
    measured = len(asked.parents.variables)
    images = np.array([typical_image(asked.pa[:, v], asked.parents.mean[v]) for v in range(measured)])
    now, sd = asked.pa[images, :measured], asked.parents.sd[:measured]
    batch = asked.chosen(images, title="extremes")
    least = asked.parents.variables.least.to(now)
    return [batch._replace(values=(now + change * sd).maximum(least)) for change in LADDER]


def typical_image(values: Tensor, mean: Tensor) -> int:
    """The first image nearest to the median of those that have something of the variable; nothing is drawn at random.

    >>> typical_image(torch.tensor([0.0, 0.0, 4.0, 5.0, 6.0]), torch.tensor(3.0))
    3
    """
    present = values >= 0.2 * mean
    median = values[present].median() if present.any() else values.median()
    return int(((values - median).abs() + 1e6 * ~present).argmin())


@torch.inference_mode()
def extreme_rows(
    asked: Examination, judge: Judge, name: str, method: Method, questions: list[Asked]
) -> Iterator[ExtremeRow]:
    """What a method answers, variable by variable, and how far the judge sees the variable move."""
    facts, sd = questions[0].facts, asked.parents.sd
    put = [judge.translate(one, method) for one in questions]
    answers = method.answer(Questions(put[0].ids, put[0].facts, [in_turn(one) for one in put]))
    before, *after = (areas_by(judge.segmentor, facts, image, asked.parents) for image in (facts.image, *answers))
    soft = judge.segmentor.soft(facts.image)
    for v, variable in enumerate(asked.parents.variables.names):
        part = soft[v, int(asked.parents.structure_of[v])] * facts.weights[v, v]
        column = torch.stack([image[v] for image in (facts.image, *answers)])
        images = list(asked.shown(column, [int(questions[0].places[v])] * len(column)))
        moved = tuple(float((areas[v, v] - before[v, v]) / sd[v]) for areas in after)
        yield ExtremeRow(variable, name, np.stack(as_pictures(images, part.cpu().numpy())), moved)


def as_pictures(images: list[np.ndarray], part: np.ndarray) -> list[np.ndarray]:
    """Images with two axes as they are; of three, the planes through the centre of a structure's part."""
    if part.ndim == 2:
        return images
    planes = Planes(part.shape, central_voxel(part))
    return [planes.picture(image) for image in images]
