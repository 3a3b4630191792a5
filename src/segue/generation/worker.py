"""One worker: holds the model and the cohort, and answers shards. A shard is done when its part file exists."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segue.causal.request import Request
from segue.cohort.case import Case
from segue.disk import writing
from segue.engine.answer import CaseAnswer, answer, inputs_of
from segue.engine.model import Model
from segue.errors import InputError
from segue.generation.output import CaseImages, Output
from segue.generation.plan import Plan, RequestText
from segue.generation.source import Source
from segue.tensor_file import read_table, save_table
from segue.text import one_line

PART_FOLDER = "parts"
REPEAT = "remove it, then the same command does its images again"


@dataclass(frozen=True)
class Tally:
    """The result of a shard: how many counterfactuals were made, and how many images were refused."""

    counterfactuals: int
    quarantined: int


class Worker:
    """Answers shards of `shard` consecutive images, and writes `parts/<number>.parquet` in `out` for each.

    A shard that is done twice, by whatever workers, has the same result as one that is done once.
    """

    def __init__(
        self, model: Model, source: Source, plan: Plan, output: Output, *, out: Path, shard: int
    ) -> None:
        self.model, self.source, self.plan, self.output = model, source, plan, output
        self.requests = plan.requests
        self.out, self.shard = out, shard

    def __call__(self, number: int) -> Tally:
        """RequestText a shard.

        Raises:
            InputError: the output cannot be written: the disk is full, or gone.
        """
        if part(self.out, number).exists():  # done by a worker that died before it could report
            return tally(read_table(part(self.out, number), mend=REPEAT))
        cases, refused = self.read(range(number * self.shard, min((number + 1) * self.shard, len(self.source.ids))))
        asked = {place: self.plan.requests_of(self.source.ids[place]) for place in cases}
        answers, failed = answer_all(self.model, cases, asked)
        refused |= failed
        chosen = [cases[place] for place in answers]
        checksums: dict[int, list[str]] = {}
        with writing(self.out):
            images = self.images(chosen, answers, checksums)
            self.output.write(number, list(answers), chosen, images)
            table = self.table(answers, refused, checksums)
            write_part(self.out, number, table)
        return tally(table)

    def read(self, places: range) -> tuple[dict[int, Case], dict[int, str]]:
        """The images that have requests, and the reasons of those that cannot be read, by index in the cohort."""
        cases: dict[int, Case] = {}
        refused: dict[int, str] = {}
        for place in places:
            if not self.requests.of(self.source.ids[place]):
                continue
            try:
                cases[place] = readable(self.source.read(place), self.model)
            except Exception as error:  # damaged images make decoders raise errors of nearly any type
                refused[place] = reason(error)
        return cases, refused

    def images(
        self, cases: Sequence[Case], answers: dict[int, CaseAnswer], checksums: dict[int, list[str]]
    ) -> Iterator[CaseImages]:
        """The counterfactuals of one image after the other, as they are written; `checksums` is filled on the way."""
        for case, (place, found) in zip(cases, answers.items(), strict=True):
            images = self.output.images(case, found, self.model.grid)
            checksums[place] = [values_checksum(self.output.stored(image)) for image in images]
            yield images

    def table(
        self, answers: dict[int, CaseAnswer], refused: dict[int, str], checksums: dict[int, list[str]]
    ) -> pl.DataFrame:
        """One row per counterfactual, and one per refused image with the reason."""
        ids, variables = self.source.ids, self.model.variables
        measured = len(self.model.parents.variables)
        rows: list[dict[str, Any]] = []
        for place, found in answers.items():
            for request, do in enumerate(self.requests.of(ids[place])):
                said = found.verdicts[request]
                row = {"id": ids[place], "image": place, "request": request, "do": text(do), "verdict": said.word}
                row["doubts"] = "; ".join(doubt.text for doubt in said.doubts)
                row |= {f"{one.variable}.share": one.share for one in said.reached}
                for v, name in enumerate(variables):
                    row[f"{name}.factual"] = float(found.factual[v])
                    row[f"{name}.requested"] = float(found.requested[request, v])
                    if v < measured:
                        row[f"{name}.achieved"] = float(found.achieved[request, v])
                row["checksum"] = checksums[place][request]
                rows.append(row)
        rows += [{"id": ids[place], "image": place, "reason": why} for place, why in refused.items()]
        return pl.DataFrame(rows, schema=schema(variables, measured)).sort("image", "request")


def readable(case: Case, model: Model) -> Case:
    """Refuse an image that cannot be answered, before it joins a batch with others.

    Raises:
        InputError: another shape, values that are not finite, a covariate or a spacing that is missing or wrong.
    """
    if case.image.shape != model.grid.shape:
        raise InputError(f"has shape {case.image.shape}, not {model.grid.shape}")
    inputs_of(model, [case])
    return case


def answer_all(
    model: Model, cases: dict[int, Case], requests: Mapping[int, Sequence[Request]]
) -> tuple[dict[int, CaseAnswer], dict[int, str]]:
    """Answers, and the reasons of images without one, by index. An error in one image does not affect the others."""
    try:
        found = dict(zip(cases, answer(model, list(cases.values()), list(requests.values())), strict=True))
        failed: dict[int, str] = {}
    except Exception:
        found, failed = {}, {}
        for place, case in cases.items():
            try:
                (found[place],) = answer(model, [case], [requests[place]])
            except Exception as error:
                failed[place] = reason(error)
    for place, one in list(found.items()):
        finite = np.isfinite(one.images).all() and np.isfinite(one.achieved).all()
        if not finite:
            failed[place] = "its counterfactual holds values that are not finite"
            del found[place]
    return found, failed


def schema(variables: Sequence[str], measured: int) -> dict[str, Any]:
    """The columns of the table, and `reason`."""
    columns: dict[str, Any] = {"id": pl.String, "image": pl.Int64, "request": pl.Int32, "do": pl.String}
    columns |= {"verdict": pl.String, "doubts": pl.String}
    for v, name in enumerate(variables):
        kinds = ("factual", "requested", "achieved", "share") if v < measured else ("factual", "requested")
        columns |= {f"{name}.{kind}": pl.Float32 for kind in kinds}
    return columns | {"checksum": pl.String, "reason": pl.String}


def text(do: RequestText) -> str:
    """The request as it is written in the table."""
    return ", ".join(f"{name}={value}" for name, value in do.items())


def values_checksum(array: np.ndarray) -> str:
    """SHA-256 of the values in C order, as they are stored."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def reason(error: Exception) -> str:
    """The error on one line; only its message if it is an InputError."""
    said = one_line(error)
    return said if isinstance(error, InputError) else f"{type(error).__name__}: {said}"


def tally(table: pl.DataFrame) -> Tally:
    """Counts of a part's table."""
    refused = len(table) - table["reason"].null_count()
    return Tally(len(table) - refused, refused)


def part(out: Path, number: int) -> Path:
    """The file that marks shard `number` as done."""
    return out / PART_FOLDER / f"{number:07d}.parquet"


def write_part(out: Path, number: int, table: pl.DataFrame) -> None:
    save_table(table, part(out, number))
