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
        partitions: by structure, in the order of the variables; structures left out have no variables.

    Raises:
        InputError: a partition measures or reads a structure that is not among the `structures`, or there is none.

    >>> from segue.anatomy import make_partition
    >>> halves = make_partition("axis", regions=("left", "right"), axis=1)
    >>> variables = Variables(structures=("lumen", "plaque"), partitions={"plaque": halves})
    >>> variables.names
    ('plaque@left', 'plaque@right')
    >>> variables.structure_of.tolist()
    [1, 1]
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
        """The frames of all partitions, side by side. Each is read from its own structure's channel, and from those
        of further structures that it reads.

        Detached: gradients must not move the regions' boundaries.
        """
        return torch.cat([part.frame(*masks) for part, masks in self.read(soft)], dim=1)

    def missing(self, soft: Float[Tensor, "batch structure *space"]) -> Bool[Tensor, "batch measured_structure"]:
        """For each measured structure, the images in which its partition uses a fall-back."""
        return torch.stack([part.missing(*masks) for part, masks in self.read(soft)], dim=1)

    def read(self, soft: Float[Tensor, "batch structure *space"]) -> Iterator[tuple[Partition, list[Tensor]]]:
        """Each partition and the masks that its frame is read from; its own structure's comes first."""
        for name, part in self.partitions.items():
            yield part, [soft[:, self.structures.index(one)].detach() for one in (name, *part.reads)]

    def weights(
        self, frames: Float[Tensor, "batch params"], size: tuple[int, ...]
    ) -> Float[Tensor, "batch variable *space"]:
        """Every variable's region on an image of `size`; where all partitions are cohort-wide, one expanded map."""
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
        pixel_area: in mm2 (mm3), or 1; the result has its unit.

    >>> soft = torch.ones(1, 1, 1, 4)
    >>> weights = torch.tensor([[[[1.0, 1.0, 0.5, 0.0]], [[0.0, 0.0, 0.5, 1.0]]]])
    >>> measure(soft, weights, torch.tensor([0, 0]), pixel_area=torch.tensor([0.25])).tolist()
    [[0.625, 0.375]]
    """
    # Product and sum rather than a matrix product, which autocast would round to 16 bits.
    sums = (weights * soft[:, structure_of.to(soft.device)]).flatten(2).sum(2)
    return pixel_area[:, None] * sums


def hard(soft: Float[Tensor, "batch structure *space"]) -> Float[Tensor, "batch class *space"]:
    """The most likely class of each pixel, one-hot, the background first.

    >>> hard(torch.tensor([[[0.9, 0.2]]]))
    tensor([[[0., 1.],
             [1., 0.]]])
    """
    full = torch.cat([1 - soft.sum(1, keepdim=True), soft], dim=1)
    return torch.nn.functional.one_hot(full.argmax(1), full.shape[1]).movedim(-1, 1).float()


def paint(
    values: Float[Tensor, "batch variable"],
    weights: Float[Tensor, "batch variable *space"],
    structure_of: Int[Tensor, " variable"],
    n_structures: int,
) -> Float[Tensor, "batch structure *space"]:
    """p_k(i) = sum over v of structure k of a_v w_v(i): an image of each structure's values in their regions.

    >>> weights = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    >>> paint(torch.tensor([[3.0, 5.0]]), weights, torch.tensor([1, 1]), n_structures=2)[0, :, 0].tolist()
    [[0.0, 0.0], [3.0, 5.0]]
    """
    batch, variables, *space = weights.shape
    spread = values.reshape(batch, variables, *[1] * len(space)) * weights
    painted = spread.new_zeros(batch, n_structures, *space)
    return painted.index_add(1, structure_of.to(spread.device), spread)


def structure_sums(
    values: Float[Tensor, "batch variable"], structure_of: Int[Tensor, " variable"], n_structures: int
) -> Float[Tensor, "batch structure"]:
    """A_k = sum over v of structure k of a_v: the areas that a guide without regions sees.

    >>> structure_sums(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([0, 0, 1]), n_structures=2).tolist()
    [[3.0, 4.0]]
    """
    return values.new_zeros(len(values), n_structures).index_add(1, structure_of.to(values.device), values)


def elsewhere(
    weights: Float[Tensor, "batch measured *space"], changed: Bool[Tensor, "batch measured"]
) -> Float[Tensor, "batch 1 *space"]:
    """1 outside the regions of variables that are asked to change, 0 inside them, between the two on soft edges.

    >>> weights = torch.tensor([[[1.0, 0.25, 0.0], [0.0, 0.75, 1.0]]])
    >>> elsewhere(weights, torch.tensor([[True, False]])).flatten().tolist()
    [0.0, 0.75, 1.0]
    """
    asked = changed.to(weights).reshape(*changed.shape, *[1] * (weights.ndim - 2))
    return 1 - (asked * weights).amax(1, keepdim=True)
