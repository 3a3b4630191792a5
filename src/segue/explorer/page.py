"""The page: what stands where, and what follows from what. What is shown is made elsewhere, by pure functions."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from segue.engine.model import Do
from segue.errors import InputError
from segue.explorer import keep, upload
from segue.explorer.api import endpoints
from segue.explorer.asking import MOST_METHODS, ask, sweep
from segue.explorer.gallery import Gallery
from segue.explorer.models import Chosen, Explored
from segue.explorer.panel import panel, sliders, templates, title
from segue.explorer.strip import strip
from segue.explorer.view import aspect, view
from segue.report.columns import method_title

HERE = Path(__file__).parent / "templates"
LIFE = 3600  # seconds that a session's image and an upload are kept
FRAMES = 9
QUEUE = 64  # requests that may wait; the next is told to come again
NETWORKS: dict[str, Any] = {"concurrency_id": "networks", "concurrency_limit": 1, "api_visibility": "private"}
LIVE: dict[str, Any] = NETWORKS | {"trigger_mode": "always_last", "show_progress": "hidden"}
LIGHT: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

Said = str  # HTML of the message line
Handler = Callable[..., Any]


def build(explored: Explored) -> gr.Blocks:
    """The whole page of one model. Each user's image is in the user's own session, nothing else is."""
    pages = Pages(explored)
    with gr.Blocks(title=f"segue: {explored.name}", analytics_enabled=False, delete_cache=(LIFE // 6, LIFE)) as blocks:
        chosen, uploaded = gr.State(None, time_to_live=LIFE), gr.State(None, time_to_live=LIFE)
        gr.HTML(templates().get_template("head.html.j2").render(name=explored.name, unit=explored.first.unit))
        message = gr.HTML(elem_id="sg-message")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=330):
                with gr.Accordion("Choose an image", open=True), gr.Tabs():
                    picked = cohort_tab(pages) if explored.source is not None else None
                    taken = upload_tab(pages, uploaded)
                methods = gr.CheckboxGroup(
                    choices=[(method_title(name), name) for name in explored.models],
                    value=[next(iter(explored.models))],
                    label=f"Methods to compare (up to {MOST_METHODS})",
                    visible=len(explored.models) > 1,
                )
                follow = graph_switch(explored)
                request = gr.HTML(
                    value={}, grid="", html_template="${grid}", js_on_load=read("panel.js"), elem_id="sg-request"
                )
            with gr.Column(scale=6, min_width=330, elem_id="sg-see"):
                gr.HTML(read("toolbar.html"), js_on_load=read("toolbar.js"), elem_id="sg-toolbar")
                depth = slice_slider(explored)
                shown = gr.HTML(elem_id="sg-shown")
                swept = sweep_box(pages, [chosen, request, methods, follow])
                keep_box(pages, [chosen, request, methods, follow])
        asked = [chosen, request, methods, follow, depth]
        gr.on([request.input, methods.input, follow.input, depth.input], pages.answer, asked, [shown, message], **LIVE)
        begun = [chosen, request, shown, message, swept]
        if picked is not None:
            picked.click(pages.pick, [picked, methods, depth], begun, **NETWORKS | {"show_progress": "hidden"})
            blocks.load(pages.begin, [methods, depth], begun, **NETWORKS)
        button, inputs = taken
        button.click(pages.take, [uploaded, methods, depth, *inputs], begun, **NETWORKS)
        endpoints(explored, concurrency_id="networks", concurrency_limit=1)
        blocks.queue(max_size=QUEUE)
    return blocks


class Pages:
    """What happens on the page. Holds the model and the thumbnails, nothing of any user."""

    def __init__(self, explored: Explored) -> None:
        self.explored, self.gallery = explored, Gallery(explored)

    def find(self, text: str) -> Any:
        """The first page of the images whose id holds the text."""
        return gr.HTML(grid=self.gallery.html(text))

    def turn(self, text: str, picked: Mapping[str, int] | None) -> Any:
        """Another page of them."""
        return gr.HTML(grid=self.gallery.html(text, int((picked or {}).get("page", 0))))

    def begin(self, methods: list[str], depth: float | int | None) -> Any:
        """The first image of the cohort."""
        return self.pick({"index": 0}, methods, depth)

    def pick(self, picked: Mapping[str, int], methods: list[str], depth: float | int | None) -> Any:
        """An image of the cohort."""
        return said(lambda: self.show(self.explored.choose(int(picked["index"])), methods, depth, []), 5, 3)

    def take(
        self,
        uploaded: upload.Upload | None,
        methods: list[str],
        depth: float | int | None,
        slice: float | int,
        *covariates: float | int | None,
    ) -> Any:
        """An uploaded image, at a slice (counted from 1 on the page)."""

        def work() -> Any:
            if uploaded is None:
                raise InputError("no file is uploaded: choose one first")
            model = self.explored.first
            given = dict(zip(self.explored.covariates, covariates, strict=True))
            chosen = upload.read(uploaded, model, slice=int(slice) - 1, covariates=given)
            return self.show(chosen, methods, depth, upload.remarks(chosen.case, model))

        return said(work, 5, 3)

    def show(self, chosen: Chosen, methods: list[str], depth: float | int | None, remarks: list[str]) -> Any:
        """A new image: its own sliders, nothing asked."""
        answer = ask(self.explored, chosen.case, {}, methods)
        grid = panel(self.explored.first, answer.factual)
        seen = view(self.explored, chosen, answer, index=depth_of(self.explored, depth))
        return chosen, gr.HTML(value={}, grid=grid), seen, note(*remarks), ""

    def answer(
        self, chosen: Chosen | None, do: Do, methods: list[str], follow: bool, depth: float | int | None
    ) -> Any:
        """The request as the sliders stand."""

        def work() -> Any:
            here = present(chosen)
            answer = ask(self.explored, here.case, do or {}, methods, propagate=follow)
            return view(self.explored, here, answer, index=depth_of(self.explored, depth)), ""

        return said(work, 2, 1)

    def receive(self, path: str | None) -> Any:
        """A file as it arrives: what it is, and the slice picker if it has slices."""
        if path is None:
            return None, gr.Slider(visible=False), ""

        def work() -> Any:
            found = upload.receive(Path(path), self.explored.first)
            many = found.slices or 1
            picker = gr.Slider(visible=many > 1, maximum=max(many, 2), value=many // 2 + 1 if many > 1 else 1)
            slices = f" with {many} slices: choose one below" if many > 1 else ""
            return found, picker, note(f"{found.name} was received{slices}.", kind="status")

        return said(work, 3, 2)

    def over_range(
        self,
        chosen: Chosen | None,
        do: Do,
        methods: list[str],
        follow: bool,
        variable: str,
        frames: float | int,
    ) -> Any:
        """One variable over its slider's range."""

        def work() -> Any:
            here, model = present(chosen), self.explored.first
            factual = ask(self.explored, here.case, {}, methods[:1]).factual
            slider = next(one for one in sliders(model, factual) if one.name == variable)
            found = sweep(
                self.explored, here.case, do or {}, methods[0], variable,
                low=slider.low, high=slider.high, frames=int(frames), propagate=follow,
            )  # fmt: skip
            shape = model.size[:2]
            return strip(found, model, aspect(shape, here.case.spacing)), ""

        return said(work, 2, 1)

    def keep(self, chosen: Chosen | None, do: Do, methods: list[str], follow: bool) -> Any:
        """The files of the request as it stands, and its Python."""

        def work() -> Any:
            here = present(chosen)
            answer = ask(self.explored, here.case, do or {}, methods, propagate=follow)
            return keep.links(keep.files(self.explored, here, answer)), keep.snippet(self.explored, here, answer), ""

        return said(work, 3, 2)


def cohort_tab(pages: Pages) -> gr.HTML:
    """Thumbnails, and a search by id."""
    with gr.Tab("From the cohort"):
        search = gr.Textbox(label="Search by id", placeholder="part of an id", max_lines=1)
        grid = pages.gallery.html()
        gallery = gr.HTML({}, grid=grid, html_template="${grid}", js_on_load=read("gallery.js"), elem_id="sg-cohort")
        search.change(pages.find, search, gallery, trigger_mode="always_last", **LIGHT)
        gallery.select(pages.turn, [search, gallery], gallery, **LIGHT)
    return gallery


def upload_tab(pages: Pages, uploaded: gr.State) -> tuple[gr.Button, list[Any]]:
    """A file, its slice, its covariates."""
    explored = pages.explored
    with gr.Tab("Upload"):
        file = gr.File(label="PNG, NIfTI or DICOM (256 MB at most)", type="filepath", file_count="single", height=110)
        told = gr.HTML(elem_id="sg-upload-message")
        slice = gr.Slider(1, 2, value=1, step=1, label="Slice, along the last axis", visible=False)
        covariates = [gr.Number(label=f"{title(name)}, as it is in fact", value=None) for name in explored.covariates]
        button = gr.Button("Use this image", variant="primary")
        file.change(pages.receive, file, [uploaded, slice, told], api_visibility="private")
    return button, [slice, *covariates]


def sweep_box(pages: Pages, asked: list[Any]) -> gr.HTML:
    """One variable over its range."""
    names = pages.explored.first.measured_names
    with gr.Accordion("Sweep one variable over its range", open=False):
        with gr.Row():
            variable = gr.Dropdown([(title(name), name) for name in names], value=names[0], label="Variable")
            frames = gr.Slider(3, 33, value=FRAMES, step=2, label="Frames")
        button = gr.Button("Sweep")
        swept, told = gr.HTML(elem_id="sg-swept"), gr.HTML()
        button.click(pages.over_range, [*asked, variable, frames], [swept, told], **NETWORKS)
    return swept


def keep_box(pages: Pages, asked: list[Any]) -> None:
    """Files, and the Python of the request."""
    with gr.Accordion("Keep this counterfactual", open=False):
        button = gr.Button("Prepare files")
        files, told = gr.HTML(elem_id="sg-files"), gr.HTML()
        code = gr.Code(language="python", label="The same request in Python", interactive=False, elem_id="sg-code")
        button.click(pages.keep, asked, [files, code, told], **NETWORKS)


def graph_switch(explored: Explored) -> gr.Radio:
    """Of a model with a graph, whether effects follow it."""
    return gr.Radio(
        choices=[
            ("let effects follow the graph (total effect)", True),
            ("hold everything else (direct effect)", False),
        ],
        value=True,
        label="What follows from the request",
        visible=explored.first.scm is not None,
    )


def slice_slider(explored: Explored) -> gr.Slider:
    """Of a model of volumes, the slice that is shown; 0 is the one that changed most."""
    size = explored.first.size
    deep = len(size) == 3
    return gr.Slider(
        0, size[-1] if deep else 1, value=0, step=1, label="Slice shown (0: where most changed)", visible=deep
    )


def depth_of(explored: Explored, depth: float | int | None) -> int | None:
    """The slice to show of a volume, None for the telling one."""
    return int(depth) - 1 if depth and len(explored.first.size) == 3 else None


def present(chosen: Chosen | None) -> Chosen:
    if chosen is None:
        raise InputError("no image is chosen (a session ends after an hour): choose one")
    return chosen


def said(work: Callable[[], Any], outputs: int, place: int) -> Any:
    """What the work returns; where its input was bad, everything stays and the message says so."""
    try:
        return work()
    except InputError as error:
        return tuple(note(str(error)) if i == place else gr.skip() for i in range(outputs))


def note(*lines: str, kind: str = "alert") -> str:
    """Sentences for the user."""
    return templates().get_template("note.html.j2").render(lines=lines, kind=kind) if lines else ""


def read(name: str) -> str:
    return (HERE / name).read_text()
