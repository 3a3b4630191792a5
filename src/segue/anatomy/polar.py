"""Sectors and rings around a structure; where the first sector begins may depend on a second structure.

The 17 segments of the left ventricle (American Heart Association; Cerqueira et al., Circulation 2002) are sectors
around its centroid, counted from the anterior insertion of the right ventricle, over the septum, counter-clockwise as
images are shown.

Angles are in turns, and are computed as if the study's pixels were square.
"""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from segue.anatomy.axis import check_axis, check_cuts, others
from segue.anatomy.edges import TRIM
from segue.anatomy.names import check_regions
from segue.errors import InputError

SPECK = 0.01  # share of the measured structure's area below which another structure gives no direction


class PolarPartition:
    """The image cut into sectors around a centroid, and perhaps into rings; neighbours sum to one.

    Sectors are counted from the edge of the structure `towards`, as seen from the centre, so that the first ones lie
    over that structure. 0.5% of its area is set aside, so that single false pixels do not move the edge.

    Where the scanner itself gives the centre, as the catheter of an intravascular image does, it is a `centre` of the
    image. Otherwise the best centre is the centroid of what the measured structure surrounds (`around`). The centroid
    of the structure itself moves towards a part of the wall that is thicker than the rest, and the sectors move with
    it.

    Where an image lacks a structure, there is a fall-back, which `missing` reports: for `around` the measured structure
    itself, and then the image's centre; for `towards` (absent, or less than 1% of the measured structure's area) the
    angle `start`.

    Rings are cut at fractions of the structure's own radius, which is the 99.5% quantile of its pixels' distances from
    the centre. The outermost ring reaches the image's border, so that a structure that grows stays inside the regions.

    An edge is a ramp of one pixel, or wider (`softness`). In images of three axes, sectors and rings turn around one
    axis and are the same in each slice along it. They are read from masks that are summed over these slices.

    Args:
        regions: names of the sectors in the direction of counting; of several rings, those of the innermost first.
        cuts: increasing fractions of the turn, in (0, 1), at which the second and later sectors begin; equal sectors
            without.
        rings: increasing fractions of the radius, in (0, 1); one ring without.
        softness: width of the ramp between neighbours, a fraction of the turn (between rings, of the radius).
        centre: fractions of the image's sides; the same in every image.
        around: structures whose common centroid is the centre; the measured one itself without.
        towards: the structure at whose edge counting begins.
        start: where counting begins without it: degrees counter-clockwise from rightwards, axis 0 pointing down and
            axis 1 right (of three axes, the two that remain).
        clockwise: the direction of counting, seen in that way.
        axis: of three, the one around which sectors turn.

    >>> part = PolarPartition(regions=("upper", "left", "lower", "right"), start=45.0)
    >>> mask = torch.zeros(1, 8, 8)
    >>> mask[:, 3:5, 3:5] = 1
    >>> weights = part.weights(part.frame(mask), (8, 8))
    >>> [round(float(region), 2) for region in weights[0, :, 0, 4]]  # a pixel in the first row
    [1.0, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        *,
        regions: tuple[str, ...],
        cuts: tuple[float, ...] | None = None,
        rings: tuple[float, ...] = (),
        softness: float = 0.0,
        centre: tuple[float, ...] | None = None,
        around: tuple[str, ...] = (),
        towards: str | None = None,
        start: float = 0.0,
        clockwise: bool = False,
        axis: int = 0,
    ) -> None:
        self.regions = check_regions(regions)
        sectors, rest = divmod(len(self.regions), len(rings) + 1)
        if rest:
            found = f"{len(regions)} names for {len(rings) + 1} rings"
            raise InputError(f"partition.regions: {found}; give each ring the same number")
        self.cuts = check_cuts(cuts, sectors, softness)
        self.rings = check_cuts(tuple(rings), len(rings) + 1, softness, key="rings")
        self.softness, self.axis = softness, check_axis(axis)
        self.around, self.towards = tuple(around), towards
        self.centre = check_centre(centre, self.around)
        self.sign = -1.0 if clockwise else 1.0
        self.start = self.sign * start / 360
        middle, aim = dict.fromkeys(self.around, "around"), {towards: "towards"} if towards else {}
        self.reads: Mapping[str, str] = middle | aim | middle  # the order of `around`, then `towards` if it is another

    def params(self, dims: int) -> int:
        """3: the centre and where counting begins; 4 with rings, which need the radius."""
        return 4 if self.rings else 3

    def frame(
        self, mask: Float[Tensor, "batch *space"], *further: Float[Tensor, "batch *space"]
    ) -> Float[Tensor, "batch params"]:
        """[row, column, start, (radius)]: fractions of the image's sides, turns as counted, a fraction of the rows."""
        own, middle, aim = self.masses(mask, further)
        centre = centroid(torch.where(middle.sum((1, 2), keepdim=True) > 0, middle, own))
        if self.centre is not None:
            centre = torch.tensor(self.centre).to(centre).expand_as(centre)
        distance, turn = self.polar(centre, tuple(own.shape[1:]))
        begins = torch.full_like(centre[:, 0], self.start)
        if self.towards:
            begins = torch.where(directed(own, middle, aim), first_angle(turn, aim.flatten(1)), begins)
        parts = [centre, begins[:, None]]
        if self.rings:
            reach = quantile(distance, own.flatten(1), 1 - TRIM) / own.shape[1]
            parts.append(torch.where(own.sum((1, 2)) > 0, reach, 0.5)[:, None])
        return torch.cat(parts, dim=1)

    def missing(
        self, mask: Float[Tensor, "batch *space"], *further: Float[Tensor, "batch *space"]
    ) -> Bool[Tensor, " batch"]:
        """Images without a structure for the centre, for the first sector's edge, or for the radius of the rings."""
        own, middle, aim = self.masses(mask, further)
        lost = middle.sum((1, 2)) == 0
        if self.centre is not None:
            lost = torch.zeros_like(lost)
        if self.towards:
            lost = lost | ~directed(own, middle, aim)
        return lost | (own.sum((1, 2)) == 0) if self.rings else lost

    def weights(
        self, frame: Float[Tensor, "batch params"], size: tuple[int, ...]
    ) -> Float[Tensor, "batch region *space"]:
        """Sectors times rings, ring by ring."""
        plane = tuple(size[axis] for axis in self.plane(len(size)))
        distance, turn = self.polar(frame[:, :2], plane)
        weights = self.sectors(turn - frame[:, 2:3], distance)
        if self.rings:
            radius = (frame[:, 3:4] * plane[0]).clamp_min(0.5)
            weights = (self.shells(distance / radius, radius)[:, :, None] * weights[:, None]).flatten(1, 2)
        weights = weights.reshape(len(frame), len(self.regions), *plane)
        return weights if len(size) == 2 else weights.unsqueeze(2 + self.axis).expand(-1, -1, *size)

    def sectors(
        self, turn: Float[Tensor, "batch pixel"], distance: Float[Tensor, "batch pixel"]
    ) -> Float[Tensor, "batch sector pixel"]:
        """Share of each pixel in each sector, its angle counted from where the first begins."""
        if not self.cuts:
            return torch.ones_like(turn)[:, None]
        edges = turn.new_tensor([0.0, *self.cuts, 1.0])
        half = ((edges[1:] - edges[:-1]) / 2)[:, None]
        # Signed angle from the middle of each sector: its two edges are then never a turn away from each other.
        beside = wrapped(turn[:, None] - (edges[:-1, None] + half))
        pixel = 1 / (2 * math.pi * distance)  # in turns: infinite in the centre
        width = pixel.clamp(min=self.softness, max=2 * float(half.min()))[:, None].clamp_min(1e-6)
        return ramp((beside + half) / width) - ramp((beside - half) / width)

    def shells(
        self, distance: Float[Tensor, "batch pixel"], radius: Float[Tensor, "batch 1"]
    ) -> Float[Tensor, "batch ring pixel"]:
        """Share of each pixel in each ring, its distance a fraction of the `radius`, which is in pixels."""
        edges = distance.new_tensor([0.0, *self.rings, 1.0])
        width = (1 / radius).clamp(min=self.softness, max=float((edges[1:] - edges[:-1]).min()))[:, None]
        steps = ramp((distance[:, None] - edges[1:-1, None]) / width)
        ends = steps.new_ones(len(steps), 1, 1).expand(-1, -1, steps.shape[2])
        return torch.cat([ends, steps], dim=1) - torch.cat([steps, torch.zeros_like(ends)], dim=1)

    def masses(
        self, mask: Tensor, further: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "batch row column"], ...]:
        """Masks in the plane: of the measured structure, of the structures `around`, and of the structure `towards`."""
        read = dict(zip(self.reads, (self.flat(one) for one in further), strict=True))
        own = self.flat(mask)
        middle = sum((read[name] for name in self.around[1:]), read[self.around[0]]) if self.around else own
        return own, middle, read[self.towards] if self.towards else middle

    def flat(self, mask: Float[Tensor, "batch *space"]) -> Float[Tensor, "batch row column"]:
        """A mask cut at one half, summed over the axis that sectors turn around."""
        self.plane(mask.ndim - 1)
        inside = (mask >= 0.5).to(mask.dtype)
        return inside if mask.ndim == 3 else inside.sum(1 + self.axis)

    def plane(self, dims: int) -> list[int]:
        """The two axes that sectors lie in."""
        if dims == 3:
            return others(self.axis, 3)
        if dims != 2 or self.axis:
            raise InputError(f"partition.axis: {self.axis}: images of two axes have no axis to turn around; remove it")
        return [0, 1]

    def polar(
        self, centre: Float[Tensor, "batch 2"], size: tuple[int, ...]
    ) -> tuple[Float[Tensor, "batch pixel"], Float[Tensor, "batch pixel"]]:
        """Distance of each pixel from the centre, in pixels, and its angle in turns, in the direction of counting."""
        down, right = (
            torch.arange(n, device=centre.device, dtype=centre.dtype) + 0.5 - centre[:, i : i + 1] * n
            for i, n in enumerate(size)
        )
        down, right = torch.broadcast_tensors(down[:, :, None], right[:, None, :])
        angle = torch.atan2(-down, right) / (2 * math.pi)
        return torch.hypot(down, right).flatten(1), self.sign * angle.flatten(1)


def directed(
    own: Float[Tensor, "batch row column"],
    middle: Float[Tensor, "batch row column"],
    aim: Float[Tensor, "batch row column"],
) -> Bool[Tensor, " batch"]:
    """Images with a centre, and with enough of the structure `towards` to give a direction."""
    measured, around, seen = (mass.sum((1, 2)) for mass in (own, middle, aim))
    return (measured + around > 0) & (seen > 0) & (seen >= SPECK * measured)


def check_centre(centre: tuple[float, ...] | None, around: tuple[str, ...]) -> tuple[float, float] | None:
    """A fixed centre, if it is in the image and the only one.

    >>> check_centre((0.5, 2.0), ())
    Traceback (most recent call last):
    segue.errors.InputError: partition.centre: is [0.5, 2.0]; give two fractions of the image's sides, 0 to 1
    """
    if centre is None:
        return None
    if len(centre) != 2 or not all(0 <= one <= 1 for one in centre):
        raise InputError(f"partition.centre: is {list(centre)}; give two fractions of the image's sides, 0 to 1")
    if around:
        raise InputError("partition.around: the centre is given by partition.centre; leave one of them out")
    return centre[0], centre[1]


def centroid(mass: Float[Tensor, "batch row column"]) -> Float[Tensor, "batch 2"]:
    """The centre of mass as fractions of the sides; the middle of the image where there is none."""
    total = mass.sum((1, 2))
    along = []
    for other, n in ((2, mass.shape[1]), (1, mass.shape[2])):
        at = (torch.arange(n, device=mass.device, dtype=mass.dtype) + 0.5) / n
        along.append(torch.where(total > 0, (mass.sum(other) * at).sum(1) / total.clamp_min(1), 0.5))
    return torch.stack(along, dim=1)


def first_angle(turn: Float[Tensor, "batch pixel"], mass: Float[Tensor, "batch pixel"]) -> Float[Tensor, " batch"]:
    """The least angle (turns) of a mass, counted from opposite its mean direction, `TRIM` of it set aside."""
    radians = 2 * math.pi * turn
    mean = torch.atan2((mass * radians.sin()).sum(1), (mass * radians.cos()).sum(1)) / (2 * math.pi)
    return mean + quantile(wrapped(turn - mean[:, None]), mass, TRIM)


def quantile(
    values: Float[Tensor, "batch pixel"], mass: Float[Tensor, "batch pixel"], share: float
) -> Float[Tensor, " batch"]:
    """The least value at which the cumulated mass exceeds `share` of the whole; undefined where there is no mass."""
    order = values.argsort(dim=1)
    heaped = mass.gather(1, order).cumsum(1)
    index = (heaped <= share * heaped[:, -1:]).sum(1, keepdim=True).clamp_max(values.shape[1] - 1)
    return values.gather(1, order.gather(1, index))[:, 0]


def wrapped(turns: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The same angle in [-1/2, 1/2] turns."""
    return turns - turns.round()


def ramp(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """clamp(x + 1/2, 0, 1)"""
    return (x + 0.5).clamp(0, 1)
