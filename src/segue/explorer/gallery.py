"""The images of the cohort as thumbnails, with a search by id."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from segue.cohort.case import Case
from segue.errors import InputError
from segue.explorer.markup import filled
from segue.explorer.models import Explored
from segue.explorer.pictures import data_uri, display_grey, display_plane, png
from segue.text import without_folders

PAGE_LENGTH = 12
THUMBNAIL_SIDE = 192  # pixels of the longer side, at most


class Thumbnail(NamedTuple):
    """One image of the cohort; if it cannot be read, `source` is empty and `id` also gives the reason."""

    place: int
    id: str
    source: str


class Gallery:
    """Pages of thumbnails of a model's cohort; the latest thumbnails are cached."""

    def __init__(self, explored: Explored) -> None:
        self.explored = explored
        self._thumbnail = lru_cache(maxsize=8 * PAGE_LENGTH)(self._make)

    def found(self, search: str) -> list[int]:
        """Indices of the images whose id contains the text, in the cohort's order."""
        source, wanted = self.explored.source, search.strip().lower()
        return [] if source is None else [i for i, id in enumerate(source.ids) if wanted in id.lower()]

    def html(self, search: str = "", page: int = 0) -> str:
        """One page of the found images, counted from 0."""
        found = self.found(search)
        pages = max(1, -(-len(found) // PAGE_LENGTH))
        page = min(max(page, 0), pages - 1)
        shown = [self._thumbnail(i) for i in found[page * PAGE_LENGTH : (page + 1) * PAGE_LENGTH]]
        return filled("gallery.html.j2", thumbnails=shown, found=len(found), page=page, pages=pages)

    def _make(self, index: int) -> Thumbnail:
        source = self.explored.source
        assert source is not None
        try:
            return Thumbnail(index, source.ids[index], thumbnail(self.explored, source.read(index)))
        except InputError as error:
            return Thumbnail(index, f"{source.ids[index]}: {without_folders(str(error))}", "")


def thumbnail(explored: Explored, case: Case) -> str:
    """A small picture of an image; of a volume, its middle slice."""
    image = case.image[0]
    middle = display_plane(image, image.shape[-1] // 2 if image.ndim == 3 else 0)
    small = Image.fromarray(display_grey(middle, explored.first.grid.limits(case.image)))
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return data_uri(png(np.asarray(small)))
