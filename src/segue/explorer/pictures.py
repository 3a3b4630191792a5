"""Arrays as a browser shows them: PNG files as data URIs, and lines as SVG paths in pixels of the image."""

import base64
import io
import zlib
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from contourpy import contour_generator
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from segue.cohort.planes import plane_across
from segue.report.colours import RED_TO_BLUE

CACHED_PATHS = 256  # the paths of the factual image are part of every answer
Plane = Float[np.ndarray, "height width"]


def display_plane(array: Float[np.ndarray, "*space"], index: int) -> Plane:
    """A 2-D image unchanged; of a volume, the slice `index` of the last axis, as planes are shown."""
    return array if array.ndim == 2 else plane_across(array, 2, min(index, array.shape[2] - 1))


def most_changed_slice(change: Float[np.ndarray, "*space"]) -> int:
    """The slice of a volume's last axis that changed most; the middle one if nothing changed; 0 of a 2-D image."""
    if change.ndim == 2:
        return 0
    by_slice = np.abs(change).sum((0, 1))
    return int(by_slice.argmax()) if by_slice.max() > 0 else change.shape[-1] // 2


def display_grey(image: Plane, intensity: tuple[float, float]) -> UInt8[np.ndarray, "height width"]:
    """Grey levels; `intensity` is (black, white)."""
    low, high = intensity
    return ((image - low) * (255 / (high - low))).clip(0, 255).round().astype(np.uint8)


def signed(difference: Plane, limit: float) -> UInt8[np.ndarray, "height width 3"]:
    """Red above zero, blue below, white at zero; the colours are full at `limit`."""
    levels = ((difference / limit + 1) * 127.5).clip(0, 255).round().astype(np.uint8)
    return palette()[levels]


@cache
def palette() -> UInt8[np.ndarray, "256 3"]:
    """The colours of a difference, from negative to positive."""
    colours = np.array([list(bytes.fromhex(colour)) for colour in RED_TO_BLUE[::-1]])
    places = np.linspace(0, len(colours) - 1, 256)
    channels = [np.interp(places, np.arange(len(colours)), channel) for channel in colours.T]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def png(pixels: UInt8[np.ndarray, "height width *colour"]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="png", compress_level=1)
    return stream.getvalue()


@dataclass(frozen=True)
class PixelValues:
    """Pixel values for the browser: low + step * number, in 16 bits, deflated, in base64."""

    content: str
    low: float
    step: float


def values_of_plane(plane: Plane) -> PixelValues:
    """A plane's values, to 1/65535 of their range."""
    low, high = float(plane.min()), float(plane.max())
    step = (high - low) / 65535 or 1.0
    numbers = ((plane - low) / step).round().astype("<u2")
    return PixelValues(base64.b64encode(zlib.compress(numbers.tobytes(), 1)).decode(), low, step)


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """A file as part of the page: no other user can request it, and no file has to be removed."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def sides(inside: Bool[np.ndarray, "height width"]) -> str:
    """The border of a set of pixels along the sides of pixels, as an SVG path; open at the image's edge."""
    return _sides(inside.tobytes(), inside.shape)


@lru_cache(maxsize=CACHED_PATHS)
def _sides(content: bytes, shape: tuple[int, int]) -> str:
    inside = np.frombuffer(content, bool).reshape(shape)
    down = np.argwhere(inside[:, 1:] != inside[:, :-1])  # a side between two columns
    across = np.argwhere(inside[1:] != inside[:-1])
    return "".join([*runs_of(down[:, 1] + 1, down[:, 0], "v"), *runs_of(across[:, 0] + 1, across[:, 1], "h")])


def forget() -> None:
    """Drop the paths that are cached: they are of users' images."""
    _sides.cache_clear()
    _outline.cache_clear()


def runs_of(lines: np.ndarray, starts: np.ndarray, direction: str) -> list[str]:
    """Sides of length 1, merged where they are consecutive on one line."""
    order = np.lexsort((starts, lines))
    lines, starts = lines[order], starts[order]
    breaks = np.flatnonzero((np.diff(lines) != 0) | (np.diff(starts) != 1)) + 1
    runs = []
    for part in np.split(np.arange(len(lines)), breaks):
        if len(part):
            line, start = int(lines[part[0]]), int(starts[part[0]])
            where = f"{line} {start}" if direction == "v" else f"{start} {line}"
            runs.append(f"M{where}{direction}{len(part)}")
    return runs


def outline(mask: Plane) -> str:
    """The level line of a soft mask at 0.5, interpolated and closed at the image's edge, as an SVG path."""
    return _outline(np.float32(mask).tobytes(), mask.shape)


@lru_cache(maxsize=CACHED_PATHS)
def _outline(content: bytes, shape: tuple[int, int]) -> str:
    padded = np.pad(np.frombuffer(content, np.float32).reshape(shape), 1)
    lines: Any = contour_generator(z=padded).lines(0.5)
    # One format string for all points is ten times as fast as one per point.
    return "".join(("M" + "L".join(["%.1f %.1f"] * len(line))) % tuple((line - 0.5).ravel().tolist()) for line in lines)
