"""What methods are asked for judging: factual images with one request for each measured variable."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.causal.facts import Facts
from segue.causal.parents import Parents
from segue.engine.method import Questions, one_at_a_time
from segue.evaluation.truth import Truth

__all__ = ["Asked", "draw_donors", "draw_requests", "translated"]


class Asked(NamedTuple):
    """A batch of factual images with one request for each measured variable.

    Attributes:
        places: in the store. ids: of the images. facts: what is known of them.
        values: requested, one a variable. truth: the true answers, where the cohort knows them.

    >>> facts = Facts(torch.zeros(1, 1, 4, 4), torch.zeros(1, 2), torch.ones(1, 2, 4, 4), torch.ones(1))
    >>> Asked(torch.tensor([0]), ("a",), facts, torch.tensor([[5.0, 6.0]])).questions.requests
    [tensor([[5., 0.]]), tensor([[0., 6.]])]
    """

    places: Int[Tensor, " batch"]
    ids: tuple[str, ...]
    facts: Facts
    values: Float[Tensor, "batch measured"]
    truth: Truth | None = None

    @property
    def questions(self) -> Questions:
        """Each variable set to its value, all others held."""
        return Questions(self.ids, self.facts, one_at_a_time(self.facts.pa, self.values))


def draw_requests(measured: Float[Tensor, "image measured"], seed: int) -> Float[Tensor, "image measured"]:
    """For each image and variable a value that another image has: the marginal, by permutation without fixed points.

    >>> draw_requests(torch.tensor([[1.0], [2.0]]), seed=0).flatten().tolist()
    [2.0, 1.0]
    """
    return measured.gather(0, draw_donors(len(measured), measured.shape[1], seed).to(measured.device))


def draw_donors(images: int, variables: int, seed: int) -> Int[Tensor, "image variable"]:
    """For each image and variable the image whose value is requested: permutations without fixed points.

    >>> draw_donors(2, 1, seed=0).flatten().tolist()
    [1, 0]
    """
    generator = torch.Generator().manual_seed(seed)
    donors = torch.empty(images, variables, dtype=torch.long)
    for column in range(variables):
        order = torch.randperm(images, generator=generator)
        donors[order, column] = order.roll(1)
    return donors


@torch.inference_mode()
def translated(asked: Asked, parents: Parents) -> Asked:
    """The same questions in the regions of other `parents`: each asks for the same *change* of its variable.

    A region that is cut elsewhere has another area before anything is asked, so values do not translate. Areas are
    clamped at 0.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> x = model.grid.scale(model.examples()[:1])
    >>> facts = Facts(x, torch.zeros(1, 9), torch.ones(1, 9, 48, 144), torch.ones(1))
    >>> put = translated(Asked(torch.tensor([0]), ("a",), facts, torch.ones(1, 9)), model.parents)
    >>> torch.allclose(put.values - put.facts.pa, torch.ones(1, 9), atol=1e-3)
    True
    """
    image, pa, pixel_area, spacing = asked.facts.image, asked.facts.pa, asked.facts.pixel_area, asked.facts.spacing
    areas, frames = parents.factual(image, pixel_area, spacing)
    before, given = pa.split([areas.shape[1], pa.shape[1] - areas.shape[1]], dim=1)
    weights = parents.weights(frames, tuple(image.shape[2:]))
    return asked._replace(
        facts=Facts(image, torch.cat([areas, given], dim=1), weights, pixel_area, spacing=spacing),
        values=(areas + asked.values - before).maximum(parents.variables.least.to(areas)),
    )


def turn(asked: Asked) -> Int[Tensor, " batch"]:
    """The variable whose turn it is, for each image of a batch."""
    return torch.arange(len(asked.values)) % asked.values.shape[1]


def in_turn(asked: Asked) -> Float[Tensor, "batch variable"]:
    """pa*, one variable of each image set to its request."""
    images, variables = torch.arange(len(asked.values)), turn(asked)
    requested = asked.facts.pa.clone()
    requested[images, variables] = asked.values[images, variables]
    return requested
