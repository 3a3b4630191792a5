"""A TorchIO transform that answers a random request. TorchIO is imported here alone: `segue.bridges.torchio`."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from segue.bridges.augment import (
    DrawnRequests,
    answer_one,
    changed_labels,
    check_requests,
    check_sources,
    draw_request,
    rows_first,
)
from segue.engine.model import Model
from segue.errors import InputError

try:
    from torchio.transforms import Transform
except ImportError:
    mend = 'pip install "segue-counterfactual[torchio]"'
    raise ImportError(f"segue.bridges.torchio needs TorchIO: {mend}", name="torchio") from None

__all__ = ["RandomCounterfactual"]


class RandomCounterfactual(Transform):
    """With probability `p`, an image of a subject becomes its counterfactual under a request drawn at random.

    Chance comes from torch's generator, as in TorchIO: `torch.manual_seed(seed)`.

    Args:
        image: the name of the subject's image, on the model's grid; of two axes, the third one has length 1.
        model, requests: as of `segue.bridges.monai.RandCounterfactuald`.
        labels: by name of a label map, `guide` or `warp` (see `segue.bridges.augment.LabelSource`).
        transposed: the image was read from a PNG: TorchIO gives columns first.

    Raises:
        InputError: as `RandCounterfactuald`; when called: the subject has no such image.

    >>> import segue, torchio
    >>> model = segue.load("coronary-phantom")
    >>> subject = torchio.Subject(image=torchio.ScalarImage(tensor=model.examples()[0][..., None]))
    >>> transform = RandomCounterfactual("image", model, {"lumen@mid": (1, 1)})
    >>> transform(subject)["counterfactual"]["do"]
    {'lumen@mid': '+1sd'}
    """

    def __init__(
        self,
        image: str,
        model: Model,
        requests: DrawnRequests,
        labels: Mapping[str, str] | None = None,
        transposed: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_requests(model, requests)
        self.image, self.model, self.requests, self.transposed = image, model, requests, transposed
        self.labels = dict(labels or {})
        check_sources(model, self.labels)
        self.args_names = []

    def apply_transform(self, subject: Any) -> Any:
        """The subject with its image, and its labels, changed."""
        missing = [name for name in (self.image, *self.labels) if name not in subject]
        if missing:
            raise InputError(f"the subject has no image {missing[0]}; it has {', '.join(subject)}")
        do = draw_request(self.requests, lambda: float(torch.rand(1)))
        image = subject.get_image(self.image)
        given = spacing_of(tuple(map(float, image.spacing)), self.model)
        answered = answer_one(self.model, self.to_model(image.data.float()), do, spacing=given)
        image.set_data(self.from_model(answered.image))
        for name, source in self.labels.items():
            label = subject.get_image(name)
            made = changed_labels(answered, self.to_model(label.data), source)
            label.set_data(self.from_model(made).to(label.data.dtype))
        subject["counterfactual"] = {"do": do, "verdict": answered.word}
        return subject

    def to_model(self, image: Tensor) -> Tensor:
        """(channel, W, H, D) to the model's axes."""
        flat = image[..., 0] if len(self.model.grid.size) == 2 else image
        return rows_first(flat) if self.transposed else flat

    def from_model(self, image: Tensor) -> Tensor:
        """The inverse of `to_model`."""
        turned = rows_first(image) if self.transposed else image
        return turned[..., None] if len(self.model.grid.size) == 2 else turned


def spacing_of(spacing: tuple[float, ...], model: Model) -> tuple[float, ...] | None:
    """mm per pixel, where the model needs it. 1 mm, which is also TorchIO's "nothing known", says nothing where the
    model knows its own."""
    unknown = model.grid.pixel_area is not None and set(spacing) == {1.0}
    return None if model.grid.unit == "px" or unknown else spacing[: len(model.grid.size)]
