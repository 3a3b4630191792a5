"""The variables: what is measured of which structure in which region, named `structure@region:measurement`."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from segue.anatomy.axis import AxisPartition, ExtentPartition
from segue.anatomy.measurement import MEASUREMENTS, MeasuredIn, Measurement, Seen, make_measures
from segue.anatomy.measurement.area import Area
from segue.anatomy.partition import Partition
from segue.errors import InputError

__all__ = ["Variables"]

AREAS: Mapping[str, Mapping[str, Any]] = {Area.key: {}}


class Variable(NamedTuple):
    """A measurement of a structure in a region."""

    structure: str
    region: str
    measurement: Measurement

    @property
    def name(self) -> str:
        """`structure@region` of an area, `structure@region:measurement` of anything else."""
        place = f"{self.structure}@{self.region}"
        return place if isinstance(self.measurement, Area) else f"{place}:{self.measurement.key}"


class Group(NamedTuple):
    """Variables of one measurement, which are measured together.

    Attributes:
        rows: variables whose regions are seen: their own, then those of their neighbours.
        channels: of these, the masks' channels. neighbours: see `Seen`. own: how many are measured.
    """

    measurement: Measurement
    rows: list[int]
    channels: Int[Tensor, " row"]
    neighbours: Float[Tensor, "row row"]
    own: int


class Variables:
    """The measured parents of the image: structure by structure, measurement by measurement, region by region.

    Args:
        structures: names of all K structures, in the order of the segmentation's channels.
        partitions: by structure, in the order of the variables; structures left out have no variables.
        measures: by structure, what is measured of it, with settings (see `make_measures`); otherwise its areas.

    Raises:
        InputError: a partition or a measurement reads a structure that is not among the `structures`, or there is none;
            or a measurement does not fit.

    >>> from segue.anatomy import make_partition
    >>> thirds = make_partition("axis", regions=("proximal", "mid", "distal"), axis=1)
    >>> measures = {"lumen": {"area": {"regions": ["proximal", "distal"]}, "stenosis": {"regions": ["mid"]}}}
    >>> variables = Variables(structures=("wall", "lumen"), partitions={"lumen": thirds}, measures=measures)
    >>> variables.names
    ('lumen@proximal', 'lumen@distal', 'lumen@mid:stenosis')
    >>> variables.structure_of.tolist(), variables.channel_of.tolist()
    ([1, 1, 1], [0, 0, 1])
    """

    def __init__(
        self,
        *,
        structures: tuple[str, ...],
        partitions: Mapping[str, Partition],
        measures: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
    ) -> None:
        self.structures, self.partitions = tuple(structures), dict(partitions)
        check_structures(self.structures, self.partitions, measures or {})
        self.spans: dict[str, slice] = {}
        """Each structure's variables, as a slice of all."""
        listed: list[Variable] = []
        for name, part in self.partitions.items():
            measured = measures_of(name, part, (measures or {}).get(name, AREAS), self.structures)
            own = [Variable(name, region, what) for what, regions in measured for region in regions]
            self.spans[name] = slice(len(listed), len(listed) + len(own))
            listed += own
        self.listed = tuple(listed)
        self.names = tuple(one.name for one in listed)
        self.structure_of: Int[Tensor, " variable"] = torch.tensor([structures.index(one.structure) for one in listed])
        """Each variable's structure, as an index into all K."""
        kinds = [(structures.index(one.structure), measurement_rank(one.measurement)) for one in listed]
        self.channels = len(set(kinds))
        self.channel_of: Int[Tensor, " variable"] = torch.tensor([sorted(set(kinds)).index(kind) for kind in kinds])
        """Each variable's channel of the painted parents: one for each measurement of a structure."""
        self.least: Float[Tensor, " variable"] = torch.tensor([one.measurement.least for one in listed])
        """The smallest value that each variable can have."""
        self.groups = self._grouped()

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
        parts = zip(self.partitions.items(), rows.split(counts, dim=1), strict=True)
        maps = [part.weights(frame, size)[:, self._regions[name]] for (name, part), frame in parts]
        return torch.cat(maps, dim=1).expand(len(frames), -1, *size)

    def measure(
        self,
        soft: Float[Tensor, "batch structure *space"],
        image: Float[Tensor, "batch channel *space"],
        weights: Float[Tensor, "batch variable *space"],
        pixel_area: Float[Tensor, " batch"],
        spacing: Float[Tensor, "batch dims"] | None = None,
    ) -> Float[Tensor, "batch variable"]:
        """The value of every variable, with a gradient to masks and image.

        Args:
            soft: the segmentation, probabilities in [0, 1]. image: scaled to [-1, 1].
            weights: each variable's region.
            pixel_area: in mm2 (mm3), or 1; areas have its unit.
            spacing: of the pixels along each axis, in mm, or 1. None: pixels are as long along every axis.

        >>> from segue.anatomy import make_partition
        >>> halves = make_partition("axis", regions=("left", "right"), axis=1)
        >>> measures = {"a": {"area": {}, "length": {}}}
        >>> variables = Variables(structures=("a",), partitions={"a": halves}, measures=measures)
        >>> s, w = torch.ones(1, 1, 1, 4), variables.weights(torch.zeros(1, 0), (1, 4))
        >>> variables.measure(s, s, w, torch.tensor([0.25])).tolist()
        [[0.5, 0.5, 1.0, 1.0]]
        """
        if spacing is None:
            dims = soft.ndim - 2
            spacing = (pixel_area ** (1 / dims))[:, None].expand(-1, dims)
        found = []
        for group in self.groups:
            rows = as_slice(group.rows)
            mask = soft[:, group.channels.to(soft.device)]
            seen = Seen(mask, weights[:, rows], image, soft, self.structures, pixel_area, spacing, group.neighbours)
            found.append(group.measurement(seen)[:, : group.own])
        order = [v for group in self.groups for v in group.rows[: group.own]]
        together = torch.cat(found, dim=1)
        return together if order == sorted(order) else together[:, [order.index(v) for v in range(len(order))]]

    def _grouped(self) -> list[Group]:
        """The variables of each measurement."""
        places = {(one.structure, one.region): v for v, one in reversed(list(enumerate(self.listed)))}
        found = []
        for what in dict.fromkeys(one.measurement for one in self.listed):
            rows = [v for v, one in enumerate(self.listed) if one.measurement == what]
            beside = {v: self._beside(self.listed[v], places) if what.neighbours else [] for v in rows}
            every = list(dict.fromkeys([*rows, *(w for others in beside.values() for w in others)]))
            share = torch.zeros(len(every), len(every))
            for v, others in beside.items():
                for w in others:
                    share[every.index(v), every.index(w)] = 1 / len(others)
            found.append(Group(what, every, self.structure_of[every], share, len(rows)))
        return found

    def _beside(self, one: Variable, places: Mapping[tuple[str, str], int]) -> list[int]:
        """Variables that hold the regions before and after a variable's own."""
        regions = self.partitions[one.structure].regions
        place = regions.index(one.region)
        beside = [regions[i] for i in (place - 1, place + 1) if 0 <= i < len(regions)]
        for region in beside:
            if (one.structure, region) not in places:
                mend = f"reads the neighbouring {region}, of which nothing is measured; measure its area"
                raise InputError(f"measures.{one.structure}: {one.measurement.key} of {one.region} {mend}")
        if not beside:
            mend = f"{one.measurement.key} reads the neighbouring regions; give the partition several"
            raise InputError(f"measures.{one.structure}: {mend}")
        return [places[one.structure, region] for region in beside]

    @cached_property
    def _regions(self) -> dict[str, slice | list[int]]:
        """By structure, the region of each of its variables."""
        found: dict[str, list[int]] = {name: [] for name in self.partitions}
        for one in self.listed:
            found[one.structure].append(self.partitions[one.structure].regions.index(one.region))
        return {name: as_slice(rows) for name, rows in found.items()}


def check_structures(
    structures: tuple[str, ...], partitions: Mapping[str, Partition], measures: Mapping[str, Any]
) -> None:
    """Refuse names that are of no structure, and a study that measures nothing."""
    if unknown := [name for name in partitions if name not in structures]:
        raise InputError(f"variables: {unknown[0]!r} is no structure; choose from {', '.join(structures)}")
    for name, part in partitions.items():
        if unknown := [read for read in part.reads if read not in structures]:
            raise InputError(
                f"variables.{name}: its partition reads {unknown[0]!r}, which is no structure; "
                f"choose from {', '.join(structures)}"
            )
    if not partitions:
        raise InputError(f"variables: no structure is measured; choose from {', '.join(structures)}")
    if unknown := [name for name in measures if name not in partitions]:
        raise InputError(f"measures.{unknown[0]}: it has no partition; choose from {', '.join(partitions)}")


def measures_of(
    name: str, part: Partition, settings: Mapping[str, Mapping[str, Any]], structures: tuple[str, ...]
) -> list[MeasuredIn]:
    """The measurements of a structure; messages say whose they are."""
    axis = part.axis if isinstance(part, AxisPartition | ExtentPartition) else None
    try:
        found = make_measures(settings, tuple(part.regions), axis)
    except InputError as error:
        raise InputError(f"measures.{name}: {error}") from None
    for what, _ in found:
        if unknown := [read for read in what.reads() if read not in structures]:
            known = ", ".join(structures)
            raise InputError(f"measures.{name}: {what.key} reads {unknown[0]!r}, no structure; choose from {known}")
    return found


def measurement_rank(what: Measurement) -> int:
    """The place of a measurement in the registry."""
    return list(MEASUREMENTS).index(what.key)


def as_slice(rows: list[int]) -> slice | list[int]:
    """Rows that follow one another as a slice, of which a view is taken and no copy.

    >>> as_slice([2, 3, 4]), as_slice([0, 0])
    (slice(2, 5, None), [0, 0])
    """
    return slice(rows[0], rows[-1] + 1) if rows == list(range(rows[0], rows[-1] + 1)) else rows
