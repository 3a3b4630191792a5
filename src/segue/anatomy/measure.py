"""How much: variables named `structure@region`, measured on soft masks, and painted back as images."""

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segue.anatomy.partition import Partition
from segue.errors import InputError


class Variables:
    """The measured parents of the image: every region of every partitioned structure, in order.

    Args:
        structures: names of all K structures, in the order of the segmentation's channels.
        partitions: by structure, in the order that the variables take; structures left out have no variables.
    """

    def __init__(self, *, structures: tuple[str, ...], partitions: Mapping[str, Partition]) -> None:
        if unknown := [name for name in partitions if name not in structures]:
            raise InputError(
                f"variables: {unknown[0]!r} is no structure; choose from {', '.join(structures)}"
            )
        for name, part in partitions.items():
            if unknown := [read for read in part.reads if read not in structures]:
                raise InputError(
                    f"variables.{name}: its partition reads {unknown[0]!r}, which is no structure; "
                    f"choose from {', '.join(structures)}"
                )
        if not partitions:
            raise InputError(f"variables: no structure is measured; choose from {', '.join(structures)}")
        self.structures = tuple(structures)
        self.partitions = dict(partitions)
        self.names = tuple(f"{name}@{region}" for name, part in partitions.items() for region in part.regions)
        self.spans: dict[str, slice] = {}
        """Each structure's variables, as a slice of all."""
        channels: list[int] = []
        for name, part in self.partitions.items():
            self.spans[name] = slice(len(channels), len(channels) + len(part.regions))
            channels += [self.structures.index(name)] * len(part.regions)
        self.structure_of: Int[Tensor, " variable"] = torch.tensor(channels)
        """Each variable's structure, as an index into all K."""

    def __len__(self) -> int:
        return len(self.names)

    def frames(self, soft: Float[Tensor, "batch structure *space"]) -> Float[Tensor, "batch params"]:
        """What the partitions read of each image, each of its own structure's channel (and
        those of further structures that it reads), side by side.

        Carries no gradient: the ruler is not to be bent by what it measures.
        """
        return torch.cat([part.frame(*masks) for part, masks in self.read(soft)], dim=1)

    def missing(self, soft: Float[Tensor, "batch structure *space"]) -> Bool[Tensor, "batch measured_structure"]:
        """For each measured structure, the images whose regions are its partition's fall-back."""
        return torch.stack([part.missing(*masks) for part, masks in self.read(soft)], dim=1)

    def read(self, soft: Float[Tensor, "batch structure *space"]) -> Iterator[tuple[Partition, list[Tensor]]]:
        """Each partition and the masks that its frame is read from, its own structure's first."""
        for name, part in self.partitions.items():
            yield part, [soft[:, self.structures.index(one)].detach() for one in (name, *part.reads)]

    def weights(
        self, frames: Float[Tensor, "batch params"], size: tuple[int, ...]
    ) -> Float[Tensor, "batch variable *space"]:
        """Every variable's region on a `size` image; one map, expanded, where all are cohort-wide."""
        counts = [part.params(len(size)) for part in self.partitions.values()]
        rows = frames[:1] if sum(counts) == 0 else frames
        parts = zip(self.partitions.values(), rows.split(counts, dim=1), strict=True)
        weights = torch.cat([part.weights(frame, size) for part, frame in parts], dim=1)
        return weights.expand(len(frames), -1, *size)


def measure(
    soft: Float[Tensor, "batch structure *space"],
    weights: Float[Tensor, "batch variable *space"],
    structure_of: Int[Tensor, " variable"],
    pixel_area: Float[Tensor, " batch"],
) -> Float[Tensor, "batch variable"]:
    """a_v = pixel_area * sum_i w_v(i) s_k(v)(i): the area (volume in 3-D) of a structure in a region.

    Args:
        soft: the segmentation, probabilities in [0, 1].
        weights: each variable's region.
        structure_of: k(v), each variable's channel of `soft`.
        pixel_area: mm2 (mm3) a pixel, or 1; the unit of the result.
    """
    # Product and sum rather than a matrix product, which autocast would round to 16 bits.
    sums = (weights * soft[:, structure_of.to(soft.device)]).flatten(2).sum(2)
    return pixel_area[:, None] * sums


def paint(
    values: Float[Tensor, "batch variable"],
    weights: Float[Tensor, "batch variable *space"],
    structure_of: Int[Tensor, " variable"],
    n_structures: int,
) -> Float[Tensor, "batch structure *space"]:
    """p_k(i) = sum over v of structure k of a_v w_v(i): each value laid on its own region."""
    batch, variables, *space = weights.shape
    spread = values.reshape(batch, variables, *[1] * len(space)) * weights
    painted = spread.new_zeros(batch, n_structures, *space)
    return painted.index_add(1, structure_of.to(spread.device), spread)


def structure_sums(
    values: Float[Tensor, "batch variable"], structure_of: Int[Tensor, " variable"], n_structures: int
) -> Float[Tensor, "batch structure"]:
    """A_k = sum over v of structure k of a_v: what a guide that is blind to place sees."""
    return values.new_zeros(len(values), n_structures).index_add(1, structure_of.to(values.device), values)


def elsewhere(
    weights: Float[Tensor, "batch measured *space"], changed: Bool[Tensor, "batch measured"]
) -> Float[Tensor, "batch 1 *space"]:
    """1 where no region lies whose variable is asked to change, 0 where one does; between the two on soft edges."""
    asked = changed.to(weights).reshape(*changed.shape, *[1] * (weights.ndim - 2))
    return 1 - (asked * weights).amax(1, keepdim=True)
