"""A MONAI dictionary transform that answers a random request, and a reader that reads files as segue does."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import ImageReader, MetaTensor, get_track_meta
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_tensor, ensure_tuple
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
from segue.cohort.placement import scaled_axes
from segue.engine.model import Model
from segue.errors import InputError

__all__ = ["ModelReader", "RandCounterfactuald"]


class RandCounterfactuald(RandomizableTransform, MapTransform):
    """With probability `prob`, an image becomes its counterfactual under a request that is drawn at random.

    Reproducible: `set_random_state(seed)`, or that of the `Compose` that it is in. Nothing else is random in it.

    Args:
        keys: of one image, (channel, *space), in the source's units and on the model's grid.
        model: of `segue.load`. requests: by variable, a range of changes in sd; or a list of requests to choose from.
        label_keys: by key of a label map, (1, *space), where the answer's labels come from: `guide` or `warp` (see
            `segue.bridges.augment.LabelSource`). `guide` replaces the labels, with codes of its own: 0, or k of the
            k-th of `model.structures`.
        transposed: the image is (channel, column, row), as `LoadImage` reads a PNG; so are its labels.

    The results are `MetaTensor`s that keep the meta of what they were. The image's meta gains `counterfactual`: the
    request, and the verdict's word.

    Raises:
        InputError: requests that the model cannot be asked, several image keys, or `warp` where nothing moves.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> transform = RandCounterfactuald("image", model, {"lumen@mid": (-1.5, 1.5)}, prob=1.0)
    >>> found = transform.set_random_state(0)({"image": model.examples()[0]})
    >>> found["image"].shape, found["image"].meta["counterfactual"]
    (torch.Size([1, 48, 144]), {'do': {'lumen@mid': '...sd'}, 'verdict': '...'})
    """

    def __init__(
        self,
        keys: KeysCollection,
        model: Model,
        requests: DrawnRequests,
        prob: float = 0.5,
        label_keys: Mapping[Hashable, str] | None = None,
        transposed: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        if len(self.keys) != 1:
            raise InputError(f"keys: {len(self.keys)} images; give one, and one transform for each further image")
        check_requests(model, requests)
        self.label_keys = dict(label_keys or {})
        check_sources(model, self.label_keys)
        self.model, self.requests, self.transposed = model, requests, transposed

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample, changed or as it was."""
        found = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return found
        do = draw_request(self.requests, self.R.random)
        image = tracked(found[self.keys[0]])
        answered = answer_one(self.model, self.turned(plain_tensor(image)), do, spacing=spacing_in(image, self.model))
        said = {"counterfactual": {"do": do, "verdict": answered.word}}
        found[self.keys[0]] = like(self.turned(answered.image), image, said)
        for key, source in self.label_keys.items():
            label = tracked(found[key])
            made = changed_labels(answered, self.turned(plain_tensor(label)), source)
            found[key] = like(self.turned(made).to(label.dtype), label, {})
        return found

    def turned(self, image: Tensor) -> Tensor:
        """To the model's axes, or back."""
        return rows_first(image) if self.transposed else image


def tracked(image: Any) -> Any:
    """As a MetaTensor, unless MONAI is told not to track meta."""
    return convert_to_tensor(image, track_meta=get_track_meta())


def plain_tensor(image: Any) -> Tensor:
    """Without meta."""
    return image.as_tensor() if isinstance(image, MetaTensor) else image


def like(made: Tensor, before: Any, more: Mapping[str, Any]) -> Tensor:
    """With the meta of what it was, and more."""
    if not isinstance(before, MetaTensor):
        return made
    return MetaTensor(made, meta={**before.meta, **more}, applied_operations=before.applied_operations)


def spacing_in(image: Any, model: Model) -> tuple[float, ...] | None:
    """mm per pixel from the image's affine. The identity, which is also MONAI's "nothing known", says nothing where the
    model knows its own."""
    if model.grid.unit == "px" or not isinstance(image, MetaTensor):
        return None
    if model.grid.pixel_area is not None and bool((image.affine == torch.eye(len(image.affine))).all()):
        return None
    return tuple(float(mm) for mm in image.pixdim[: len(model.grid.size)])


class ModelReader(ImageReader):
    """Reads image files as the model does, onto its grid, for `LoadImaged(keys, reader=ModelReader(model))`.

    So rows and columns of a PNG are where the model expects them, colour becomes luminance, and spacing is known.

    >>> import segue
    >>> ModelReader(segue.load("coronary-phantom")).verify_suffix("scan.nii.gz")
    True
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def verify_suffix(self, filename: Any) -> bool:
        """Whether segue reads files of this name."""
        from segue.cohort.io import split_suffix

        return all(split_suffix(Path(name).name)[1] for name in ensure_tuple(filename))

    def read(self, data: Any, **kwargs: Any) -> Any:
        """The image and its spacing."""
        paths = ensure_tuple(data)
        if len(paths) != 1:
            raise InputError(f"{len(paths)} files for one image; give one")
        return self.model.read(paths[0])

    def get_data(self, img: Sequence[Any]) -> tuple[np.ndarray, dict]:
        """(channel, *space), and its meta: affine, space, and where the channels are."""
        image, spacing = img
        affine = scaled_axes(spacing)
        meta = {"affine": affine, "original_affine": affine.copy(), "original_channel_dim": 0}
        return image[0].numpy(), meta | {"spatial_shape": np.array(image.shape[2:]), "space": "RAS"}
