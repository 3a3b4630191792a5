"""Images to choose from: thumbnails, searched by id."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from segue.cohort.case import Case
from segue.errors import InputError
from segue.explorer.models import Explored
from segue.explorer.panel import templates
from segue.explorer.pictures import data_uri, grey, plane, png

PAGE = 12
WIDTH = 192  # pixels of a thumbnail, at most


class Thumbnail(NamedTuple):
    """One image of the cohort; `source` is empty where it cannot be read, and `id` says why."""

    place: int
    id: str
    source: str


class Gallery:
    """Pages of thumbnails of a model's cohort, the latest kept."""

    def __init__(self, explored: Explored) -> None:
        self.explored = explored
        self._thumbnail = lru_cache(maxsize=8 * PAGE)(self._make)

    def found(self, search: str) -> list[int]:
        """Places of the images whose id holds the text, in the cohort's order."""
        source, wanted = self.explored.source, search.strip().lower()
        return [] if source is None else [i for i, id in enumerate(source.ids) if wanted in id.lower()]

    def html(self, search: str = "", page: int = 0) -> str:
        """One page of those that are found, counted from 0."""
        found = self.found(search)
        pages = max(1, -(-len(found) // PAGE))
        page = min(max(page, 0), pages - 1)
        shown = [self._thumbnail(i) for i in found[page * PAGE : (page + 1) * PAGE]]
        template = templates().get_template("gallery.html.j2")
        return template.render(thumbnails=shown, found=len(found), page=page, pages=pages)

    def _make(self, index: int) -> Thumbnail:
        source = self.explored.source
        assert source is not None
        try:
            return Thumbnail(index, source.ids[index], thumbnail(self.explored, source.read(index)))
        except InputError as error:
            return Thumbnail(index, f"{source.ids[index]}: {error}", "")


def thumbnail(explored: Explored, case: Case) -> str:
    """A small picture of an image, of a volume its middle slice."""
    image = case.image[0]
    pixels = grey(plane(image, image.shape[-1] // 2 if image.ndim == 3 else 0), explored.first.intensity)
    small = Image.fromarray(pixels)
    small.thumbnail((WIDTH, WIDTH))
    return data_uri(png(np.asarray(small)))
