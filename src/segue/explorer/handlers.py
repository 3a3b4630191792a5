"""What each event of the page does. Every function returns the parts of the page that change, by name."""

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr

from segue.causal.request import Request
from segue.errors import InputError
from segue.explorer import download, upload
from segue.explorer.api import JSON, of_cohort
from segue.explorer.arguments import PageLink, PagePlace, PageRequest, PageRow, read_part
from segue.explorer.asking import (
    MOST_METHODS,
    Answer,
    answer_pictures,
    ask,
    asked_of_case,
    check_methods,
    measured,
    sweep,
)
from segue.explorer.cohort_table import CohortRequest, answer_cohort, cohort_html, columns_of
from segue.explorer.gallery import Gallery
from segue.explorer.markup import filled
from segue.explorer.models import Chosen, Explored
from segue.explorer.panel import on_steps, panel, sliders
from segue.explorer.planes import place_of
from segue.explorer.strip import strip
from segue.explorer.view import aspect, table, verdicts_shown, view
from segue.text import without_folders

Changed = dict[str, Any]
EMPTY: Changed = {"answered": None, "swept": "", "files": "", "code": None, "swept_told": "", "files_told": "",
                  "told": ""}  # fmt: skip
"""What belongs to one image, and goes with it."""


def message_html(*lines: str, kind: str = "alert") -> str:
    """Sentences for the user, as HTML."""
    return filled("note.html.j2", lines=map(without_folders, lines), kind=kind) if lines else ""


def or_message(part: str) -> Callable[[Callable[..., Changed]], Callable[..., Changed]]:
    """After a wrong input its message is shown in `part`, and nothing else changes."""

    def decorate(work: Callable[..., Changed]) -> Callable[..., Changed]:
        @wraps(work)
        def guarded(*inputs: Any) -> Changed:
            try:
                return {part: "", **work(*inputs)}
            except InputError as error:
                return {part: message_html(str(error))}

        return guarded

    return decorate


class Handlers:
    """Holds the model and the thumbnails, and no data of any user."""

    def __init__(self, explored: Explored) -> None:
        self.explored, self.gallery = explored, Gallery(explored)

    def find(self, text: str) -> Changed:
        """The first page of the images whose id contains the text."""
        return {"picked": gr.HTML(grid=self.gallery.html(text))}

    @or_message("told")
    def turn(self, text: str, picked: JSON | None) -> Changed:
        """Another page of the found images."""
        return {"picked": gr.HTML(grid=self.gallery.html(text, read_part(PagePlace, picked).page))}

    @or_message("told")
    def start(self, asked: str) -> Changed:
        """The first image of the cohort, or the image and the request of a link.

        Args:
            asked: the link's query as JSON, {image, do, methods, follow}, each optional.
        """
        link = read_link(asked)
        assert self.explored.source is not None
        ids = self.explored.source.ids
        if (wanted := ids[0] if link.image is None else link.image) not in ids:
            raise InputError(f"the link's image {wanted!r} is not in this cohort; choose one")
        methods = [name for name in link.methods if name in self.explored.models]
        methods = methods or [next(iter(self.explored.models))]
        chosen = self.explored.choose(ids.index(wanted))
        shown = self.show(chosen, methods, link.follow, None, do=link.do)
        return shown | {"methods": methods, "follow": link.follow}

    @or_message("told")
    def pick(self, picked: JSON | None, methods: list[str], follow: bool) -> Changed:
        """The image of the cohort that was clicked."""
        return self.show(self.explored.choose(read_part(PagePlace, picked).index), methods, follow, None)

    @or_message("upload_told")
    def use_upload(
        self,
        uploaded: upload.Upload | None,
        methods: list[str],
        follow: bool,
        slice: float | int,
        *covariates: float | int | None,
    ) -> Changed:
        """The uploaded image, at a slice (counted from 1 on the page)."""
        if uploaded is None:
            raise InputError("no file was uploaded: choose one first")
        model = self.explored.first
        given = dict(zip(self.explored.covariates, covariates, strict=True))
        chosen = upload.read(uploaded, model, slice=int(slice) - 1, covariates=given)
        return self.show(chosen, methods, follow, None) | {"told": message_html(*upload.remarks(chosen.case, model))}

    def show(
        self, chosen: Chosen, methods: list[str], follow: bool, depth: JSON | None, do: JSON | None = None
    ) -> Changed:
        """A new image with its own sliders, and nothing of the one before; changes become values of the sliders."""
        if do and any(isinstance(value, str) for value in do.values()):
            first, *_ = check_methods(self.explored, methods)
            _, asked = asked_of_case(self.explored, chosen.case, Request(do, follow), first)
            do = on_steps(self.explored.first, chosen, asked)
        answer = ask(self.explored, chosen.case, do or {}, methods, propagate=follow)
        request = gr.HTML(value={"key": chosen.key, "do": answer.do}, grid=panel(self.explored.first, chosen, answer))
        seen = view(self.explored, chosen, answer, place=place_of(self.explored, depth))
        new = {"chosen": chosen, "request": request, "shown": seen, "depth": {}}
        return EMPTY | new | self.numbers(answer) | {"picked": {"index": -1 if chosen.index is None else chosen.index}}

    @or_message("told")
    def answer(
        self, chosen: Chosen | None, request: JSON, methods: list[str], follow: bool, depth: JSON | None
    ) -> Changed:
        """The pictures of the current request. `judge` follows when the browser has them."""
        here = present(chosen)
        answer = answer_pictures(self.explored, here.case, Request(asked_of(here, request), follow), methods)
        seen = view(self.explored, here, answer, place=place_of(self.explored, depth))
        return {"answered": answer, "shown": seen, "verdicts": verdicts_shown(answer, measuring=True)}

    def judge(self, chosen: Chosen | None, answered: Answer | None) -> Changed:
        """What is measured on the pictures that are shown; nothing of a new image: it was measured at once."""
        if chosen is None or answered is None:
            return {}
        return self.numbers(measured(self.explored, chosen.case, answered))

    def numbers(self, answer: Answer) -> Changed:
        """Verdicts and values of an answer."""
        return {"verdicts": verdicts_shown(answer), "table": table(self.explored, answer)}

    @or_message("upload_told")
    def receive(self, path: str | None) -> Changed:
        """A file that was uploaded: what it is, and the slice picker if it has slices."""
        if path is None:
            return {"uploaded": None, "slice": gr.Slider(visible=False)}
        found = upload.receive(Path(path), self.explored.first)
        many = found.slices or 1
        picker = gr.Slider(visible=many > 1, maximum=max(many, 2), value=many // 2 + 1 if many > 1 else 1)
        slices = f" with {many} slices: choose one below" if many > 1 else ""
        told = message_html(f"{found.name} was received{slices}.", kind="status")
        return {"uploaded": found, "slice": picker, "upload_told": told}

    @or_message("swept_told")
    def sweep_range(
        self,
        chosen: Chosen | None,
        request: JSON,
        methods: list[str],
        follow: bool,
        variable: str,
        frames: float | int,
    ) -> Changed:
        """One variable over the range of its slider, by each method."""
        here, model = present(chosen), self.explored.first
        factual = ask(self.explored, here.case, {}, methods[:1]).factual
        offered = sliders(model, factual, model.grid.area(here.case.spacing))
        slider = next(one for one in offered if one.name == variable)
        span: JSON = {"low": slider.low, "high": slider.high, "frames": int(frames), "propagate": follow}
        do = asked_of(here, request)
        found = [sweep(self.explored, here.case, do, method, variable, **span) for method in methods]
        size, spacing = model.grid.size, here.case.spacing
        if len(size) == 3:  # the slices of a volume are shown with its second axis upwards
            size, spacing = size[1::-1], spacing and spacing[1::-1]
        return {"swept": strip(found, aspect(size, spacing))}

    @or_message("files_told")
    def download(self, chosen: Chosen | None, request: JSON, methods: list[str], follow: bool) -> Changed:
        """The files of the current request, and its Python."""
        here = present(chosen)
        answer = ask(self.explored, here.case, asked_of(here, request), methods, propagate=follow)
        files = download.files(self.explored, here, answer)
        return {"files": download.links(files), "code": download.snippet(self.explored, here, answer)}

    @or_message("cohort_told")
    def cohort(self, written: str, methods: list[str], follow: bool, images: float | int) -> Changed:
        """One request of many images of the cohort, as a table."""
        asked = CohortRequest.read(written, first_of(methods), follow, int(images))
        rows = answer_cohort(self.explored, asked)
        return {"cohort": gr.HTML(rows=cohort_html(columns_of(self.explored), rows))}

    @or_message("cohort_told")
    def open_row(self, written: str, picked: JSON | None, methods: list[str], follow: bool) -> Changed:
        """The image of the row that was clicked, with the table's request."""
        do = CohortRequest.read(written, first_of(methods), follow, 1).do
        chosen = of_cohort(self.explored, read_part(PageRow, picked).image)
        return self.show(chosen, methods, follow, None, do=dict(do))


def read_link(text: str) -> PageLink:
    """The query of a link.

    Raises:
        InputError: it is not what the page writes.
    """
    try:
        return read_part(PageLink, json.loads(text or "{}"))
    except (InputError, ValueError, RecursionError):
        raise InputError("the link is damaged; copy it again, or choose an image") from None


def asked_of(chosen: Chosen, request: JSON | None) -> JSON:
    """The request, if it was made of this image; {} if it was made of the one before and arrives late."""
    asked = read_part(PageRequest, request)
    return dict(asked.do) if asked.key == chosen.key else {}


def first_of(methods: list[str]) -> str:
    """The first chosen method.

    Raises:
        InputError: none is chosen.
    """
    if not methods:
        raise InputError(f"0 methods are chosen: choose 1 to {MOST_METHODS}")
    return methods[0]


def present(chosen: Chosen | None) -> Chosen:
    """The session's image, or an error if there is none."""
    if chosen is None:
        raise InputError("no image is chosen (a session ends after an hour): choose one")
    return chosen
