"""The page: its layout, and what each event does. Pure functions of other modules make what is shown."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from segue.errors import InputError
from segue.explorer import download, upload
from segue.explorer.api import JSON, endpoints
from segue.explorer.asking import MOST_METHODS, ask, sweep
from segue.explorer.gallery import Gallery
from segue.explorer.markup import asset, filled
from segue.explorer.models import Chosen, Explored
from segue.explorer.panel import panel, sliders, title
from segue.explorer.strip import strip
from segue.explorer.view import aspect, view
from segue.report.columns import method_title

LIFE = 3600  # seconds until a session's image and an upload are deleted
FRAMES = 9
QUEUE = 64  # requests that may wait; the next one is refused
NETWORKS: dict[str, Any] = {"concurrency_id": "networks", "concurrency_limit": 1, "api_visibility": "private"}
LIVE: dict[str, Any] = NETWORKS | {"trigger_mode": "always_last", "show_progress": "hidden"}
LIGHT: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def build_page(explored: Explored) -> gr.Blocks:
    """The whole page of one model. The only state of a user is the image, in the user's own session."""
    handlers = Handlers(explored)
    with gr.Blocks(title=f"segue: {explored.name}", analytics_enabled=False, delete_cache=(LIFE // 6, LIFE)) as blocks:
        chosen, uploaded = gr.State(None, time_to_live=LIFE), gr.State(None, time_to_live=LIFE)
        gr.HTML(filled("head.html.j2", name=explored.name, unit=explored.first.grid.unit))
        told = gr.HTML(elem_id="sg-message")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=330):
                with gr.Accordion("Choose an image", open=True), gr.Tabs():
                    picked = cohort_tab(handlers) if explored.source is not None else None
                    use, inputs = upload_tab(handlers, uploaded)
                methods, follow, request = request_controls(explored)
            with gr.Column(scale=6, min_width=330, elem_id="sg-see"):
                gr.HTML(asset("toolbar.html"), js_on_load=asset("toolbar.js"), elem_id="sg-toolbar")
                depth, shown = slice_slider(explored), gr.HTML(elem_id="sg-shown")
                asked = [chosen, request, methods, follow]
                swept = sweep_box(handlers, asked)
                download_box(handlers, asked)
        changes = [request.input, methods.input, follow.input, depth.input]
        gr.on(changes, handlers.answer, [*asked, depth], [shown, told], **LIVE)
        started = [chosen, request, shown, told, swept]
        use.click(handlers.use_upload, [uploaded, methods, depth, *inputs], started, **NETWORKS)
        if picked is not None:
            quiet: dict[str, Any] = NETWORKS | {"show_progress": "hidden"}
            picked.click(handlers.pick, [picked, methods, depth], started, **quiet)
            blocks.load(handlers.pick_first, [methods, depth], started, **NETWORKS)
        endpoints(explored, concurrency_id="networks", concurrency_limit=1)
        blocks.queue(max_size=QUEUE)
    return blocks


def request_controls(explored: Explored) -> tuple[gr.CheckboxGroup, gr.Radio, gr.HTML]:
    """What is requested: the methods, whether effects follow the graph, and the sliders."""
    methods = gr.CheckboxGroup(
        choices=[(method_title(name), name) for name in explored.models],
        value=[next(iter(explored.models))],
        label=f"Methods to compare (up to {MOST_METHODS})",
        visible=len(explored.models) > 1,
    )
    follow = graph_switch(explored)
    script = asset("panel.js")
    return methods, follow, gr.HTML({}, grid="", html_template="${grid}", js_on_load=script, elem_id="sg-request")


class Handlers:
    """What each event of the page does. Holds the model and the thumbnails, and no data of any user."""

    def __init__(self, explored: Explored) -> None:
        self.explored, self.gallery = explored, Gallery(explored)

    def find(self, text: str) -> Any:
        """The first page of the images whose id contains the text."""
        return gr.HTML(grid=self.gallery.html(text))

    def turn(self, text: str, picked: Mapping[str, int] | None) -> Any:
        """Another page of the found images."""
        return gr.HTML(grid=self.gallery.html(text, int((picked or {}).get("page", 0))))

    def pick_first(self, methods: list[str], depth: float | int | None) -> Any:
        """The first image of the cohort."""
        return self.pick({"index": 0}, methods, depth)

    def pick(self, picked: Mapping[str, int], methods: list[str], depth: float | int | None) -> Any:
        """The image of the cohort that was clicked."""
        return guarded(lambda: self.show(self.explored.choose(int(picked["index"])), methods, depth, []), 5, 3)

    def use_upload(
        self,
        uploaded: upload.Upload | None,
        methods: list[str],
        depth: float | int | None,
        slice: float | int,
        *covariates: float | int | None,
    ) -> Any:
        """The uploaded image, at a slice (counted from 1 on the page)."""

        def work() -> Any:
            if uploaded is None:
                raise InputError("no file was uploaded: choose one first")
            model = self.explored.first
            given = dict(zip(self.explored.covariates, covariates, strict=True))
            chosen = upload.read(uploaded, model, slice=int(slice) - 1, covariates=given)
            return self.show(chosen, methods, depth, upload.remarks(chosen.case, model))

        return guarded(work, 5, 3)

    def show(self, chosen: Chosen, methods: list[str], depth: float | int | None, remarks: list[str]) -> Any:
        """A new image, with its own sliders and an empty request."""
        answer = ask(self.explored, chosen.case, {}, methods)
        grid = panel(self.explored.first, answer.factual)
        seen = view(self.explored, chosen, answer, index=depth_of(self.explored, depth))
        return chosen, gr.HTML(value={}, grid=grid), seen, message_html(*remarks), ""

    def answer(
        self, chosen: Chosen | None, do: JSON, methods: list[str], follow: bool, depth: float | int | None
    ) -> Any:
        """The counterfactuals of the current request."""

        def work() -> Any:
            here = present(chosen)
            answer = ask(self.explored, here.case, do or {}, methods, propagate=follow)
            return view(self.explored, here, answer, index=depth_of(self.explored, depth)), ""

        return guarded(work, 2, 1)

    def receive(self, path: str | None) -> Any:
        """A file that was uploaded: what it is, and the slice picker if it has slices."""
        if path is None:
            return None, gr.Slider(visible=False), ""

        def work() -> Any:
            found = upload.receive(Path(path), self.explored.first)
            many = found.slices or 1
            picker = gr.Slider(visible=many > 1, maximum=max(many, 2), value=many // 2 + 1 if many > 1 else 1)
            slices = f" with {many} slices: choose one below" if many > 1 else ""
            return found, picker, message_html(f"{found.name} was received{slices}.", kind="status")

        return guarded(work, 3, 2)

    def sweep_range(
        self,
        chosen: Chosen | None,
        do: JSON,
        methods: list[str],
        follow: bool,
        variable: str,
        frames: float | int,
    ) -> Any:
        """One variable over the range of its slider."""

        def work() -> Any:
            here, model = present(chosen), self.explored.first
            factual = ask(self.explored, here.case, {}, methods[:1]).factual
            slider = next(one for one in sliders(model, factual) if one.name == variable)
            found = sweep(
                self.explored, here.case, do or {}, methods[0], variable,
                low=slider.low, high=slider.high, frames=int(frames), propagate=follow,
            )  # fmt: skip
            shape = model.grid.size[:2]
            return strip(found, model, aspect(shape, here.case.spacing)), ""

        return guarded(work, 2, 1)

    def download(self, chosen: Chosen | None, do: JSON, methods: list[str], follow: bool) -> Any:
        """The files of the current request, and its Python."""

        def work() -> Any:
            here = present(chosen)
            answer = ask(self.explored, here.case, do or {}, methods, propagate=follow)
            files = download.files(self.explored, here, answer)
            return download.links(files), download.snippet(self.explored, here, answer), ""

        return guarded(work, 3, 2)


def cohort_tab(handlers: Handlers) -> gr.HTML:
    """Thumbnails, and a search by id."""
    with gr.Tab("From the cohort"):
        search = gr.Textbox(label="Search by id", placeholder="part of an id", max_lines=1)
        grid = handlers.gallery.html()
        gallery = gr.HTML({}, grid=grid, html_template="${grid}", js_on_load=asset("gallery.js"), elem_id="sg-cohort")
        search.change(handlers.find, search, gallery, trigger_mode="always_last", **LIGHT)
        gallery.select(handlers.turn, [search, gallery], gallery, **LIGHT)
    return gallery


def upload_tab(handlers: Handlers, uploaded: gr.State) -> tuple[gr.Button, list[Any]]:
    """A file, its slice and its covariates; returns the button and the inputs of `use_upload`."""
    explored = handlers.explored
    with gr.Tab("Upload"):
        file = gr.File(label="PNG, NIfTI or DICOM (256 MB at most)", type="filepath", file_count="single", height=110)
        told = gr.HTML(elem_id="sg-upload-message")
        slice = gr.Slider(1, 2, value=1, step=1, label="Slice, along the last axis", visible=False)
        covariates = [gr.Number(label=f"{title(name)}, factual value", value=None) for name in explored.covariates]
        button = gr.Button("Use this image", variant="primary")
        file.change(handlers.receive, file, [uploaded, slice, told], api_visibility="private")
    return button, [slice, *covariates]


def sweep_box(handlers: Handlers, asked: list[Any]) -> gr.HTML:
    """One variable over its range."""
    names = handlers.explored.first.space.areas
    with gr.Accordion("Sweep one variable over its range", open=False):
        with gr.Row():
            variable = gr.Dropdown([(title(name), name) for name in names], value=names[0], label="Variable")
            frames = gr.Slider(3, 33, value=FRAMES, step=2, label="Frames")
        button = gr.Button("Sweep")
        swept, told = gr.HTML(elem_id="sg-swept"), gr.HTML()
        button.click(handlers.sweep_range, [*asked, variable, frames], [swept, told], **NETWORKS)
    return swept


def download_box(handlers: Handlers, asked: list[Any]) -> None:
    """Files, and the Python of the request."""
    with gr.Accordion("Download this counterfactual", open=False):
        button = gr.Button("Prepare files")
        files, told = gr.HTML(elem_id="sg-files"), gr.HTML()
        code = gr.Code(language="python", label="The same request in Python", interactive=False, elem_id="sg-code")
        button.click(handlers.download, asked, [files, code, told], **NETWORKS)


def graph_switch(explored: Explored) -> gr.Radio:
    """Whether effects follow the graph; visible if the model has one."""
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
    """The slice that is shown, 0 for the one that changed most; visible if the images are volumes."""
    size = explored.first.grid.size
    deep = len(size) == 3
    return gr.Slider(
        0, size[-1] if deep else 1, value=0, step=1, label="Slice shown (0: the most changed one)", visible=deep
    )


def depth_of(explored: Explored, depth: float | int | None) -> int | None:
    """The slice of a volume to show; None for the most changed one."""
    return int(depth) - 1 if depth and len(explored.first.grid.size) == 3 else None


def present(chosen: Chosen | None) -> Chosen:
    """The session's image, or an error if there is none."""
    if chosen is None:
        raise InputError("no image is chosen (a session ends after an hour): choose one")
    return chosen


def guarded(work: Callable[[], Any], outputs: int, place: int) -> Any:
    """What the work returns; after a wrong input, the message in output `place`, and no other output changes."""
    try:
        return work()
    except InputError as error:
        return tuple(message_html(str(error)) if i == place else gr.skip() for i in range(outputs))


def message_html(*lines: str, kind: str = "alert") -> str:
    """Sentences for the user, as HTML."""
    return filled("note.html.j2", lines=lines, kind=kind) if lines else ""
