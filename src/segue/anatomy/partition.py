"""Where: partitions of an image into named regions, as weight maps w of shape (region, *space) in [0, 1].

A partition reads what it needs of an image's masks once (`frame`), and turns the frame into weights at any
resolution (`weights`). The frame is read from the factual image and kept for its counterfactuals, so that both are
measured in the same regions.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from segue.anatomy.arguments import read_arguments
from segue.anatomy.axis import AxisPartition, ExtentPartition
from segue.anatomy.cohort_wide import CohortWide
from segue.anatomy.label_map import LabelMapPartition
from segue.anatomy.names import check_regions
from segue.anatomy.polar import PolarPartition
from segue.errors import InputError, nearest


@runtime_checkable
class Partition(Protocol):
    """Named regions, and how much of every pixel belongs to each.

    Attributes:
        regions: their names.
        reads: structures that the frame is read from beside the one that is measured, each with the argument that
            names it.

    >>> isinstance(WholePartition(), Partition)
    True
    """

    regions: tuple[str, ...]
    reads: Mapping[str, str]

    def params(self, dims: int) -> int:
        """Numbers in a frame, for images of `dims` axes; 0 where the whole cohort shares one map."""
        ...

    def frame(
        self, mask: Float[Tensor, "batch *space"], *further: Float[Tensor, "batch *space"]
    ) -> Float[Tensor, "batch params"]:
        """What the partition reads of each image; masks, soft or hard, are cut at 0.5.

        Args:
            mask: of the structure that is measured.
            further: of those that the partition `reads`, in that order.
        """
        ...

    def missing(
        self, mask: Float[Tensor, "batch *space"], *further: Float[Tensor, "batch *space"]
    ) -> Bool[Tensor, " batch"]:
        """Images that lack what the frame is read from: their frame is the partition's fall-back."""
        ...

    def weights(
        self, frame: Float[Tensor, "batch params"], size: tuple[int, ...]
    ) -> Float[Tensor, "batch region *space"]:
        """Share of every pixel of a `size` image in each region, on the frame's device and of its dtype."""
        ...


class WholePartition(CohortWide):
    """One region, the whole image.

    Args:
        regions: its name.

    >>> import torch
    >>> WholePartition().weights(torch.zeros(1, 0), (1, 2)).tolist()
    [[[[1.0, 1.0]]]]
    """

    def __init__(self, *, regions: tuple[str, ...] = ("whole",)) -> None:
        self.regions = check_regions(regions)
        if len(self.regions) != 1:
            raise InputError(
                f"partition.regions: kind 'whole' has one region, got {len(self.regions)}; name one"
            )

    def weights(
        self, frame: Float[Tensor, "batch 0"], size: tuple[int, ...]
    ) -> Float[Tensor, "batch 1 *space"]:
        """Ones."""
        return frame.new_ones(()).expand(len(frame), 1, *size)


PARTITIONS: dict[str, Callable[..., Partition]] = {
    "axis": AxisPartition,
    "extent": ExtentPartition,
    "polar": PolarPartition,
    "whole": WholePartition,
    "label_map": LabelMapPartition,
}
"""Every kind of partition. The keyword arguments of its class are the keys that a study may give it."""


def make_partition(kind: str, **arguments: Any) -> Partition:
    """A partition by its kind and arguments.

    Raises:
        InputError: an argument is wrong, missing, or not taken by `kind`; the message names its key.

    >>> make_partition("axis", axis=1, regions=("left", "right")).regions
    ('left', 'right')
    >>> make_partition("axis", regions=("left", "right"), cut=(0.3,))
    Traceback (most recent call last):
    segue.errors.InputError: partition.cut: kind 'axis' does not take it; did you mean cuts?
    """
    settings = partition_settings({"kind": kind, **arguments})
    return PARTITIONS[settings.pop("kind")](**settings)


def partition_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """A partition's section of a study or of an exported model: checked, typed, and the same for the same partition.

    Arguments at their defaults are left out (but `regions`), whether they were given or not. An argument of type
    `Path` is a file, which goes with an exported model.

    Returns:
        `kind` and arguments, as `make_partition` takes them.

    Raises:
        InputError: as `make_partition` does; what a class checks of the arguments' values is not checked here.

    >>> partition_settings({"regions": ["left", "right"], "axis": 1, "softness": 0, "kind": "axis"})
    {'kind': 'axis', 'regions': ('left', 'right'), 'axis': 1}
    """
    kind = str(given.get("kind"))
    if kind not in PARTITIONS:
        raise InputError(f"partition.kind: {kind!r} is not known{nearest(kind, PARTITIONS)}")
    asked = {key: value for key, value in given.items() if key != "kind" and not asks_nothing(kind, key, value)}
    found = read_arguments(PARTITIONS[kind], asked, section="partition", kind=kind)
    return {"kind": kind} | {
        key: found.get(key, parameter.default)
        for key, parameter in inspect.signature(PARTITIONS[kind]).parameters.items()
        if key == "regions" or found.get(key, parameter.default) != parameter.default
    }


def asks_nothing(kind: str, key: str, value: Any) -> bool:
    """Whether an argument that `kind` lacks is None or at its default in the kinds that have it.

    Studies that were written back by earlier versions list the arguments of all kinds.
    """
    signatures = {name: inspect.signature(build).parameters for name, build in PARTITIONS.items()}
    defaults = [takes[key].default for takes in signatures.values() if key in takes]
    value = tuple(value) if isinstance(value, list) else value
    return key not in signatures[kind] and bool(defaults) and all(value in (None, default) for default in defaults)
