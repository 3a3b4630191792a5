"""Sweeps as strips of frames, a curve of achieved against requested values, and animated GIFs."""

import io
import re

import numpy as np
from PIL import Image

from segue.anatomy import said_value
from segue.explorer.asking import Sweep
from segue.explorer.markup import filled
from segue.explorer.panel import title
from segue.explorer.pictures import data_uri, display_grey, display_plane, most_changed_slice, png
from segue.quoting import plain_text
from segue.report.colours import COLOURS, INK
from segue.report.columns import method_title
from segue.text import typeset_unit

FRAME_DURATION = 120  # ms
GIF_SIDE = 384  # pixels of the longer side of a GIF, about


def strip(swept: list[Sweep], aspect: float) -> str:
    """The sweeps of one variable by several methods as HTML."""
    first = swept[0]
    return filled(
        "strip.html.j2",
        title=title(first.variable),
        aspect=aspect,
        methods=[frames_of(one) for one in swept],
        curve=data_uri(curve(swept), "image/svg+xml"),
        reached=list(zip(said_values(first, first.requested), said_values(first, first.guide), strict=True)),
    )


def frames_of(swept: Sweep) -> dict[str, object]:
    """One method's frames and animation."""
    index = most_changed_slice(swept.images[-1] - swept.images[0])
    frames = [display_grey(display_plane(image, index), swept.window) for image in swept.images]
    return {
        "title": method_title(swept.method),
        "frames": [
            (data_uri(png(frame)), said)
            for frame, said in zip(frames, said_values(swept, swept.requested), strict=True)
        ],
        "gif": data_uri(gif(frames), "image/gif"),
        "name": f"{re.sub('[@:]', '_', swept.variable)}_{swept.method}.gif",
    }


def said_values(swept: Sweep, values: list[float]) -> list[str]:
    """Values of a sweep's variable, for readers."""
    return [said_value(swept.variable, value, typeset_unit(swept.unit)) for value in values]


@plain_text
def curve(swept: list[Sweep]) -> bytes:
    """Achieved against requested values, as SVG: a colour for each method, the judge dashed."""
    from matplotlib.figure import Figure  # slow to import, and the page does without

    figure = Figure(figsize=(5, 3.4), facecolor="white", layout="constrained")
    first = swept[0]
    axes, unit = figure.subplots(), typeset_unit(first.unit)
    axes.axvspan(*first.training, color="#e8eef5", label="training range", zorder=0)
    axes.plot(first.requested, first.requested, color="#888888", lw=1, ls=":", label="as requested")
    for one, colour in zip(swept, COLOURS, strict=False):
        name = f"{method_title(one.method)}, " if len(swept) > 1 else ""
        axes.plot(one.requested, one.guide, color=colour, marker="o", ms=3.5, label=f"{name}guide")
        if one.judge is not None:
            axes.plot(one.requested, one.judge, color=colour, marker="s", ms=3.5, ls="--", label=f"{name}judge")
    axes.axvline(first.factual, color=INK, lw=0.8, label="measured")
    suffix = f" ({unit})" if unit else ""
    axes.set(xlabel=f"requested{suffix}", ylabel=f"achieved{suffix}")
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
