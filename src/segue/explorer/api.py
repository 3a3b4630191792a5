"""The page's functions over HTTP, for programs: four endpoints without sessions (docs/explorer.md has a client)."""

import base64
import binascii
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from segue.anatomy import variable_unit
from segue.cohort.io import split_suffix
from segue.errors import InputError
from segue.explorer import download, upload
from segue.explorer.asking import ask, sweep, training_range
from segue.explorer.models import Chosen, Explored
from segue.explorer.private_folder import scratch
from segue.files import fitting_name
from segue.text import without_folders

JSON = dict[str, Any]


def endpoints(explored: Explored, **queue: Any) -> None:
    """Add the endpoints to the Blocks that is being built; `queue`: settings of those that run networks."""
    api = Endpoints(explored)
    gr.api(api.variables, api_name="variables", concurrency_limit=None)
    gr.api(api.images, api_name="images", concurrency_limit=None)
    gr.api(api.counterfactual, api_name="counterfactual", **queue)
    gr.api(api.sweep, api_name="sweep", **queue)


class Endpoints:
    """The endpoints; gradio reads names, types and defaults of their arguments, and their documentation."""

    def __init__(self, explored: Explored) -> None:
        self.explored = explored

    def variables(self) -> JSON:
        """The variables with unit, training range and standard deviation; and the methods."""
        return catalogue(self.explored)

    def images(self, search: str = "", limit: int = 100) -> list[str]:
        """Ids of the cohort that contain the text."""
        ids = [] if self.explored.source is None else self.explored.source.ids
        return [id for id in ids if search.lower() in id.lower()][: max(limit, 0)]

    def counterfactual(
        self,
        do: JSON,
        image: str = "",
        file: str = "",
        name: str = "",
        slice: int = -1,
        given: JSON | None = None,
        methods: str = "",
        propagate: bool = True,
        hold: list[str] | None = None,
    ) -> JSON:
        """The counterfactuals of one request of one image.

        `do` is {variable: value, "+20%", "-1.5sd" or "q0.9"}. The image is an id of the cohort (`image`), or the base64
        of an image file (`file`, `name`), with the `slice` if it has several (from 0, -1: the middle one)
        and `given`, {covariate: value}, if the model has covariates. `methods` are separated by commas. If the model
        has a graph, effects follow it; with `propagate` false everything else is held, and `hold` names variables that
        are held.
        """

        def work() -> JSON:
            with scratch() as folder:  # the file is needed until the answer is on its pixels
                here = find_image(self.explored, image, file, name, slice, given or {}, folder=Path(folder))
                return answer_by_method(self.explored, here, do, methods, propagate, hold or [])

        return with_messages(work)

    def sweep(
        self,
        variable: str,
        low: float | int,
        high: float | int,
        image: str,
        frames: int = 9,
        do: JSON | None = None,
        method: str = "",
        propagate: bool = True,
        hold: list[str] | None = None,
    ) -> JSON:
        """One variable of an image of the cohort, from `low` to `high`: requested, and measured by guide and judge."""

        def work() -> JSON:
            case = of_cohort(self.explored, image).case
            found = sweep(
                self.explored, case, do or {}, method or next(iter(self.explored.models)), variable,
                low=low, high=high, frames=frames, propagate=propagate, hold=hold or [],
            )  # fmt: skip
            return {"unit": found.unit, "requested": found.requested, "guide": found.guide, "judge": found.judge}

        return with_messages(work)


def catalogue(explored: Explored) -> JSON:
    """The model's variables and methods."""
    model = explored.first
    listed = {
        name: {
            "unit": variable_unit(name, model.grid.unit),
            "training": training_range(model, i),
            "sd": float(model.parents.sd[i]),
        }
        for i, name in enumerate(model.variables)
    }
    graph = model.scm is not None
    return {"model": explored.name, "methods": list(explored.models), "graph": graph, "variables": listed}


def answer_by_method(
    explored: Explored, here: Chosen, do: JSON, methods: str, propagate: bool, hold: Sequence[str]
) -> JSON:
    """A sidecar for each method, with its counterfactual as base64 of a NIfTI file."""
    names = [name.strip() for name in methods.split(",") if name.strip()] or [next(iter(explored.models))]
    answer = ask(explored, here.case, do, names, propagate=propagate, hold=hold)
    found: JSON = {}
    with scratch() as folder:
        for one in answer.readings:
            download.write_answer(Path(folder), one.method, explored, here, answer, one)
            content = (Path(folder) / f"{one.method}.nii.gz").read_bytes()
            sidecar = download.sidecar(explored, here, answer, one)
            found[one.method] = sidecar | {"nifti": base64.b64encode(content).decode()}
    return found


def find_image(
    explored: Explored, image: str, file: str, name: str, slice: int, given: JSON, *, folder: Path
) -> Chosen:
    """An image of the cohort by its id, or the file that was sent (base64), which is kept in `folder`."""
    if bool(image) == bool(file):
        raise InputError("give either image (an id of the cohort) or file (base64), not both")
    if image:
        return of_cohort(explored, image)
    stem, suffix = split_suffix(Path(name).name or "image")
    path = folder / fitting_name(stem, suffix)
    try:
        path.write_bytes(base64.b64decode(file, validate=True))
    except binascii.Error:
        raise InputError("file is not valid base64") from None
    received = upload.receive(path, explored.first)
    return upload.read(received, explored.first, slice=upload.place(received, slice), covariates=given)


def of_cohort(explored: Explored, image: str) -> Chosen:
    """An image of the cohort by its id."""
    ids = [] if explored.source is None else explored.source.ids
    if image not in ids:
        raise InputError(f"image {image!r} is not in the cohort; ask /images for its ids")
    return explored.choose(ids.index(image))


def with_messages(work: Callable[[], JSON]) -> JSON:
    """Turn a mistake in the input into an error whose message the client receives."""
    try:
        return work()
    except InputError as error:
        raise gr.Error(without_folders(str(error)), print_exception=False) from None
