"""Arrays to what a browser shows: PNG as data URIs, and lines as SVG paths in pixels of the image."""

import base64
import io
from functools import cache, lru_cache
from typing import Any

import numpy as np
from contourpy import contour_generator
from jaxtyping import Bool, Float, UInt8
from matplotlib import colormaps
from PIL import Image

from segue.report.figure import DIFFERENCES

DRAWN = 256  # paths that are kept: those of the factual image are drawn again with every answer
Plane = Float[np.ndarray, "height width"]


def plane(array: Float[np.ndarray, "*space"], index: int) -> Plane:
    """An image of two axes as it is; of three, a slice of the last."""
    return array if array.ndim == 2 else array[..., min(index, array.shape[-1] - 1)]


def grey(image: Plane, intensity: tuple[float, float]) -> UInt8[np.ndarray, "height width"]:
    """`intensity` is (black, white)."""
    low, high = intensity
    return ((image - low) * (255 / (high - low))).clip(0, 255).round().astype(np.uint8)


def signed(difference: Plane, limit: float) -> UInt8[np.ndarray, "height width 3"]:
    """Red above, blue below, white at zero; `limit` takes the full colours."""
    levels = ((difference / limit + 1) * 127.5).clip(0, 255).round().astype(np.uint8)
    return palette()[levels]


@cache
def palette() -> UInt8[np.ndarray, "256 3"]:
    return (colormaps[DIFFERENCES](np.arange(256))[:, :3] * 255).round().astype(np.uint8)


def png(pixels: UInt8[np.ndarray, "height width *colour"]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="png", compress_level=1)
    return stream.getvalue()


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """A file inside the page: no other user can ask for it, and nothing has to be removed."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def sides(inside: Bool[np.ndarray, "height width"]) -> str:
    """The border of a set of pixels, along their sides, as an SVG path; the image's edge closes nothing."""
    return _sides(inside.tobytes(), inside.shape)


@lru_cache(maxsize=DRAWN)
def _sides(content: bytes, shape: tuple[int, int]) -> str:
    inside = np.frombuffer(content, bool).reshape(shape)
    down = np.argwhere(inside[:, 1:] != inside[:, :-1])  # a side between two columns
    across = np.argwhere(inside[1:] != inside[:-1])
    runs = [*joined(down[:, 1] + 1, down[:, 0], "v"), *joined(across[:, 0] + 1, across[:, 1], "h")]
    return "".join(runs)


def joined(lines: np.ndarray, starts: np.ndarray, direction: str) -> list[str]:
    """Sides of length 1 as runs: those that follow one another on one line become one."""
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
    """The line where a soft mask passes one half, between pixels, closed at the image's edge, as an SVG path."""
    return _outline(np.float32(mask).tobytes(), mask.shape)


@lru_cache(maxsize=DRAWN)
def _outline(content: bytes, shape: tuple[int, int]) -> str:
    padded = np.pad(np.frombuffer(content, np.float32).reshape(shape), 1)
    lines: Any = contour_generator(z=padded).lines(0.5)
    # One format for all points: ten times as fast as a format a point.
    return "".join(("M" + "L".join(["%.1f %.1f"] * len(line))) % tuple((line - 0.5).ravel().tolist()) for line in lines)
