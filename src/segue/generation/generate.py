"""A whole cohort under a plan of interventions: resumable, with the same result for any number of workers."""

import math
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from segue.disk import writing
from segue.errors import InputError
from segue.files import lock_beside
from segue.generation import helpers, ledger, pool
from segue.generation.job import Job, open_worker, start_job
from segue.generation.output import Format
from segue.generation.worker import Tally, Worker
from segue.hub.locate import locate
from segue.locks import locked
from segue.pipeline.common import command, commit
from segue.progress import track


def generate(
    run: Path | str,
    *,
    cohort: Path | str,
    plan: Path | str,
    out: Path | str,
    format: Format = "zarr",
    split: str | None = None,
    method: str | None = None,
    workers: int = 1,
    address: str | None = None,
) -> dict[str, Any]:
    """Counterfactuals of every image of a cohort under a plan, written to a folder; returns its summary.

    After an interruption of any kind, repeat the same call: finished shards are not repeated. The result is the same,
    with any number of interruptions and workers.

    Args:
        run: a run, an exported folder or the name of a shipped model. method: of a run (see `segue.load`).
        cohort: a prepared store, or a folder of PNG or NIfTI files. split: of a store; only its images are used.
        plan: a YAML file (see `segue.generation.plan`).
        out: the folder to write: images, table.parquet, quarantine.csv, summary.json.
        format: of the images: one Zarr array, or files.
        workers: 1 is this process; more are further processes on this machine, or actors on a Ray cluster. A script
            that asks for more needs `if __name__ == "__main__":`, as all scripts do that start processes.
        address: of a Ray cluster whose nodes see the same paths.

    Raises:
        InputError: run, cohort, plan or out is missing or invalid, or no image could be answered.
    """
    pool.check_workers(workers, address)
    job = Job(locate(run).absolute(), method, Path(cohort).absolute(), split, Path(out).absolute(), format)
    with locked(lock_beside(job.out), job.out, mend="name another --out"):
        return complete(job, Path(plan), workers, address)


def complete(job: Job, plan: Path, workers: int, address: str | None) -> dict[str, Any]:
    """Do what is missing of a job, whose output folder nobody else writes to meanwhile."""
    began = time.perf_counter()
    worker = start_job(job, plan)
    if done := ledger.finished(job.out):
        return done
    shards = math.ceil(len(worker.source.ids) / worker.shard)
    todo = ledger.missing(job.out, shards)
    made = follow(tallies_of(job, worker, todo, workers, address), len(todo), shards)
    with writing(job.out / ledger.TABLE):
        counts = ledger.close(job.out, shards)
    if counts["quarantined"] and not counts["counterfactuals"]:
        raise InputError(f"{job.out / ledger.QUARANTINE}: no image could be answered; the file has the reasons")
    model = {"variables": list(worker.model.variables), "unit": worker.model.grid.unit}
    work = {"shards": shards, "shards_done_before": shards - len(todo), "workers": workers}
    summary = {**counts, **model, **work, **speed(made, began), **provenance(address)}
    ledger.end(job.out, summary)
    return summary


def tallies_of(
    job: Job, worker: Worker, todo: Sequence[int], workers: int, address: str | None
) -> Generator[Tally, None, None]:
    """The shards by `worker`, by it and further processes, or on a Ray cluster."""
    opened = partial(open_worker, job)
    if address is None or not todo:
        yield from helpers.with_helpers(worker, opened, todo, workers=workers)
        return
    log = job.out / "ray.log"
    yield from pool.on_ray(opened, todo, workers=workers, address=address, log=log)
    log.unlink(missing_ok=True)  # only needed after an error


def speed(counterfactuals: int, began: float) -> dict[str, float]:
    """Seconds since `began`, and counterfactuals per second."""
    seconds = time.perf_counter() - began
    return {"seconds": round(seconds, 2), "counterfactuals_per_second": round(counterfactuals / seconds, 2)}


def provenance(address: str | None) -> dict[str, Any]:
    """The command, the commit, and the versions of packages that the result depends on."""
    packages = ["segue-counterfactual", "torch", "numpy", "zarr", "polars", *(["ray"] if address else [])]
    versions = {package: version(package) for package in packages}
    return {"command": command(), "commit": commit(), "versions": versions}


def follow(tallies: Generator[Tally, None, None], todo: int, shards: int) -> int:
    """Consume the tallies and show progress; returns the number of counterfactuals made."""
    began, made, bad = time.perf_counter(), 0, 0

    def state() -> str:
        return f"{made / (time.perf_counter() - began):.1f} counterfactuals/s" + (f", {bad} quarantined" if bad else "")

    with closing(tallies):
        for _, tally in zip(track(range(todo), total=shards, title="generate", describe=state), tallies, strict=False):
            made, bad = made + tally.counterfactuals, bad + tally.quarantined
        next(tallies, None)  # so that the pool ends normally instead of being stopped
    return made
