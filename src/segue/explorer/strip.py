"""A sweep as a strip of frames, a curve of achieved against requested values, and an animated GIF."""

import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from segue.engine.model import Model
from segue.explorer.asking import Sweep
from segue.explorer.markup import filled
from segue.explorer.panel import title
from segue.explorer.pictures import data_uri, display_grey, display_plane, most_changed_slice, png
from segue.report.columns import method_title
from segue.report.figure import INK
from segue.text import typeset_unit

FRAME_DURATION = 120  # ms
GIF_SIDE = 384  # pixels of the longer side of a GIF, about


def strip(swept: Sweep, model: Model, aspect: float) -> str:
    """The sweep as HTML."""
    index = most_changed_slice(swept.images[-1] - swept.images[0])
    frames = [display_grey(display_plane(image, index), swept.window) for image in swept.images]
    return filled(
        "strip.html.j2",
        title=title(swept.variable),
        method=method_title(swept.method),
        unit=typeset_unit(swept.unit),
        aspect=aspect,
        frames=[(data_uri(png(frame)), f"{value:.2f}") for frame, value in zip(frames, swept.requested, strict=True)],
        curve=data_uri(curve(swept), "image/svg+xml"),
        gif=data_uri(gif(frames), "image/gif"),
        name=f"{swept.variable.replace('@', '_')}_{swept.method}.gif",
        reached=list(zip(swept.requested, swept.guide, strict=True)),
    )


def curve(swept: Sweep) -> bytes:
    """Achieved against requested values, as SVG."""
    figure = Figure(figsize=(5, 3.4), facecolor="white", layout="constrained")
    axes, unit = figure.subplots(), typeset_unit(swept.unit)
    axes.axvspan(*swept.training, color="#e8eef5", label="training range", zorder=0)
    axes.plot(swept.requested, swept.requested, color="#888888", lw=1, ls="--", label="as requested")
    axes.plot(swept.requested, swept.guide, color="#1f77b4", marker="o", ms=3.5, label="guide")
    if swept.judge is not None:
        axes.plot(swept.requested, swept.judge, color="#d95f02", marker="s", ms=3.5, label="judge")
    axes.axvline(swept.factual, color=INK, lw=0.8, label="measured")
    axes.set(xlabel=f"requested ({unit})", ylabel=f"achieved ({unit})")
    axes.legend(fontsize=8, frameon=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="svg")
    return stream.getvalue()


def gif(frames: list[np.ndarray]) -> bytes:
    """An endless animation, forwards and backwards, with enlarged pixels."""
    scale = max(1, GIF_SIDE // max(frames[0].shape))
    images = [Image.fromarray(np.kron(frame, np.ones((scale, scale), np.uint8))) for frame in frames]
    images += images[-2:0:-1]
    stream = io.BytesIO()
    images[0].save(stream, format="gif", save_all=True, append_images=images[1:], duration=FRAME_DURATION, loop=0)
    return stream.getvalue()
