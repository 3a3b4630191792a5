"""What a piece of work consists of, checked as a whole; and a worker for it, in this process or in another."""

import dataclasses
import hashlib
import math
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from segue.cohort.io.write_file import bits_of
from segue.engine.model import Model
from segue.errors import InputError
from segue.files import write_text
from segue.generation import ledger
from segue.generation.output import (
    FOLDER,
    STORE,
    FileOutput,
    Format,
    Output,
    ZarrOutput,
    check_files,
    create_store,
)  # fmt: skip
from segue.generation.plan import REQUESTS, Listed, Plan, read_plan
from segue.generation.source import Source, open_source
from segue.generation.worker import Worker
from segue.hub.load import load
from segue.pipeline import fingerprint

PLAN = "plan.yaml"
SHARD_IMAGES = 64  # at most
SHARD_BYTES = 1 << 28  # of a shard's counterfactuals, at most: a worker holds them in memory


@dataclass(frozen=True)
class Job:
    """Where everything is: the same paths for every worker, wherever it runs."""

    run: Path
    method: str | None
    cohort: Path
    split: str | None
    out: Path
    format: Format


def begin(job: Job, plan_file: Path) -> Worker:
    """Check everything, make the output folder or find it begun by the same job, and open a worker here.

    Raises:
        InputError: run, cohort, plan or output folder are not what they should be.
    """
    model = load(job.run, method=job.method)
    plan = read_plan(plan_file, model.variables)
    source = open_source(job.cohort, model, split=job.split)
    check_ids(plan, plan_file, source)
    if job.format != "zarr":
        check_files(source.ids, job.format, channels=model.grid.channels, dims=len(model.grid.size))
    plan = dataclasses.replace(plan, shard=plan.shard or shard_length(plan.requests.most, model))
    identity = {
        **of_model(model),
        "cohort": fingerprint([source.identity(), job.split]),
        "plan": fingerprint([plain(plan), table_bytes(plan)]),
        "format": job.format,
    }
    ledger.begin(job.out, identity, partial(fill, job=job, model=model, source=source, plan=plan))
    return assemble(job, model, source, plan)


def open_worker(job: Job) -> Worker:
    """A worker for a job that has begun, in a process of its own.

    Raises:
        InputError: the run that this process sees is not the one that the job was begun with.
    """
    model = load(job.run, method=job.method)
    begun = ledger.identity_of(job.out)
    for key, value in of_model(model).items():
        if begun[key] != value:
            raise InputError(f"{job.run}: a worker has another {key}; give all nodes one folder and like hardware")
    plan = read_plan(job.out / PLAN, model.variables)
    return assemble(job, model, open_source(job.cohort, model, split=job.split), plan)


def of_model(model: Model) -> dict[str, str]:
    """What must be the same for all workers."""
    return {"run": ledger.weights_of(model)}


def assemble(job: Job, model: Model, source: Source, plan: Plan) -> Worker:
    assert plan.shard is not None  # resolved when the job began
    output: Output
    if job.format == "zarr":
        output = ZarrOutput(job.out / STORE, shard=plan.shard)
    else:
        output = FileOutput(job.out / FOLDER, format=job.format, bits=bits_of(model.grid.intensity))
    return Worker(model, source, plan, output, out=job.out, shard=plan.shard)


def fill(folder: Path, *, job: Job, model: Model, source: Source, plan: Plan) -> None:
    """What an output folder begins with: the plan with its defaults filled in, and room for the images."""
    write_text(folder / PLAN, yaml.safe_dump(plain(plan), sort_keys=False))
    if isinstance(plan.requests, Listed):
        shutil.copyfile(plan.requests.table, folder / REQUESTS)
    if job.format != "zarr":
        (folder / FOLDER).mkdir()
        return
    assert plan.shard is not None
    create_store(
        folder / STORE,
        images=len(source.ids),
        requests=plan.requests.most,
        shard=plan.shard,
        channels=model.grid.channels,
        size=model.grid.size,
        about={"ids": source.ids, "unit": model.grid.unit, "intensity": list(model.grid.intensity)},
    )


def check_ids(plan: Plan, path: Path, source: Source) -> None:
    """Refuse a table about images that are not there: a misspelt id would be passed over in silence."""
    if isinstance(plan.requests, Listed) and (strange := set(plan.requests.rows) - set(source.ids)):
        raise InputError(f"{plan.requests.table}: the id {min(strange)!r} is no image of the cohort; correct it")


def shard_length(requests: int, model: Model) -> int:
    """Images to a shard: enough to fill the networks' batches, few enough to hold their counterfactuals in memory."""
    image = 4 * model.grid.channels * math.prod(model.grid.size)
    return max(1, min(SHARD_IMAGES, SHARD_BYTES // (requests * image)))


def plain(plan: Plan) -> dict[str, Any]:
    """The plan's YAML, with its defaults."""
    causal = {"propagate": False} if not plan.propagate else {"hold": list(plan.hold)} if plan.hold else {}
    return plan.requests.plain() | causal | {"shard": plan.shard}


def table_bytes(plan: Plan) -> str | None:
    """The table's fingerprint, where there is one."""
    return hashlib.sha256(plan.requests.table.read_bytes()).hexdigest() if isinstance(plan.requests, Listed) else None
