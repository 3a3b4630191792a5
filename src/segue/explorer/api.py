"""What the page does, over HTTP, for programs: four endpoints that hold no session (docs/explorer.md has a client)."""

import base64
import binascii
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from segue.errors import InputError
from segue.explorer import keep, upload
from segue.explorer.asking import ask, sweep, training_range
from segue.explorer.models import Chosen, Explored

JSON = dict[str, Any]


def endpoints(explored: Explored, **queue: Any) -> None:
    """Add the endpoints to the Blocks that is being built; `queue` is that of what runs the networks."""

    def variables() -> JSON:
        """What can be asked: by variable its unit, training range and standard deviation; and the methods."""
        return catalogue(explored)

    def images(search: str = "", limit: int = 100) -> list[str]:
        """Ids of the cohort that hold the text."""
        ids = [] if explored.source is None else explored.source.ids
        return [id for id in ids if search.lower() in id.lower()][: max(limit, 0)]

    def counterfactual(
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
        """One request of one image.

        `do` is {variable: value, "+20%", "-1.5sd" or "q0.9"}. The image is an id of the cohort (`image`), or the base64
        of a PNG, NIfTI or DICOM file (`file`, `name`), with the `slice` if it has several (from 0, -1: the middle one)
        and `given`, {covariate: value}, if the model has covariates. `methods` are separated by commas. If the model
        has a graph, effects follow it; `propagate` false holds everything else, `hold` the variables that it names.
        """

        def work() -> JSON:
            here = chosen(explored, image, file, name, slice, given or {})
            return answered(explored, here, do, methods, propagate, hold or [])

        return spoken(work)

    def swept(
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
            case, first = chosen(explored, image, "", "", -1, {}).case, next(iter(explored.models))
            found = sweep(
                explored, case, do or {}, method or first, variable,
                low=low, high=high, frames=frames, propagate=propagate, hold=hold or [],
            )  # fmt: skip
            return {"unit": found.unit, "requested": found.requested, "guide": found.guide, "judge": found.judge}

        return spoken(work)

    gr.api(variables, api_name="variables", queue=False)
    gr.api(images, api_name="images", queue=False)
    gr.api(counterfactual, api_name="counterfactual", **queue)
    gr.api(swept, api_name="sweep", **queue)


def catalogue(explored: Explored) -> JSON:
    model = explored.first
    names = model.measured_names
    listed = {
        name: {
            "unit": model.unit if name in names else "",
            "training": training_range(model, i),
            "sd": float(model.parents.sd[i]),
        }
        for i, name in enumerate(model.variables)
    }
    graph = model.scm is not None
    return {"model": explored.name, "methods": list(explored.models), "graph": graph, "variables": listed}


def answered(
    explored: Explored, here: Chosen, do: JSON, methods: str, propagate: bool, hold: Sequence[str]
) -> JSON:
    """A sidecar for each method, with its counterfactual as base64 of a NIfTI file."""
    names = [name.strip() for name in methods.split(",") if name.strip()] or [next(iter(explored.models))]
    answer = ask(explored, here.case, do, names, propagate=propagate, hold=hold)
    found: JSON = {}
    with TemporaryDirectory() as scratch:
        for one in answer.readings:
            keep.write_answer(Path(scratch), one.method, explored, here, answer, one)
            content = (Path(scratch) / f"{one.method}.nii.gz").read_bytes()
            found[one.method] = keep.sidecar(explored, here, answer, one) | {
                "nifti": base64.b64encode(content).decode()
            }
    return found


def chosen(explored: Explored, image: str, file: str, name: str, slice: int, given: JSON) -> Chosen:
    """An image of the cohort by its id, or one that was sent."""
    if bool(image) == bool(file):
        raise InputError("give either image (an id of the cohort) or file (base64), not both")
    if image:
        ids = [] if explored.source is None else explored.source.ids
        if image not in ids:
            raise InputError(f"image {image!r} is not in the cohort; ask /images for its ids")
        return explored.choose(ids.index(image))
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / (Path(name).name or "image")
        try:
            path.write_bytes(base64.b64decode(file, validate=True))
        except binascii.Error:
            raise InputError("file is no base64") from None
        received = upload.receive(path, explored.first)
        return upload.read(received, explored.first, slice=upload.place(received, slice), covariates=given)


def spoken(work: Callable[[], JSON]) -> JSON:
    """Bad input becomes an error that clients are shown."""
    try:
        return work()
    except InputError as error:
        raise gr.Error(str(error), print_exception=False) from None
