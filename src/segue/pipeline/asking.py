"""What every method is asked: the chosen images, one request for each variable, and the true answers if known."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.causal.facts import Facts
from segue.causal.parents import Parents
from segue.cohort import Store
from segue.cohort.window import scaled
from segue.engine.method import Images, Method, Questions, still
from segue.evaluation.asked import Asked, draw_donors
from segue.evaluation.truth import Truth
from segue.pipeline.common import TOGETHER, covariate_values, device, grid_of, in_order, measured_images
from segue.study.schema import Study

Oracle = Callable[[Sequence[str], Float[Tensor, "batch measured"]], Truth]
"""From ids of images and the values asked of each variable to the true counterfactuals."""


class Examination:
    """The chosen images with one request for each variable, as batches; the same for every method.

    Called with a title, it gives the batches anew. Parents are measured once. True answers are rendered once and held
    in memory.
    """

    def __init__(
        self,
        study: Study,
        store: Store,
        parents: Parents,
        places: np.ndarray,
        oracle: Oracle | None = None,
    ) -> None:
        self.study, self.store, self.parents, self.places = study, store, parents, places
        measured = measured_images(study, store, parents, places)
        areas = measured.areas
        given = covariate_values(store, study.cohort.covariates)[torch.from_numpy(places)]
        self.pa = torch.cat([areas, given.to(areas)], dim=1)
        self.frames = measured.frames
        self.fallbacks = measured.fallbacks(parents, len(store.size))
        self.donors = draw_donors(len(areas), areas.shape[1], study.evaluate.seed)  # whose values are requested
        self.values = areas.gather(0, self.donors.to(areas.device))
        self.subjects: list[str] = store.table["subject"].to_list()  # of every image in the store
        self.sd = dict(zip(parents.variables.names, parents.sd.tolist(), strict=False))
        self.ids: list[str] = store.table["id"][places.tolist()].to_list()
        self.truth = None if oracle is None else true_answers(oracle, self.ids, self.values)

    def __call__(self, title: str) -> Iterator[Asked]:
        first = 0
        for batch in in_order(self.study, self.store, self.places, title=title):
            rows = slice(first, first := first + len(batch["image"]))
            weights = self.parents.weights(self.frames[rows], self.store.size)
            facts = Facts(batch["image"], self.pa[rows], weights, batch["pixel_area"], spacing=batch["spacing"])
            truth = None
            if self.truth is not None:
                truth = Truth(*(part[rows].to(device()) for part in self.truth))
            places = torch.from_numpy(self.places[rows])
            yield Asked(places, tuple(self.ids[rows]), facts, self.values[rows], truth)

    @cached_property
    def windows(self) -> Float[Tensor, "image 2"]:
        """By which each image, and every answer to it, is scaled; in the order of `ids`."""
        grid, parts = grid_of(self.study, self.store), torch.from_numpy(self.places).split(TOGETHER)
        return torch.cat([grid.window(self.store.read(part.numpy(), fractions=False)["image"]) for part in parts])

    def shown(
        self, images: Float[Tensor, "image channel *space"], places: Sequence[int]
    ) -> Float[np.ndarray, "image *space"]:
        """Scaled images, factual or answers, as figures show them: by the usual intensity, marks put back.

        Args:
            places: in the store, of the factual images.
        """
        grid, raw = grid_of(self.study, self.store), self.store.read(np.array(places), fractions=False)["image"]
        with_marks = torch.where(grid.marked, scaled(raw, grid.window(raw)), images.cpu())
        return grid.unscale(with_marks)[:, 0].numpy()

    def chosen(self, rows: np.ndarray, title: str) -> Asked:
        """Some of the images by their rows, repeats allowed, in one batch, with their requests but no true answers."""
        batches = list(in_order(self.study, self.store, self.places[rows], title=title))
        parts = ("image", "pixel_area", "spacing")
        image, area, spacing = (torch.cat([batch[key] for batch in batches]) for key in parts)
        weights = self.parents.weights(self.frames[rows], self.store.size)
        facts = Facts(image, self.pa[rows], weights, area, spacing=spacing)
        ids = tuple(self.ids[row] for row in rows)
        return Asked(torch.from_numpy(self.places[rows]), ids, facts, self.values[rows])

    def oracle(self) -> Method:
        """The true counterfactuals as a method."""
        assert self.truth is not None
        images, rows = self.truth.image, {id: row for row, id in enumerate(self.ids)}

        def respond(questions: Questions) -> Images:
            of_batch = images[torch.tensor([rows[id] for id in questions.ids])]
            return list(of_batch.to(questions.facts.image.device).unbind(1))

        return Method(still(respond), open_ended=False)


def true_answers(oracle: Oracle, ids: Sequence[str], values: Float[Tensor, "image measured"]) -> Truth:
    """The oracle's answers, in batches."""
    wanted = values.cpu()
    parts = [oracle(ids[i : i + TOGETHER], wanted[i : i + TOGETHER]) for i in range(0, len(ids), TOGETHER)]
    return Truth(*(torch.cat(part) for part in zip(*parts, strict=True)))
