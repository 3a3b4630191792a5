"""Images made elsewhere: a folder of answers to exported requests, judged like any method.

`segue requests` exports the factual images, the requests and the names of the wanted files. Whatever model answered
them, in whatever framework, the images come back as files of those names, on the study's grid and in raw intensities.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.cohort.grid import Grid
from segue.cohort.io.image_file import decode_image
from segue.engine.method import Images, Method, Questions, still
from segue.errors import InputError

SUFFIXES = (".nii.gz", ".nii", ".png")
AS_HYPHENS = str.maketrans("@:", "--")


def answer_name(id: str, variable: str) -> str:
    """The stem of the file that answers the request of one variable of one image.

    >>> answer_name("case_07", "lumen@mid")
    'case_07__lumen-mid'
    """
    return f"{file_stem(id)}__{variable.translate(AS_HYPHENS)}"


def file_stem(id: str) -> str:
    """An image's id as the stem of a file.

    >>> file_stem("site_a/case_07")
    'site_a_case_07'
    """
    return id.replace("/", "_")


def of_folder(
    folder: Path,
    *,
    ids: Sequence[str],
    variables: Sequence[str],
    grid: Grid,
    windows: Float[Tensor, "image 2"] | None = None,
) -> Method:
    """The method whose answers are the files of a folder, one an image and variable.

    Args:
        ids: of all images that will be asked for. variables: the measured variables, in the order of the requests.
        windows: by which the factual images are scaled, one row for each of `ids`, and so their answers (not by their
            own: what an answer changed would shift its percentiles). None: by the grid's usual intensity.

    Raises:
        InputError: the folder or one of the files is missing; the message names the first.

    >>> of_folder(Path("nowhere"), ids=["a"], variables=["lumen@mid"], grid=Grid((4, 4)))
    Traceback (most recent call last):
    segue.errors.InputError: nowhere: no such folder; give the folder of the images that answer the exported requests
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of the images that answer the exported requests")
    files = {(id, name): found_file(folder, answer_name(id, name)) for id in ids for name in variables}

    rows = {id: row for row, id in enumerate(ids)}

    def respond(questions: Questions) -> Images:
        raw = [np.stack([read_answer(files[id, name], grid) for id in questions.ids]) for name in variables]
        window = grid.intensity.usual if windows is None else windows[[rows[id] for id in questions.ids]]
        return [grid.scale(torch.from_numpy(images), window).to(questions.facts.image.device) for images in raw]

    return Method(still(respond), open_ended=False)


def found_file(folder: Path, stem: str) -> Path:
    """The file of a stem, in any format that is read."""
    for suffix in SUFFIXES:
        if (path := folder / f"{stem}{suffix}").is_file():
            return path
    raise InputError(f"{folder / stem}.nii.gz: is missing; answer every row of requests.csv (.nii.gz or .png)")


def read_answer(path: Path, grid: Grid) -> Float[np.ndarray, "channel *space"]:
    """One image, which must be on the study's grid.

    Raises:
        InputError: it is on another grid, or cannot be read.
    """
    array = decode_image(path, len(grid.size)).array
    if array.shape != grid.size:
        raise InputError(f"{path}: is {array.shape}, the study's grid {grid.size}; do not resize the exported images")
    return array[None].astype(np.float32)
