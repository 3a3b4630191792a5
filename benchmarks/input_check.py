"""The input check of trained models: false alarms on test images, and how often each corruption of them is noticed."""

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from benchmarks.corruptions import corruptions, resized, stretched
from benchmarks.record import Findings, Row, Statement, run
from segue.cohort import Store
from segue.engine.answer import Inputs, abduct_images
from segue.engine.input_check import InputCheck
from segue.engine.model import Model
from segue.hub.load import load
from segue.hub.runs import study_at
from segue.pipeline.common import open_store, spaced
from segue.pipeline.inputs import typical_of
from segue.pipeline.read_inputs import read_inputs

FULL = {"runs": "runs", "studies": ("chest-small", "cardiac-sectors", "coronary-demo"), "images": 50, "timed": 40}
QUICK = FULL | {"images": 8, "timed": 10}


class Checked(NamedTuple):
    """A trained model with its cohort."""

    name: str
    model: Model
    check: InputCheck
    store: Store

    def test_images(self, most: int) -> Tensor:
        """Test images, evenly spaced."""
        return self.store.read(spaced(self.store.indices("test"), most), fractions=False)["image"]


def measure(*, runs: str, studies: tuple[str, ...], images: int, timed: int) -> Findings:
    """Shares of images that the check of each run's model doubts, and shares for which it names the right mend."""
    models = [opened(Path(runs) / name) for name in studies]
    found: dict[str, Row] = {}
    statements: list[Statement] = []
    for one in models:
        statements += false_alarms(one)
        told = f"{one.name}: CPU seconds of the check of one image, beyond its abduction"
        statements.append(Statement(told, seconds(one, timed)))
        torch.manual_seed(0)
        for name, mend, raw in cases(one, models, images):
            said = doubts(one, raw)
            row = found.setdefault(name, {"corruption": name})
            row[f"{one.name} noticed"] = sum(map(bool, said)) / len(said)
            row[f"{one.name} images"] = len(said)
            if mend:
                row[f"{one.name} mend named"] = sum(any(mend in text for text in texts) for texts in said) / len(said)
    return Findings(list(found.values()), statements)


def opened(run_folder: Path) -> Checked:
    """A run, its check calibrated now where it has none."""
    model, store = load(run_folder), open_store(study_at(run_folder))
    check = model.input_check
    if check is None and (typical := typical_of(model, store)) is not None:
        check = InputCheck(typical, model)
    assert check is not None, f"{run_folder}: too few held-out images"
    return Checked(run_folder.name, model, check, store)


def cases(one: Checked, models: Sequence[Checked], images: int) -> Iterator[tuple[str, str, Tensor]]:
    """Every corruption, and the images of the other cohorts."""
    raw = one.test_images(images)
    yield from corruptions(raw, one.model.grid)
    for other in models:
        if other is not one:
            foreign = resized(other.test_images(images), one.model.grid.size)
            yield f"images of {other.name}", "", foreign
            yield f"images of {other.name}, in the range of intensities", "", stretched(foreign, raw)


def doubts(one: Checked, raw: Tensor) -> list[tuple[str, ...]]:
    """What is said of each image."""
    found: list[tuple[str, ...]] = []
    for part in raw.split(32):
        area = torch.full((len(part),), one.model.grid.pixel_area or float(one.store.pixel_area().mean()))
        sides = torch.ones(len(part), part.ndim - 2)
        found += one.check.doubts(abduct_images(one.model, Inputs(part, area, torch.zeros(len(part), 0), sides)))
    return found


def false_alarms(one: Checked) -> list[Statement]:
    """The stated rate, and that of all test images with its exact 95% interval (Clopper and Pearson)."""
    rows = one.store.indices("test")
    said = [
        text
        for inputs, _ in read_inputs(one.model, one.store, rows, title=f"{one.name}: test images")
        for text in one.check.doubts(abduct_images(one.model, inputs))
    ]
    count, typical = sum(map(bool, said)), one.check.typical
    interval = binomtest(count, len(said)).proportion_ci()
    return [
        Statement(f"{one.name}: false alarms as calibrated on {typical.images} images", typical.false_alarm),
        Statement(f"{one.name}: false alarms, {count} of {len(said)} test images", count / len(said), tuple(interval)),
    ]


def seconds(one: Checked, timed: int) -> float:
    """The median CPU time of the check of one ordinary image, beyond its abduction."""
    took = []
    rows = np.resize(one.store.indices("test"), timed)
    for inputs, _ in read_inputs(one.model, one.store, rows, title="timing"):
        for single in inputs.split(1):
            known = abduct_images(one.model, single)
            began = time.process_time()
            one.check.statistics(known)
            took.append(time.process_time() - began)
    return statistics.median(took)


if __name__ == "__main__":
    run("input_check", measure, full=FULL, quick=QUICK)
