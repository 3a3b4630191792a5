"""A volume on the page: three planes through one voxel in one picture, and a slider for the slice along each axis."""

import json
from collections.abc import Callable
from typing import Any

import gradio as gr
import numpy as np
from jaxtyping import Float

from segue.cohort.planes import Planes, Voxel, central_voxel, repeats_of
from segue.explorer.arguments import PageVoxel, read_part
from segue.explorer.asking import Answer
from segue.explorer.markup import asset, filled
from segue.explorer.models import Explored
from segue.explorer.pictures import Plane

Shown = Callable[[Float[np.ndarray, "*space"], float], Plane]
"""From an image, and the value between planes, to what is shown of it."""


def shown_planes(answer: Answer, spacing: tuple[float, ...] | None, place: Voxel | None) -> Planes | None:
    """The planes of a volume through `place`, by default where the answers changed most; None of a 2-D image."""
    if answer.image.ndim == 2:
        return None
    if place is None:
        place = central_voxel(np.sum([np.abs(one.image - answer.image) for one in answer.readings], axis=0))
    return Planes(answer.image.shape, place, repeats_of(spacing))


def to_picture(planes: Planes | None) -> Shown:
    """An image with two axes as it is, a volume as its planes."""
    return planes.picture if planes else lambda image, fill: image


def for_browser(planes: Planes | None) -> str | None:
    """What the page's scripts need to tell which voxel a pixel shows, as JSON."""
    if planes is None:
        return None
    tiles = [tile._asdict() for tile in planes.tiles]
    return json.dumps({"place": planes.place, "repeats": planes.repeats, "tiles": tiles})


def slice_sliders(explored: Explored) -> gr.HTML:
    """A slider for each axis; the value is {place: [voxel]}, or {} for where the answer changed most."""
    size = explored.first.grid.size
    deep = len(size) == 3
    grid = filled("planes.html.j2", size=size) if deep else ""
    return gr.HTML(
        {}, grid=grid, html_template="${grid}", js_on_load=asset("planes.js"), visible=deep, elem_id="sg-planes"
    )


def place_of(explored: Explored, chosen: Any) -> Voxel | None:
    """The voxel that was chosen on the page; None where none was, or where it is no voxel of the model's images."""
    size, place = explored.first.grid.size, read_part(PageVoxel, chosen).place
    if len(size) != 3 or place is None:
        return None
    x, y, z = (min(max(index, 0), n - 1) for index, n in zip(place, size, strict=True))
    return x, y, z
