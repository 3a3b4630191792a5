"""Judging a trained study on its own test images, shifted as other scanners would shift them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segue.cohort import Record, Store, write_store
from segue.errors import InputError, nearest
from segue.evaluation.shift import SHIFTS, Shift, shifted
from segue.files import whole_folder, write_text
from segue.pipeline.common import command, commit, open_store
from segue.pipeline.judging import (
    METRICS_FILE,
    check_trained,
    judge_cohort,
    make_report,
    read_metrics,
    tested_graph,
)
from segue.pipeline.prepare import following
from segue.report.shifts import SUMMARY_TABLE, shifts_table
from segue.study.schema import Study

ALL = "all"


def evaluate_shifted(study: Study, name: str) -> Path:
    """Judge a trained study under one shift, or under `all` of them; the folder of what was written.

    Each goes to shifted/NAME, as an evaluation elsewhere does. All of them give shifted/shifts.json and shifts.md too:
    every method's errors, beside those of the study's own evaluation.

    Raises:
        InputError: no such shift; the study is not trained or a cross-validation; or, for all, not evaluated.
    """
    if name not in (*SHIFTS, ALL):
        raise InputError(f"--shift {name}: is no shift{nearest(name, (*SHIFTS, ALL))}")
    check_trained(study)
    if name != ALL:
        return judge_shift(study, name)
    own = study.directory / "evaluate" / METRICS_FILE
    if not own.exists():
        raise InputError(f"{study.directory}: is not evaluated; run `segue evaluate` on the study first")
    made = {one: read_metrics(judge_shift(study, one)) for one in SHIFTS}
    found = shift_summary(read_metrics(own.parent), made) | {"commit": commit(), "command": command()}
    directory = study.directory / "shifted"
    write_text(directory / "shifts.json", json.dumps(found, indent=1))
    write_text(directory / SUMMARY_TABLE, shifts_table(found, {key: shift.title for key, shift in SHIFTS.items()}))
    return directory


def judge_shift(study: Study, name: str) -> Path:
    """The test images of a study under one shift, in a store of their own, judged."""
    directory = study.directory / "shifted" / name
    with whole_folder(directory, replaces=METRICS_FILE) as partial:
        path = partial / "cohort.zarr"
        write_shifted(open_store(study), SHIFTS[name], path, title=f"shift {name}")
        judge_cohort(study, Store(path), partial)
        make_report(study, partial, partial, tested_graph(study))
    return directory


def write_shifted(store: Store, shift: Shift, path: Path, *, title: str) -> None:
    """A store of the shifted test images alone, in the same order."""
    rows = store.indices("test")
    records = following(shifted_records(store, shift, rows), len(rows), title)
    settings: dict[str, Any] = {"structures": store.structures, "size": store.size, "total": len(rows)}
    write_store(path, records, split={"test": 1.0}, seed=0, **settings)


def shifted_records(store: Store, shift: Shift, rows: Sequence[int] | np.ndarray) -> Iterator[Record]:
    """Images of a store under a shift, each with its own noise; what is known of them stays.

    A crop enlarges what it shows, so that a pixel is smaller in mm: areas in mm2 stay, those in px grow.
    """
    covariates = [name for name in store.table.columns if name not in ("id", "subject", "split")]
    for row in rows:
        read, known = store.read(np.array([row])), store.table.row(int(row), named=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(row))
            image, fractions = shifted(shift, read["image"], read["fractions"])
        spacing = None if store.unit == "px" else tuple(shift.kept * float(mm) for mm in read["spacing"][0])
        values = {name: known[name] for name in covariates}
        yield Record(known["id"], known["subject"], image[0].numpy(), fractions[0].numpy(), spacing, values, store.axes)


def shift_summary(own: Mapping[str, Any], made: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Error and off-target change of every method, unshifted and by shift, and the ratio of the errors.

    Args:
        own: metrics.json of the study's own evaluation. made: those of its shifts, by name.

    >>> one, other = ({"study": "s", "methods": {"a": {"mean": {"error_sd": error}}}} for error in (0.5, 0.6))
    >>> shift_summary(one, {"noisy": other})["shifts"]["noisy"]["a"]
    {'error_sd': 0.6, 'off_target_sd': None, 'ratio': 1.2}
    """
    before = {name: means_of(method) for name, method in own["methods"].items()}
    shifts = {
        shift: {name: compared(means_of(method), before[name]) for name, method in metrics["methods"].items()}
        for shift, metrics in made.items()
    }
    judged = next(iter(shifts.values()))
    return {"study": own["study"], "unshifted": {name: before[name] for name in judged}, "shifts": shifts}


def means_of(method: Mapping[str, Any]) -> dict[str, float | None]:
    """Error and off-target change of a method, in sd."""
    return {key: method["mean"].get(key) for key in ("error_sd", "off_target_sd")}


def compared(after: dict[str, float | None], before: Mapping[str, float | None]) -> dict[str, float | None]:
    """The means under a shift, and the ratio of the error to the unshifted one, if there is one."""
    error, unshifted = after["error_sd"], before["error_sd"]
    return after | {"ratio": error / unshifted if error is not None and unshifted else None}
