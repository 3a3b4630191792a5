"""What everybody is asked: a fixed cohort of the phantom, fixed requests, and the true answers."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy import AxisPartition, Variables
from segue.causal.facts import Facts
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity
from segue.evaluation.asked import Asked, draw_requests
from segue.evaluation.truth import Truth
from segue.phantom import (
    ACROSS,
    ALONG,
    REGIONS,
    STRUCTURES,
    VARIABLES,
    Noise,
    areas,
    counterfactual,
    draw,
    render,
)

__all__ = ["OFFICIAL", "Task", "fixed_task"]

OFFICIAL, SEED = 100, 2028  # images; of no study of this repository
TASK_SIZE = (48, 144)
TASK_SPACING = (ACROSS / TASK_SIZE[0], ALONG / TASK_SIZE[1])
GRID = Grid(TASK_SIZE, intensity=Intensity((-200.0, 1200.0)), unit="mm2", pixel_area=TASK_SPACING[0] * TASK_SPACING[1])
TOGETHER = 10  # images of a batch


@dataclass(frozen=True)
class Task:
    """A cohort of the phantom under its independent law, and one request for each image and variable.

    A request takes one area to the value that it has in another image (`segue.evaluation.asked.draw_requests`), and
    holds the other eight. Areas are the true ones, in mm2.

    Attributes:
        noise: of the images. raw: in HU. areas: true. values: requested.

    >>> task = fixed_task(images=2)
    >>> task.raw.shape, task.values.shape, len(task.requests_hash)
    (torch.Size([2, 1, 48, 144]), torch.Size([2, 9]), 64)
    """

    noise: Noise
    raw: Float[Tensor, "image 1 height width"]
    areas: Float[Tensor, "image 9"]
    values: Float[Tensor, "image 9"]

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the images."""
        return tuple(f"phantom_{i:03d}" for i in range(len(self.raw)))

    @property
    def images_hash(self) -> str:
        """SHA-256 of the images: float32, little-endian, in order."""
        return hashlib.sha256(self.raw.numpy().astype("<f4").tobytes()).hexdigest()

    @property
    def requests_hash(self) -> str:
        """SHA-256 of the requests: for each a line `id variable value`, the value in mm2 with four decimals."""
        lines = [
            f"{id} {name} {float(self.values[i, v]):.4f}\n"
            for i, id in enumerate(self.ids)
            for v, name in enumerate(VARIABLES)
        ]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @cached_property
    def regions(self) -> Float[Tensor, "9 height width"]:
        """Where the structure of each variable is counted: the thirds of the vessel."""
        return phantom_variables().weights(torch.zeros(1, 0), TASK_SIZE)[0]

    @cached_property
    def truth(self) -> Truth:
        """The true counterfactuals, scaled by the grid of the benchmark."""
        values = self.values.double().numpy()
        found = [counterfactual(self.noise, {name: values[:, v]}, TASK_SIZE) for v, name in enumerate(VARIABLES)]
        images = torch.stack([torch.from_numpy(one.image) for one in found], dim=1)
        return Truth(GRID.scale(images), torch.stack([torch.from_numpy(one.well_posed) for one in found], dim=1))

    @property
    def sd(self) -> dict[str, float]:
        """Standard deviation of each true area in the cohort."""
        return dict(zip(VARIABLES, self.areas.std(0).tolist(), strict=True))

    def __iter__(self) -> Iterator[Asked]:
        """The questions, in batches."""
        for rows in torch.arange(len(self.raw)).split(TOGETHER):
            weights = self.regions.expand(len(rows), -1, -1, -1)
            pixel_area = torch.full((len(rows),), GRID.area(TASK_SPACING))
            facts = Facts(GRID.scale(self.raw[rows]), self.areas[rows], weights, pixel_area)
            truth = Truth(*(part[rows] for part in self.truth))
            yield Asked(rows, tuple(self.ids[i] for i in rows), facts, self.values[rows], truth)


@lru_cache(maxsize=2)
def fixed_task(images: int = OFFICIAL) -> Task:
    """The benchmark's task. Only that of `OFFICIAL` images counts; a smaller one is for tests of your own code.

    >>> task = fixed_task(images=2)
    >>> bool((task.values == task.areas.flip(0)).all())  # of two images each asks for the values of the other
    True
    """
    noise = draw(images, seed=SEED)
    true = torch.from_numpy(areas(noise)).float()
    return Task(noise, torch.from_numpy(render(noise, TASK_SIZE)[0]), true, draw_requests(true, SEED))


def phantom_variables() -> Variables:
    """The phantom's nine areas, each structure in the thirds of the vessel."""
    thirds = AxisPartition(regions=REGIONS, axis=1)
    return Variables(structures=STRUCTURES, partitions=dict.fromkeys(STRUCTURES, thirds))
