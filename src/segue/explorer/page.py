"""The page: its layout, and which event changes which part. `handlers` says what the events do."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import gradio as gr

from segue.explorer import upload
from segue.explorer.api import endpoints
from segue.explorer.asking import MOST_METHODS
from segue.explorer.cohort_table import MOST_IMAGES
from segue.explorer.handlers import Handlers, message_html
from segue.explorer.lean_gradio import before_launch
from segue.explorer.markup import asset, filled
from segue.explorer.models import Explored
from segue.explorer.panel import title
from segue.explorer.planes import slice_sliders
from segue.explorer.tidy import LIFE
from segue.report.columns import method_title

Handler = Callable[..., Any]
"""Gives what changes by name (`Changed`)."""
FRAMES, IMAGES = 9, 24
NO_IMAGE = "There is no image yet: upload one. Started with --cohort FOLDER, you choose from the images of a folder."
QUEUE = 64  # requests that may wait; the next one is refused
LIGHT: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
NETWORKS: dict[str, Any] = {"concurrency_id": "networks", "concurrency_limit": 1, "api_visibility": "private"}
QUIET: dict[str, Any] = NETWORKS | {"show_progress": "hidden"}
LIVE: dict[str, Any] = QUIET | {"trigger_mode": "always_last"}
"""What is asked while an answer is under way is asked after it; gradio would drop it."""
BEGIN = "document.documentElement.dataset.sgBusy = 'on'; window.sgBegun = (window.sgBegun ?? 0) + 1;"  # see done.js
WAIT = f"(...inputs) => {{ {BEGIN} return inputs; }}"
DRAWN = f"(...inputs) => {{ {BEGIN} return new Promise((done) => setTimeout(() => done(inputs), 50)); }}"
"""The browser draws the pictures before it asks for what is measured on them."""
NEW = ["chosen", "answered", "request", "shown", "verdicts", "table", "depth", "picked", "told", "swept", "swept_told",
       "files", "files_told", "code"]  # fmt: skip
"""What a new image changes."""


def build_page(explored: Explored) -> gr.Blocks:
    """The whole page of one model. The only state of a user is the image, in the user's own session."""
    with before_launch(), Blocks(title="segue", analytics_enabled=False, fill_width=True) as blocks:
        page = Page(explored)
        page.lay_out()
        page.connect(blocks)
        endpoints(explored, concurrency_id="networks", concurrency_limit=1)
        blocks.queue(max_size=QUEUE)
    return blocks


class Blocks(gr.Blocks):
    """gradio's own; it imports gradio's command line to see whether that restarts it, which it does not."""

    _is_running_in_reload_thread = False


class Page:
    """The parts of the page by name, and the events between them."""

    def __init__(self, explored: Explored) -> None:
        self.explored, self.handlers = explored, Handlers(explored)
        self.parts: dict[str, Any] = {}
        self.covariates: list[Any] = []

    def on(
        self, event: Any, work: Handler, inputs: Sequence[str], outputs: Sequence[str], *more: Any,
        wait: str = "", **settings: Any,
    ) -> Any:  # fmt: skip
        """An event with its handler.

        Args:
            more: inputs without a name.
            wait: a script that is run before. Then the page says that it computes until the handler is done.
        """
        answers = by_part(work, {name: self.parts[name] for name in outputs})
        given, out = [*(self.parts[name] for name in inputs), *more], [self.parts[name] for name in outputs]
        started = event(answers, given, out, **settings, **({"js": wait} if wait else {}))
        if wait:
            link = [self.parts[name] for name in ("request", "methods", "follow")]
            for ended in (started.then, started.failure):  # `then` is not called after an error
                ended(None, link, None, js=asset("done.js"), api_visibility="private")
        return started

    def lay_out(self) -> None:
        """Pictures, request, and what is read after them."""
        parts, explored = self.parts, self.explored
        for name in ("chosen", "answered", "uploaded"):
            parts[name] = gr.State(None, time_to_live=LIFE)
        parts["link"] = gr.Textbox(visible="hidden", elem_id="sg-link", label="Link")
        titled = "document.title = element.querySelector('h1').textContent"  # after the login
        gr.HTML(filled("head.html.j2", name=explored.name), js_on_load=titled)
        with gr.Row(elem_id="sg-main", equal_height=False):
            with gr.Column(elem_id="sg-left", min_width=0):
                with gr.Accordion("Choose an image", open=True), gr.Tabs():
                    if explored.source is not None:
                        self.cohort_tab()
                    self.upload_tab()
                self.request_controls()
            with gr.Column(elem_id="sg-right", min_width=0):
                with gr.Column(elem_id="sg-see", min_width=0):
                    gr.HTML(asset("toolbar.html"), js_on_load=asset("toolbar.js"), elem_id="sg-toolbar")
                    parts["told"], parts["depth"] = told(), slice_sliders(explored)
                    empty = "" if explored.source is not None else message_html(NO_IMAGE, kind="status")
                    parts["shown"] = gr.HTML(empty, js_on_load=asset("viewer.js"), elem_id="sg-shown")
                    parts["verdicts"] = gr.HTML(elem_id="sg-verdicts")
                with gr.Column(elem_id="sg-more", min_width=0):
                    parts["table"] = gr.HTML(elem_id="sg-values")
                    self.sweep_box()
                    if explored.source is not None:
                        self.cohort_box()
                    self.download_box()

    def connect(self, blocks: gr.Blocks) -> None:
        """What choosing an image and moving a slider change."""
        parts, handlers = self.parts, self.handlers
        names = [name for name in NEW if name in parts]
        changes = [parts[name].input for name in ("request", "methods", "follow", "depth")]
        asked = ["chosen", "request", "methods", "follow", "depth"]
        seen = ["answered", "shown", "verdicts", "told"]
        answered = self.on(lambda *a, **k: gr.on(changes, *a, **k), handlers.answer, asked, seen, wait=WAIT, **LIVE)
        self.on(
            answered.then, handlers.judge, ["chosen", "answered"], ["verdicts", "table"], wait=DRAWN, **LIVE
        )  # fmt: skip
        if self.explored.source is not None:
            clicked = [name for name in names if name != "picked"]  # which the browser has set, maybe once more since
            self.on(parts["picked"].click, handlers.pick, ["picked", "methods", "follow"], clicked, wait=WAIT, **LIVE)
            loaded = blocks.load(None, None, parts["link"], js=asset("link.js"), api_visibility="private")
            started = [*names, "methods", "follow"]
            self.on(loaded.then, handlers.start, ["link"], started, wait=WAIT, **QUIET)
            self.on(
                parts["cohort"].click, handlers.open_row, ["cohort_request", "cohort", "methods", "follow"],
                [*names, "cohort_told"], wait=WAIT, **LIVE,
            )  # fmt: skip
        self.on(
            parts["use"].click, handlers.use_upload, ["uploaded", "methods", "follow", "slice"],
            [*names, "upload_told"], *self.covariates, wait=WAIT, **QUIET,
        )  # fmt: skip

    def cohort_tab(self) -> None:
        """Thumbnails, and a search by id."""
        with gr.Tab("From the cohort"):
            hint = "Search by id"
            self.parts["search"] = gr.Textbox(label=hint, placeholder=hint, max_lines=1, container=False)
            grid, script = self.handlers.gallery.html(), asset("gallery.js")
            picked = gr.HTML({}, grid=grid, html_template="${grid}", js_on_load=script, elem_id="sg-cohort")
        self.parts["picked"] = picked
        search = self.parts["search"].change
        self.on(search, self.handlers.find, ["search"], ["picked"], trigger_mode="always_last", **LIGHT)
        self.on(picked.select, self.handlers.turn, ["search", "picked"], ["picked"], **LIGHT)

    def upload_tab(self) -> None:
        """A file, its slice and its covariates."""
        parts = self.parts
        with gr.Tab("Upload"):
            gr.HTML(filled("hint.html.j2", lines=upload.hint(self.explored.first.grid)))
            parts["file"] = gr.File(label="File", type="filepath", file_count="single", height=140)
            parts["upload_told"] = told()
            parts["slice"] = gr.Slider(1, 2, value=1, step=1, label="Slice, along the last axis", visible=False)
            names = self.explored.covariates
            self.covariates = [gr.Number(label=f"{title(name)}, factual value", value=None) for name in names]
            parts["use"] = gr.Button("Use this image", variant="primary")
        received = ["uploaded", "slice", "upload_told"]
        self.on(parts["file"].change, self.handlers.receive, ["file"], received, api_visibility="private")

    def request_controls(self) -> None:
        """What is requested: the methods, whether effects follow the graph, and the sliders."""
        methods = self.explored.models
        self.parts["methods"] = gr.CheckboxGroup(
            choices=[(method_title(name), name) for name in methods],
            value=[next(iter(methods))],
            label=f"Methods to compare (up to {MOST_METHODS})",
            visible=len(methods) > 1,
        )
        self.parts["follow"] = graph_switch(self.explored)
        script = asset("panel.js")
        self.parts["request"] = gr.HTML(
            {}, grid="", html_template="${grid}", js_on_load=script, elem_id="sg-request"
        )

    def sweep_box(self) -> None:
        """One variable over its range; it starts with the one that is asked."""
        names, parts = self.explored.first.space.areas, self.parts
        with gr.Accordion("Sweep one variable over its range", open=False):
            with gr.Row():
                parts["variable"] = gr.Dropdown([(title(n), n) for n in names], value=names[0], label="Variable")
                parts["frames"] = gr.Slider(3, 33, value=FRAMES, step=2, label="Frames")
            button = gr.Button("Sweep")
            parts["swept_told"], parts["swept"] = told(), gr.HTML(elem_id="sg-swept")
        asked = ["chosen", "request", "methods", "follow", "variable", "frames"]
        self.on(button.click, self.handlers.sweep_range, asked, ["swept", "swept_told"], **NETWORKS)
        latest = asset("latest.js").replace("NAMES", json.dumps(names))
        variable = parts["variable"]
        parts["request"].input(None, [parts["request"], variable], variable, js=latest, **LIGHT)

    def cohort_box(self) -> None:
        """One request of many images."""
        parts, first = self.parts, self.explored.first.space.areas[0]
        with gr.Accordion("The same request of many images", open=False):
            with gr.Row():
                parts["cohort_request"] = gr.Textbox(
                    f"{first}=+20%", label="Request: variable=change, …", max_lines=1, scale=2, min_width=260
                )
                most = min(MOST_IMAGES, len(self.explored.source.ids if self.explored.source else ()))
                parts["images"] = gr.Number(min(IMAGES, most), label="Images", precision=0, minimum=1, maximum=most)
            button = gr.Button("Answer all")
            parts["cohort_told"] = told()
            script = asset("cohort.js")
            parts["cohort"] = gr.HTML({}, rows="", html_template="${rows}", js_on_load=script, elem_id="sg-table")
        request, written = parts["request"], parts["cohort_request"]
        request.input(None, [request, written], written, js=asset("percent.js"), **LIGHT)
        asked = ["cohort_request", "methods", "follow", "images"]
        self.on(button.click, self.handlers.cohort, asked, ["cohort", "cohort_told"], **NETWORKS)

    def download_box(self) -> None:
        """Files, and the Python of the request."""
        parts = self.parts
        with gr.Accordion("Download this counterfactual", open=False):
            button = gr.Button("Prepare files")
            parts["files_told"], parts["files"] = told(), gr.HTML(elem_id="sg-files")
            parts["code"] = gr.Code(
                label="The same request in Python", interactive=False, elem_id="sg-code",
                wrap_lines=True, show_line_numbers=False,
            )  # fmt: skip
        asked, made = ["chosen", "request", "methods", "follow"], ["files", "code", "files_told"]
        self.on(button.click, self.handlers.download, asked, made, **NETWORKS)


def told() -> gr.HTML:
    """A place for messages, which takes no room without one."""
    return gr.HTML(elem_classes="sg-told")


def by_part(work: Handler, parts: Mapping[str, Any]) -> Callable[..., dict[Any, Any]]:
    """A handler that gives what changes by gradio's parts, not by their names."""

    @wraps(work)
    def renamed(*values: Any, **given: Any) -> dict[Any, Any]:
        return {parts[name]: value for name, value in work(*values, **given).items() if name in parts}

    return renamed


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
