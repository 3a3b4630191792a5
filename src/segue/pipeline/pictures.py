"""The figure of an evaluation: which answers it shows is chosen before judging, so that it shows what was judged."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segue.cohort.window import unscaled
from segue.nets.segmentor import Segmentor
from segue.pipeline.asking import Examination
from segue.pipeline.common import in_order, intensity_of
from segue.report.figure import FigureRow, figure1
from segue.study.schema import Study


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
    path: Path,
) -> None:
    """One row an intervention, a column a method: the very images that were judged (`pictures`, by method)."""
    rows = [figure_row(study, asked, judge, request, {
        name: raw_plane(torch.from_numpy(images[i]), study) for name, images in pictures.items()
    }) for i, request in enumerate(requests)]  # fmt: skip
    if rows:
        figure1(path, rows=rows, methods=list(rows[0].counterfactuals), intensity=intensity_of(study).usual)


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
    return FigureRow(
        title=f"do({asked.parents.variables.names[v]} = {new:.3g} {store.unit}{change})",
        factual=raw_plane(batch["image"][0], study),
        counterfactuals=images,
        region=weights[0, v].cpu().numpy(),
        outlines=dict(zip(store.structures, judge.soft(batch["image"])[0].cpu().numpy(), strict=True)),
    )


def raw_plane(image: Tensor, study: Study) -> np.ndarray:
    """The first channel of a scaled image (channel, *space), in raw units, by the usual window for all."""
    return unscaled(image, intensity_of(study).usual)[0].cpu().numpy()
