"""Where: partitions of an image into named regions, as weight maps w of shape (region, *space) in [0, 1].

A partition reads what it needs of an image's masks once (`frame`), and turns the frame into weights at any
resolution (`weights`). The frame belongs to the factual image: held fixed, it measures the counterfactual
with the same ruler.
"""

from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from segue.anatomy.axis import AxisPartition, ExtentPartition
from segue.anatomy.cohort_wide import CohortWide
from segue.anatomy.label_map import LabelMapPartition
from segue.anatomy.names import check_regions
from segue.anatomy.polar import PolarPartition
from segue.errors import InputError

Kind = Literal["axis", "extent", "polar", "whole", "label_map"]


@runtime_checkable
class Partition(Protocol):
    """Named regions, and how much of every pixel belongs to each.

    Attributes:
        regions: their names.
        reads: structures that the frame is read from beside the one that is measured.
    """

    regions: tuple[str, ...]
    reads: tuple[str, ...]

    def params(self, dims: int) -> int:
        """Numbers in a frame, for images of `dims` axes; 0 where the whole cohort shares one map."""
        ...

    def frame(
        self, mask: Float[Tensor, "batch *space"], *further: Float[Tensor, "batch *space"]
    ) -> Float[Tensor, "batch params"]:
        """What the partition reads of each image, soft or hard masks cut at 0.5.

        Args:
            mask: of the structure that is measured. further: of those that it `reads`, in that order.
        """
        ...

    def missing(
        self, mask: Float[Tensor, "batch *space"], *further: Float[Tensor, "batch *space"]
    ) -> Bool[Tensor, " batch"]:
        """Images that lack what the frame is read from, so that their frame is the partition's fall-back."""
        ...

    def weights(
        self, frame: Float[Tensor, "batch params"], size: tuple[int, ...]
    ) -> Float[Tensor, "batch region *space"]:
        """Share of every pixel of a `size` image in each region, on the frame's device and of its dtype."""
        ...


class WholePartition(CohortWide):
    """One region, the whole image.

    Args:
        regions: its name alone.
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


TAKEN: dict[Kind, set[str]] = {
    "axis": {"axis", "cuts", "softness"},
    "extent": {"axis", "cuts", "softness", "margin"},
    "polar": {"axis", "cuts", "softness", "rings", "around", "towards", "start", "clockwise"},
    "whole": set(),
    "label_map": {"file"},
}
"""The arguments of each kind, beside its regions."""


def make_partition(
    kind: Kind,
    *,
    regions: tuple[str, ...],
    axis: int = 0,
    cuts: tuple[float, ...] | None = None,
    softness: float = 0.0,
    margin: float | None = None,
    rings: tuple[float, ...] = (),
    around: tuple[str, ...] = (),
    towards: str | None = None,
    start: float = 0.0,
    clockwise: bool = False,
    file: Path | None = None,
) -> Partition:
    """The partition of a study's `partition:` section.

    Raises:
        InputError: where an argument is wrong, missing, or not taken by `kind`; the message names its key.
    """
    if kind not in TAKEN:
        raise InputError(f"partition.kind: {kind!r} is not known; choose one of {', '.join(TAKEN)}")
    given = {
        "axis": axis != 0, "cuts": cuts is not None, "softness": softness != 0, "margin": margin is not None,
        "rings": bool(rings), "around": bool(around), "towards": towards is not None, "start": start != 0,
        "clockwise": clockwise, "file": file is not None,
    }  # fmt: skip
    for key, is_given in given.items():
        if is_given and key not in TAKEN[kind]:
            raise InputError(f"partition.{key}: kind {kind!r} does not take it; remove it")
    if kind == "axis":
        return AxisPartition(regions=regions, axis=axis, cuts=cuts, softness=softness)
    if kind == "extent":
        return ExtentPartition(regions=regions, axis=axis, cuts=cuts, softness=softness, margin=margin)
    if kind == "polar":
        return PolarPartition(
            regions=regions, cuts=cuts, rings=rings, softness=softness, around=around, towards=towards,
            start=start, clockwise=clockwise, axis=axis,
        )  # fmt: skip
    if kind == "whole":
        return WholePartition(regions=regions)
    if file is None:
        raise InputError("partition.file: kind 'label_map' needs a file of labels (.png, .nii, .npy)")
    return LabelMapPartition.from_file(file, regions=regions)
