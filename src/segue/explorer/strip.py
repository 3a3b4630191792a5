"""A sweep as a strip of frames, a curve of requested against achieved, and an animated GIF."""

import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from segue.engine.model import Model
from segue.explorer.asking import Sweep
from segue.explorer.panel import templates, title
from segue.explorer.pictures import data_uri, grey, plane, png
from segue.report.columns import method_title
from segue.report.figure import INK
from segue.text import typeset_unit

FRAME = 120  # ms
SIDE = 384  # pixels of the longer side of a GIF, about


def strip(swept: Sweep, model: Model, aspect: float) -> str:
    """The sweep as HTML."""
    index = telling_slice(swept)
    frames = [grey(plane(image, index), model.intensity) for image in swept.images]
    return templates().get_template("strip.html.j2").render(
        title=title(swept.variable),
        method=method_title(swept.method),
        unit=typeset_unit(swept.unit),
        aspect=aspect,
        frames=[(data_uri(png(frame)), f"{value:.2f}") for frame, value in zip(frames, swept.requested, strict=True)],
        curve=data_uri(curve(swept), "image/svg+xml"),
        gif=data_uri(gif(frames), "image/gif"),
        name=f"{swept.variable.replace('@', '_')}_{swept.method}.gif",
        reached=list(zip(swept.requested, swept.guide, strict=True)),
    )  # fmt: skip


def telling_slice(swept: Sweep) -> int:
    """Of the last axis of a volume, where the sweep changes most."""
    if swept.images[0].ndim == 2:
        return 0
    return int(np.abs(swept.images[-1] - swept.images[0]).sum((0, 1)).argmax())


def curve(swept: Sweep) -> bytes:
    """Requested against achieved, as SVG."""
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
    """There and back, without end; pixels enlarged, so that it can be shown as it is."""
    scale = max(1, SIDE // max(frames[0].shape))
    images = [Image.fromarray(np.kron(frame, np.ones((scale, scale), np.uint8))) for frame in frames]
    images += images[-2:0:-1]
    stream = io.BytesIO()
    images[0].save(stream, format="gif", save_all=True, append_images=images[1:], duration=FRAME, loop=0)
    return stream.getvalue()
