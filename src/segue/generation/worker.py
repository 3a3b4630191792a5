"""One worker: holds the model and the cohort, and answers shards. A shard is done when its part is there."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segue.causal.request import Request
from segue.cohort.case import Case
from segue.engine.answer import CaseAnswer, answer, inputs_of
from segue.engine.model import Model
from segue.errors import InputError
from segue.files import whole_file
from segue.generation.output import Output
from segue.generation.plan import Do, Plan
from segue.generation.source import Source
from segue.text import one_line

PARTS = "parts"


@dataclass(frozen=True)
class Tally:
    """What became of a shard."""

    counterfactuals: int
    quarantined: int


class Worker:
    """Answers shards of `shard` consecutive images and leaves `parts/<number>.parquet` in `out` for each.

    Doing a shard again leaves what doing it once did, whoever does it.
    """

    def __init__(
        self, model: Model, source: Source, plan: Plan, output: Output, *, out: Path, shard: int
    ) -> None:
        self.model, self.source, self.plan, self.output = model, source, plan, output
        self.requests = plan.requests
        self.out, self.shard = out, shard

    def __call__(self, number: int) -> Tally:
        """Do a shard.

        Raises:
            InputError: the output cannot be written: the disk is full, or gone.
        """
        if part(self.out, number).exists():  # done by a worker that died before it could say so
            return tally(pl.read_parquet(part(self.out, number)))
        ids = self.source.ids
        span = range(number * self.shard, min((number + 1) * self.shard, len(ids)))
        cases: dict[int, Case] = {}
        refused: dict[int, str] = {}
        for place in span:
            if not self.requests.of(ids[place]):
                continue
            try:
                cases[place] = readable(self.source.read(place), self.model)
            except Exception as error:  # a damaged image makes a decoder raise nearly anything
                refused[place] = reason(error)
        asked = {place: self.plan.requests_of(ids[place]) for place in cases}
        answers, failed = answer_all(self.model, cases, asked)
        refused |= failed
        table = self.table(answers, refused)
        chosen = [cases[place] for place in answers]
        try:
            self.output.write(number, list(answers), chosen, [one.images for one in answers.values()])
            write_part(self.out, number, table)
        except OSError as error:
            raise InputError(f"{self.out}: cannot be written ({error}); then the same command goes on") from None
        return tally(table)

    def table(self, answers: dict[int, CaseAnswer], refused: dict[int, str]) -> pl.DataFrame:
        """One row a counterfactual, and one for each image that was refused, with the reason."""
        ids, variables = self.source.ids, self.model.variables
        measured = len(self.model.parents.variables)
        rows: list[dict[str, Any]] = []
        for place, found in answers.items():
            for request, do in enumerate(self.requests.of(ids[place])):
                row = {"id": ids[place], "image": place, "request": request, "do": text(do)}
                for v, name in enumerate(variables):
                    row[f"{name}.factual"] = float(found.factual[v])
                    row[f"{name}.requested"] = float(found.requested[request, v])
                    if v < measured:
                        row[f"{name}.achieved"] = float(found.achieved[request, v])
                row["checksum"] = checksum(self.output.stored(found.images[request]))
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
    """Answers by place, and the reasons of those that have none: where one image fails, it fails alone."""
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
    for v, name in enumerate(variables):
        kinds = ("factual", "requested", "achieved") if v < measured else ("factual", "requested")
        columns |= {f"{name}.{kind}": pl.Float32 for kind in kinds}
    return columns | {"checksum": pl.String, "reason": pl.String}


def text(do: Do) -> str:
    return ", ".join(f"{name}={value}" for name, value in do.items())


def checksum(array: np.ndarray) -> str:
    """SHA-256 of the values in C order, as they are kept."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def reason(error: Exception) -> str:
    """One line; of a mistake in the input the message alone."""
    said = one_line(error)
    return said if isinstance(error, InputError) else f"{type(error).__name__}: {said}"


def tally(table: pl.DataFrame) -> Tally:
    refused = len(table) - table["reason"].null_count()
    return Tally(len(table) - refused, refused)


def part(out: Path, number: int) -> Path:
    return out / PARTS / f"{number:07d}.parquet"


def write_part(out: Path, number: int, table: pl.DataFrame) -> None:
    with whole_file(part(out, number)) as partial:
        table.write_parquet(partial)
