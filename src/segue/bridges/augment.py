"""Counterfactuals as augmentation: one image, a request drawn at random, and labels that fit the answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from segue.anatomy import hard
from segue.causal.request import Request, check_request
from segue.engine.answer import abduct_images, check_inputs, predictions
from segue.engine.asked import requested_parents
from segue.engine.model import Model
from segue.errors import InputError
from segue.mechanisms.base import Moves, offered

__all__ = [
    "DrawnRequests",
    "LabelSource",
    "answer_one",
    "changed_labels",
    "check_requests",
    "check_sources",
    "draw_request",
    "rows_first",
    "warped_labels",
]

DrawnRequests = Mapping[str, tuple[float | int, float | int]] | Sequence[Mapping[str, float | int | str]]
"""By variable, a range of changes in sd; or a list of requests."""
LabelSource = Literal["guide", "warp"]
"""Labels of an answer. `guide`: the guide's segmentation of it (0, or k of the k-th structure). `warp`: the given
labels, moved as the image was (only where the mechanism moves; what is painted anew moves no label)."""


def check_requests(model: Model, requests: DrawnRequests) -> None:
    """Refuse requests that the model cannot be asked.

    Raises:
        InputError: there is none, an unknown variable, a malformed request or range.

    >>> import segue
    >>> check_requests(segue.load("coronary-phantom"), {"lumen@middle": (-1, 1)})
    Traceback (most recent call last):
    segue.errors.InputError: unknown variable 'lumen@middle'; did you mean lumen@mid?
    """
    if not requests:
        raise InputError('requests is empty; give {"variable": (low, high)} in sd, or a list of requests')
    if not isinstance(requests, Mapping):
        for one in requests:
            check_request(Request(dict(one)), model.variables)
        return
    for name, limits in requests.items():
        check_request(Request({name: "0sd"}), model.variables)
        if len(limits) != 2 or not limits[0] <= limits[1]:
            raise InputError(f"requests: {name} is {limits}; give (low, high) in sd, or a list of requests")


def check_sources(model: Model, sources: Mapping[Any, str]) -> None:
    """Refuse a source of labels that is not known, or that the model does not have (see `LabelSource`).

    >>> import segue
    >>> check_sources(segue.load("coronary-phantom"), {"label": "mine"})
    Traceback (most recent call last):
    segue.errors.InputError: the labels of label are 'mine'; choose guide or warp
    """
    for key, source in sources.items():
        if source not in get_args(LabelSource):
            raise InputError(f"the labels of {key} are {source!r}; choose {' or '.join(get_args(LabelSource))}")
        if source == "warp" and offered(model.mechanism, Moves) is None:
            raise InputError(f"the labels of {key} are warp, and this model moves nothing; choose guide")


def draw_request(requests: DrawnRequests, uniform: Callable[[], float]) -> dict[str, float | int | str]:
    """A request at random: one of the variables, and a change from its range; or one of the list.

    Args:
        uniform: numbers from 0 to 1, 1 excluded; all chance comes from it.

    >>> draw_request({"lumen@mid": (-2.0, 2.0)}, lambda: 0.75)
    {'lumen@mid': '+1sd'}
    """
    names = list(requests)
    chosen = names[int(uniform() * len(names))]
    if not isinstance(requests, Mapping):
        return dict(chosen)  # type: ignore[arg-type]
    low, high = requests[chosen]  # type: ignore[index]
    return {str(chosen): f"{low + (high - low) * uniform():+.6g}sd"}


@dataclass(frozen=True)
class AnsweredImage:
    """The answer to one image.

    Attributes:
        image: x*, in the units of x. guide: the guide's labels of x*, 0 or k of the k-th structure.
        displacement: in pixels, x* at p shows x at p + displacement(p), but for what is painted; None without motion.
        word: of the verdict: met, in doubt, ....
    """

    image: Float[Tensor, "channel *space"]
    guide: Int[Tensor, "1 *space"]
    displacement: Float[Tensor, "dims *space"] | None
    word: str


@torch.inference_mode()
def answer_one(
    model: Model,
    image: Float[Tensor, "channel *space"],
    do: Mapping[str, float | int | str],
    *,
    spacing: tuple[float, ...] | None = None,
) -> AnsweredImage:
    """One image under one request, with what labels need.

    Raises:
        InputError: the image is not on the model's grid.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> found = answer_one(model, model.examples()[0], {"lumen@mid": "+1sd"})
    >>> found.word, found.guide.unique().tolist()
    ('met', [0, 1, 2, 3])
    """
    known = abduct_images(model, check_inputs(model, image[None], spacing=spacing))
    asked = requested_parents(model, [Request(dict(do))], known.facts.pa, known.facts.pixel_area)
    (found,) = predictions(model, known, torch.zeros(1, dtype=torch.long, device=model.device), asked)
    labels = hard(found.soft)[0].argmax(0, keepdim=True)
    moved = None if found.displacement is None else found.displacement[0].cpu()
    return AnsweredImage(found.raw[0].cpu(), labels.cpu(), moved, found.verdicts[0].word)


def changed_labels(answered: AnsweredImage, labels: Tensor, source: str) -> Tensor:
    """The labels of an answer, from a source (see `LabelSource`); `labels` are those of the factual image.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> answered = answer_one(model, model.examples()[0], {"lumen@mid": "+1sd"})
    >>> changed_labels(answered, torch.zeros(1, 48, 144), "guide") is answered.guide
    True
    """
    if source == "guide" or answered.displacement is None:
        return answered.guide
    return warped_labels(labels.float(), answered.displacement)


def warped_labels(
    labels: Float[Tensor, "channel *space"], displacement: Float[Tensor, "dims *space"]
) -> Float[Tensor, "channel *space"]:
    """Labels moved by a displacement in pixels: each pixel takes the nearest label; beyond the border it is repeated.

    >>> moved = warped_labels(torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[[0.0, 0, 0]], [[1.0, 1, 1]]]))
    >>> moved.tolist()
    [[[2.0, 3.0, 3.0]]]
    """
    size = labels.shape[1:]
    places = torch.stack(torch.meshgrid(*[torch.arange(n) for n in size], indexing="ij")) + displacement
    scaled = [2 * (at + 0.5) / n - 1 for at, n in zip(places, size, strict=True)]
    grid = torch.stack(scaled[::-1], dim=-1)[None].to(labels)
    return F.grid_sample(labels[None], grid, mode="nearest", padding_mode="border", align_corners=False)[0]


def rows_first(image: Tensor) -> Tensor:
    """The first two space axes exchanged: (channel, column, row, ...) to (channel, row, column, ...), and back.

    segue reads a PNG as rows, columns. MONAI's `LoadImage` and TorchIO give columns, rows.

    >>> rows_first(torch.zeros(1, 144, 48)).shape
    torch.Size([1, 48, 144])
    """
    return image.transpose(1, 2)
