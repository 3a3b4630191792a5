"""A whole cohort under a plan of interventions: resumable, by any number of workers, to the same result."""

import time
from collections.abc import Generator
from contextlib import closing
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from segue.errors import InputError
from segue.generation import ledger, pool
from segue.generation.job import Job, begin, open_worker
from segue.generation.output import Format
from segue.generation.worker import Tally
from segue.hub.locate import locate
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
    """Counterfactuals of every image of a cohort under a plan, to a folder; returns its summary.

    A call that was cut short, at any moment and by any means, is repeated to go on: what is done is not done again,
    and the result is the same, as it is for any number of workers.

    Args:
        run: a run, an exported folder or a shipped model's name. method: of a run (see `segue.load`).
        cohort: a prepared store, or a folder of PNG or NIfTI files. split: of a store, the images of one split.
        plan: a YAML file (see `segue.generation.plan`).
        out: the folder to write: images, table.parquet, quarantine.csv, summary.json.
        format: of the images: one Zarr array, or files.
        workers: 1 works in this process; more are actors on Ray.
        address: of a Ray cluster whose nodes see the same paths; by default Ray is started here if it is needed.

    Raises:
        InputError: run, cohort, plan or out are not what they should be, or no image at all could be answered.
    """
    if workers < 1:
        raise InputError(f"--workers {workers}: give a number of workers, 1 or more")
    if distributed := workers > 1 or address is not None:
        pool.check_ray()
    began = time.perf_counter()
    job = Job(locate(run).absolute(), method, Path(cohort).absolute(), split, Path(out).absolute(), format)
    worker = begin(job, Path(plan))
    if done := ledger.finished(job.out):
        return done
    shards = -(-len(worker.source.ids) // worker.shard)
    todo = ledger.missing(job.out, shards)
    log = job.out / "ray.log"
    if distributed and todo:
        tallies = pool.on_ray(partial(open_worker, job), todo, workers=workers, address=address, log=log)
    else:
        tallies = pool.here(worker, todo)
    made = follow(tallies, len(todo), shards)
    log.unlink(missing_ok=True)  # of interest where something went wrong
    counts = ledger.close(job.out, shards)
    if counts["quarantined"] and not counts["counterfactuals"]:
        raise InputError(f"{job.out / ledger.QUARANTINE}: not one image could be answered; it says why")
    seconds = time.perf_counter() - began
    summary = {
        **counts,
        "variables": list(worker.model.variables),
        "unit": worker.model.grid.unit,
        "shards": shards,
        "shards_done_before": shards - len(todo),
        "workers": workers,
        "seconds": round(seconds, 2),
        "counterfactuals_per_second": round(made / seconds, 2),
        "command": command(),
        "commit": commit(),
        "versions": versions(distributed),
    }
    ledger.end(job.out, summary)
    return summary


def follow(tallies: Generator[Tally, None, None], todo: int, shards: int) -> int:
    """Draw the tallies, showing how far they are; the number of counterfactuals made."""
    began, made, bad = time.perf_counter(), 0, 0

    def state() -> str:
        return f"{made / (time.perf_counter() - began):.1f} counterfactuals/s" + (f", {bad} quarantined" if bad else "")

    with closing(tallies):
        for _, tally in zip(track(range(todo), total=shards, title="generate", describe=state), tallies, strict=False):
            made, bad = made + tally.counterfactuals, bad + tally.quarantined
        next(tallies, None)  # lets the pool see its end, rather than be stopped
    return made


def versions(distributed: bool) -> dict[str, str]:
    """Of what the result depends on."""
    packages = ["segue-counterfactual", "torch", "numpy", "zarr", "polars", *(["ray"] if distributed else [])]
    return {package: version(package) for package in packages}
