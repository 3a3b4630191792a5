"""The oracle of a study's own cohort: true counterfactuals, where it is simulated and measured as it was made."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy import AxisPartition
from segue.errors import InputError
from segue.evaluation.truth import Truth
from segue.phantom import REGIONS, VARIABLES, counterfactual, noise_of, render
from segue.phantom.stenosis import STENOSES
from segue.pipeline.asking import Oracle
from segue.pipeline.common import grid_of, open_store
from segue.study.derived import as_judged, variables
from segue.study.schema import Phantom, Study


def known_oracle(study: Study) -> Oracle | None:
    """The phantom's true counterfactuals, each from the noise of its own factual; None where nobody knows them.

    One variable is set and all others are held, as the image mechanism is asked: nothing propagates. The area of a
    third that is no variable of the study follows the stenosis that is set there.
    """
    phantom, size = study.cohort.phantom, study.cohort.size
    if phantom is None or not measured_as_drawn(study):
        return None
    height, width = size
    names = variables(study).names
    check_store(study, phantom, (height, width))
    grid = grid_of(study, open_store(study))
    free = set(VARIABLES) - set(names)

    def answer(ids: Sequence[str], values: Float[Tensor, "batch measured"]) -> Truth:
        noise = noise_of(ids, seed=phantom.seed, law=phantom.law)
        areas = values.double().numpy()
        asked = {name: areas[:, v] for v, name in enumerate(names)}
        truths = [counterfactual(noise, {name: one}, (height, width), free=free) for name, one in asked.items()]
        images = torch.stack([torch.from_numpy(truth.image) for truth in truths], dim=1)
        well_posed = torch.stack([torch.from_numpy(truth.well_posed) for truth in truths], dim=1)
        factual, _ = render(noise, (height, width))
        return Truth(grid.scale(images, grid.window(torch.from_numpy(factual))), well_posed)

    return answer


def check_store(study: Study, phantom: Phantom, size: tuple[int, int]) -> None:
    """Raise InputError where the stored images are not those that the phantom draws now: its truth is of others."""
    store = open_store(study)
    image, _ = render(noise_of(store.table["id"][:1].to_list(), seed=phantom.seed, law=phantom.law), size)
    if not np.array_equal(store.read(np.arange(1), fractions=False)["image"].numpy(), image):
        where = study.directory / "prepare"
        raise InputError(f"{where}: another version of the phantom drew these images; remove it to draw and train anew")


def measured_as_drawn(study: Study) -> bool:
    """Whether what the study is judged by are the phantom's variables, each in its third of the vessel: its nine areas,
    or the stenosis of a third of the lumen beside its area or in its place."""
    measured, size = variables(as_judged(study)), study.cohort.size
    thirds = AxisPartition(regions=REGIONS, axis=1)
    frame = torch.zeros(1, 0)
    known = {*VARIABLES, *STENOSES}.issuperset(measured.names)
    return known and {name.partition(":")[0] for name in measured.names} == set(VARIABLES) and all(
        part.params(2) == 0 and torch.allclose(part.weights(frame, size), thirds.weights(frame, size))
        for part in measured.partitions.values()
    )
