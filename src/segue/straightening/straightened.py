"""A volume read along a tube, and an edit written back along the same map."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Shaped
from scipy.ndimage import map_coordinates

from segue.cohort.io import Pixels, decode_image
from segue.cohort.io.write_back import in_type
from segue.errors import InputError
from segue.straightening.centreline import Centreline, read_centreline
from segue.straightening.geometry import check_inside, voxel_of
from segue.straightening.spread import TubeVoxels, of_slices, of_volume, tube_voxels
from segue.straightening.tube import Tube, VesselSection, make_tube

SPLINE_REACH = 12  # voxels around what is sampled: the spline's memory of farther ones is below 1e-6


@dataclass(frozen=True)
class Straightened:
    """A vessel, straightened. Made by `segue.straighten`.

    Attributes:
        pixels: the volume, with its geometry. tube: the map.
        notes: what the reader must know, one sentence each; () where there is nothing.

    >>> volume = Pixels(np.zeros((9, 9, 9)), affine=np.eye(4))
    >>> found = straighten(volume, Centreline(np.array([[4.0, 4, 0], [4, 4, 8]])), VesselSection(3, 1))
    >>> found.spacing, found.volume.shape
    ((1.0, 1.0), (6, 6, 8))
    """

    pixels: Pixels
    tube: Tube
    notes: tuple[str, ...] = ()

    @property
    def spacing(self) -> tuple[float, float]:
        """mm per pixel of `slices`: across the vessel, along it."""
        return float(self.tube.section.between), float(self.tube.section.step)

    @cached_property
    def slices(self) -> Float32[np.ndarray, "plane across along"]:
        """Longitudinal slices; the last axis begins at the proximal end."""
        section = self.tube.section
        u, v = (side(section.angles)[:, None] * section.offsets for side in (np.cos, np.sin))
        return self.sampled(u, v)

    @cached_property
    def volume(self) -> Float32[np.ndarray, "across across along"]:
        """The straightened volume (u, v, s); slices of angle 0 lie along u, of 90 degrees along v."""
        offsets = self.tube.section.offsets
        return self.sampled(*np.meshgrid(offsets, offsets, indexing="ij"))

    def sampled(self, u: np.ndarray, v: np.ndarray) -> Float32[np.ndarray, "*across along"]:
        """The volume at offsets u, v by cubic splines; beyond its border the border is repeated."""
        places = voxel_of(self.pixels, self.tube.positions(u, v))
        low = np.maximum(np.floor(places.reshape(-1, 3).min(0)).astype(int) - SPLINE_REACH, 0)
        high = np.ceil(places.reshape(-1, 3).max(0)).astype(int) + SPLINE_REACH
        box = tuple(slice(min(a, n - 1), max(b, 1)) for a, b, n in zip(low, high, self.pixels.array.shape, strict=True))
        part = self.pixels.array[box].astype(np.float64)
        inside = np.moveaxis(places, -1, 0) - np.array([one.start for one in box]).reshape(3, *[1] * (places.ndim - 1))
        return map_coordinates(part, inside, order=3, mode="nearest").astype(np.float32)

    def back(self, edited: object) -> Shaped[np.ndarray, "x y z"]:
        """The volume with an edit of `slices` or of `volume`; array type and geometry stay.

        Only the difference from what was straightened is brought back, so that resampling touches nothing that was not
        edited: voxels outside of the tube, and those inside where nothing was edited, are equal to the bit. The
        difference fades over the last sixth of the radius, and as far from both ends of the section. Between slices it
        is interpolated by angle: a single slice turns about the centreline, one half of it into the other.

        Args:
            edited: of the shape of `slices` or `volume`, perhaps with an axis of one channel after the first; a single
                slice may come without its first axis. A tensor is as good.

        Raises:
            InputError: it has another shape, or values that are not finite.
        """
        array = np.asarray(edited, dtype=np.float64)
        if array.ndim == 4 and array.shape[1] == 1:
            array = array[:, 0]
        slices = (self.tube.section.planes, self.tube.section.width, len(self.tube.along))
        whole = (self.tube.section.width, *slices[1:])
        if array.shape == slices[1:] and slices[0] == 1:
            array = array[None]
        if array.shape not in (slices, whole):
            raise InputError(f"the edit has shape {array.shape}; give slices, {slices}, or the volume, {whole}")
        if not np.isfinite(array).all():
            raise InputError("the edit holds values that are not finite; replace them")
        if array.shape == slices:
            return self.added(of_slices(array - self.slices, self.tube, self.reached))
        return self.added(of_volume(array - self.volume, self.tube, self.reached))

    def added(self, change: Float[np.ndarray, " voxel"]) -> Shaped[np.ndarray, "x y z"]:
        """The volume with a change of the reached voxels, faded by their weight, in the volume's own type."""
        array, place = self.pixels.array.copy(), tuple(self.reached.voxels.T)
        change = change * self.reached.weight
        array[place] = np.where(change != 0, in_type(array[place] + change, array.dtype), array[place])
        return array

    @cached_property
    def reached(self) -> TubeVoxels:
        """The voxels of the tube."""
        return tube_voxels(self.pixels, self.tube)


def straighten(
    volume: Path | str | Pixels,
    centreline: Path | str | Centreline,
    section: VesselSection | None = None,
    *,
    proximal: str | None = None,
    space: str | None = None,
) -> Straightened:
    """A vessel straightened along its centreline, by a frame that does not twist about it.

    Args:
        volume: a file (NIfTI, multi-frame DICOM), or `Pixels` with an affine.
        centreline: a file (CSV, VTK polydata, a mask), or a `Centreline`. section: what of it, and how finely.
        proximal, space: of a file that does not say it; see `segue.straightening.read_centreline`.

    Raises:
        InputError: a file that cannot be read, a volume without geometry, or a centreline that lies elsewhere.

    >>> x, y, z = np.meshgrid(*[np.arange(9.0)] * 3, indexing="ij")
    >>> line = Centreline(np.array([[4.0, 4, 0], [4, 4, 8]]))
    >>> found = straighten(Pixels(z, affine=np.eye(4)), line, VesselSection(3, 1))
    >>> found.slices.shape, found.slices[0, 2, 3:5].round(1).tolist()
    ((1, 6, 8), [3.5, 4.5])
    >>> bool((found.back(found.slices) == z).all())
    True
    """
    pixels = volume if isinstance(volume, Pixels) else decode_image(Path(volume), 3)
    name = "the volume" if isinstance(volume, Pixels) else str(volume)
    if pixels.affine is None or pixels.array.ndim != 3:
        raise InputError(f"{name}: has no geometry, so it does not lie in mm; give it as NIfTI")
    if not isinstance(centreline, Centreline):
        centreline = read_centreline(centreline, proximal=proximal, space=space)
    elif proximal is not None or space is not None:
        raise InputError("proximal and space are of a file; a Centreline begins at its proximal end, in RAS")
    check_inside(pixels, centreline, name)
    tube = make_tube(centreline, section or VesselSection())
    return Straightened(pixels, tube, notes_of(tube))


def notes_of(tube: Tube) -> tuple[str, ...]:
    """What the reader must know: where the tube is narrower than was asked."""
    radii, asked = tube.radii(tube.along), tube.section.radius
    narrow = int(radii.argmin())
    if radii[narrow] >= asked:
        return ()
    bend = f"the centreline bends so much at {tube.along[narrow]:.1f} mm that a tube of {asked:g} mm would fold"
    share = f"{(radii < asked).mean():.0%}"
    return (f"{bend}: edits reach {radii[narrow]:.1f} mm there, and less than asked along {share} of the section",)
