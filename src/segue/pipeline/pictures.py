"""The figure of an evaluation: which answers it shows is chosen before judging, so that it shows what was judged."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from segue.anatomy import variable_unit
from segue.nets.segmentor import Segmentor
from segue.pipeline.asking import Examination
from segue.pipeline.common import in_order, intensity_of
from segue.pipeline.recipes import NO_CFT
from segue.report.figure import figure1
from segue.report.figure_row import FigureRow, in_slices
from segue.study.schema import Study
from segue.text import in_digits

FIGURE1, MONTAGE = "figure1.png", "slices.png"
COMPARED = (NO_CFT, "pos_seg_cft", "segue")


def figure_requests(study: Study, asked: Examination) -> Iterator[tuple[int, int]]:
    """(place in the store, variable) of each row: clear requests, on images that have something to change."""
    measured = len(asked.parents.variables)
    for row in range(study.evaluate.rows):
        variable = (row * (measured // 2 + 1) + row // 2) % measured
        yield int(asked.places[clear_request(asked, variable, row)]), variable


def clear_request(asked: Examination, variable: int, rank: int) -> int:
    """The image whose request is closest to one and a half sd away, and which has some of the variable."""
    distance = (asked.values[:, variable] - asked.pa[:, variable]) / asked.parents.sd[variable]
    absent = asked.pa[:, variable] < 0.2 * asked.parents.mean[variable]
    cost = (distance.abs() - 1.5).abs() + 10 * absent
    return int(cost.argsort()[rank % max(1, len(cost) // 2)])


def draw_figure1(
    study: Study,
    asked: Examination,
    judge: Segmentor,
    requests: tuple[tuple[int, int], ...],
    pictures: Mapping[str, np.ndarray],
    directory: Path,
) -> None:
    """One row an intervention, a column a method: the very images that were judged (`pictures`, by method).

    Of volumes, `figure1.png` shows three planes, and `slices.png` a montage by the methods compared.
    """
    rows = [figure_row(study, asked, judge, request, {
        name: asked.shown(torch.from_numpy(images[i : i + 1]), [request[0]])[0] for name, images in pictures.items()
    }) for i, request in enumerate(requests)]  # fmt: skip
    if not rows:
        return
    methods, intensity = list(rows[0].counterfactuals), intensity_of(study).usual
    figure1(directory / FIGURE1, rows=rows, methods=methods, intensity=intensity)
    if rows[0].factual.ndim == 3:
        figure1(directory / MONTAGE, rows=in_slices(rows), methods=in_large_figures(methods), intensity=intensity)


def in_large_figures(methods: Sequence[str]) -> list[str]:
    """The methods of figures with large images: those of `COMPARED`, or else the first three."""
    return [name for name in COMPARED if name in methods] or list(methods)[: len(COMPARED)]


@torch.inference_mode()
def figure_row(
    study: Study, asked: Examination, judge: Segmentor, request: tuple[int, int], images: dict[str, np.ndarray]
) -> FigureRow:
    """One intervention: its title, the factual image with the judge's outlines, the region, the answers."""
    place, v = request
    i = int(np.flatnonzero(asked.places == place)[0])
    store = asked.store
    (batch,) = in_order(study, store, [place], title=f"figure {asked.parents.variables.names[v]}")
    weights = asked.parents.weights(asked.frames[i : i + 1], store.size)
    old, new = float(asked.pa[i, v]), float(asked.values[i, v])
    change = f" ({100 * (new / old - 1):+.0f}%)" if old > 0 else ""
    name = asked.parents.variables.names[v]
    return FigureRow(
        title=f"do({name} = {f'{in_digits(new)} {variable_unit(name, store.unit)}'.strip()}{change})",
        factual=asked.shown(batch["image"], [place])[0],
        counterfactuals=images,
        region=weights[0, v].cpu().numpy(),
        outlines=dict(zip(store.structures, judge.soft(batch["image"])[0].cpu().numpy(), strict=True)),
        asked=store.structures[int(asked.parents.structure_of[v])],
    )
