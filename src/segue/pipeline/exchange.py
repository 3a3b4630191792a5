"""Judging somebody else's model: requests go out as files, and a folder of images comes back.

`export_requests` writes what every method of a study is asked: factual test images, one row a request, and each
image's region maps. `evaluate_folders` judges folders of answers in the same table as the study's own methods.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from torch import Tensor

from segue.baselines.folder import answer_name, file_stem, of_folder
from segue.cohort.io import stamp
from segue.cohort.io.write_file import write_nifti
from segue.cohort.placement import scaled_axes
from segue.engine.method import Method
from segue.errors import InputError
from segue.files import whole_folder, write_text
from segue.pipeline.asking import Examination
from segue.pipeline.common import device, grid_of, intensity_of, open_store
from segue.pipeline.judging import (
    METRICS_FILE,
    check_method_name,
    check_trained,
    chosen_places,
    judge_cohort,
    judging_parents,
    make_report,
    tested_graph,
)
from segue.pipeline.recipes import recipes
from segue.pipeline.truth import known_oracle
from segue.quoting import csv_text
from segue.study.derived import named_by
from segue.study.schema import Study

TABLE, ABOUT = "requests.csv", "about.json"
IMAGES, REGIONS = "images", "regions"


def export_requests(study: Study, out: Path) -> Path:
    """Write `out`: images/ID.nii.gz, regions/ID.nii.gz, requests.csv, about.json.

    Images are float32 in the cohort's raw intensities, on the study's grid. The last axis of a region map is the
    variable, in the order of about.json. Each row of requests.csv names the file that is to answer it.

    Raises:
        InputError: `out` exists, or the study is not trained.
    """
    check_absent(out)
    check_trained(study)
    asked = examination(study)
    store = asked.store
    read = store.read(asked.places, fractions=False)
    weights = (one for batch in asked(title="export") for one in batch.facts.weights.cpu().numpy())
    cases = Exported(asked.ids, read["image"].numpy(), weights, spacings(read["spacing"], store.unit))
    about: dict[str, Any] = {"study": study.name, "unit": store.unit, "size": list(store.size)}
    about |= {"variables": list(asked.parents.variables.names), "intensity": intensity_of(study).settings()}
    return write_requests(out, cases, asked.pa, asked.values, about)


class Exported(NamedTuple):
    """The images that go out, in order: raw (channel, *space), region maps (variable, *space), mm per pixel."""

    ids: Sequence[str]
    images: Iterable[np.ndarray]
    regions: Iterable[np.ndarray]
    spacings: Sequence[tuple[float, ...] | None]


def write_requests(out: Path, cases: Exported, pa: Tensor, values: Tensor, about: Mapping[str, Any]) -> Path:
    """Write the files of `export_requests`.

    Args:
        pa: factual values (image, variable). values: requested. about: for about.json; `variables` and `unit` are read.

    Raises:
        InputError: `out` exists.
    """
    check_absent(out)
    with whole_folder(out) as folder:
        for part in (IMAGES, REGIONS):
            (folder / part).mkdir()
        for id, raw, regions, mm in zip(*cases, strict=True):
            write_nifti(folder / IMAGES / image_name(id), raw[0], scaled_axes(mm))
            write_nifti(folder / REGIONS / image_name(id), np.moveaxis(regions, 0, -1), scaled_axes(mm))
        table = request_table(cases.ids, about["variables"], pa.cpu(), values.cpu(), about["unit"])
        write_text(folder / TABLE, csv_text(table))
        write_text(folder / ABOUT, json.dumps(about, indent=1))
    return out


def check_absent(out: Path) -> None:
    """Refuse to write over a folder."""
    if out.exists():
        raise InputError(f"{out}: exists already; name a new folder")


def image_name(id: str) -> str:
    """The file of an image, and that of its region maps."""
    return f"{file_stem(id)}.nii.gz"


def request_table(ids: Sequence[str], names: Sequence[str], pa: Tensor, values: Tensor, unit: str) -> pl.DataFrame:
    """One row a request: what is asked of which image, and the name of the file that answers it."""
    rows = [
        {
            "request": f"{id}/{name}",
            "id": id,
            "image": f"{IMAGES}/{image_name(id)}",
            "variable": name,
            "factual": float(pa[i, v]),
            "requested": float(values[i, v]),
            "unit": unit,
            "answer": f"{answer_name(id, name)}.nii.gz",
        }
        for i, id in enumerate(ids)
        for v, name in enumerate(names)
    ]
    return pl.DataFrame(rows)


def evaluate_folders(study: Study, folders: Mapping[str, Path]) -> Path:
    """Judge folders of answers beside the study's own methods; the folder of metrics.json, table and report.

    The study's own methods are read from its evaluation, not judged again.

    Raises:
        InputError: a name or a file of a folder is wrong or missing, or the study is not evaluated.
    """
    own = recipes(study)
    for name in folders:
        check_method_name(name, own)
    check_trained(study)
    evaluated = study.directory / "evaluate"
    if not (evaluated / "done.json").exists():
        raise InputError(f"{study.directory}: is not evaluated; run `segue evaluate` on the study first")
    asked = examination(study)  # the answers are checked before anything is written
    for folder in folders.values():
        answers_in(folder, asked)
    files = {name: [folder.resolve(), *map(stamp, sorted(folder.iterdir()))] for name, folder in folders.items()}
    directory = study.directory / "compared" / named_by("-".join(folders), files)
    with whole_folder(directory, replaces=METRICS_FILE) as partial_folder:
        kept = ("effects-*.parquet", "judged-*.safetensors", "costs-*.json")
        for path in (path for pattern in kept for path in evaluated.glob(pattern)):
            shutil.copyfile(path, partial_folder / path.name)
        others = {name: partial(answers_in, folder) for name, folder in folders.items()}
        judge_cohort(study, open_store(study), partial_folder, oracle=known_oracle(study), others=others)
        make_report(study, partial_folder, partial_folder, tested_graph(study))
    return directory


def answers_in(folder: Path, asked: Examination) -> Method:
    """The method whose answers to an examination are the files of a folder."""
    names = asked.parents.variables.names
    grid = grid_of(asked.study, asked.store)
    return of_folder(folder, ids=asked.ids, variables=names, grid=grid, windows=asked.windows)


def examination(study: Study) -> Examination:
    """What every method of a study is asked, without the true answers."""
    store = open_store(study)
    if store.channels != 1:
        raise InputError(f"{study.directory}: its images have {store.channels} channels; files hold one")
    places = chosen_places(study, store, study.directory)
    return Examination(study, store, judging_parents(study).to(device()), places)


def spacings(table: Tensor, unit: str) -> list[tuple[float, ...] | None]:
    """mm per pixel of each image; None where it is not known."""
    return [None if unit == "px" else tuple(row) for row in table.tolist()]
