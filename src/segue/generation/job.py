"""A job: its parts, checked before it starts; and a worker for it, in this process or in another."""

import dataclasses
import hashlib
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from segue.engine.model import Model
from segue.errors import InputError
from segue.files import write_text
from segue.generation import ledger
from segue.generation.output import (
    IMAGE_FOLDER,
    STORE,
    FileOutput,
    Format,
    Output,
    ZarrOutput,
    check_files,
    create_store,
)
from segue.generation.plan import REQUESTS_FILE, Plan, TableRequests, read_plan
from segue.generation.source import Source, open_source
from segue.generation.worker import Worker
from segue.hub.load import load
from segue.pipeline import fingerprint
from segue.yaml_text import dump_yaml

PLAN = "plan.yaml"
SHARD_IMAGES = 64  # at most
SHARD_BYTES = 1 << 28  # of a shard's counterfactuals, at most: they are in memory


@dataclass(frozen=True)
class Job:
    """All paths and settings of a job. Every worker uses the same paths, on any machine."""

    run: Path
    method: str | None
    cohort: Path
    split: str | None
    out: Path
    format: Format


def start_job(job: Job, plan_file: Path) -> Worker:
    """Check everything, make the output folder (or continue that of the same job), and open a worker in this process.

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
        **model_identity(model),
        "cohort": fingerprint([source.identity(), job.split]),
        "plan": fingerprint([plan_settings(plan), table_bytes(plan)]),
        "format": job.format,
    }
    ledger.open_output(job.out, identity, partial(fill_output, job=job, model=model, source=source, plan=plan))
    return make_worker(job, model, source, plan)


def open_worker(job: Job) -> Worker:
    """A worker for a started job, in another process.

    Raises:
        InputError: the run that this process reads is not the one that the job was started with.
    """
    model = load(job.run, method=job.method)
    begun = ledger.identity_of(job.out)
    for key, value in model_identity(model).items():
        if begun[key] != value:
            raise InputError(f"{job.run}: a worker has another {key}; give all nodes one folder and like hardware")
    plan = read_plan(job.out / PLAN, model.variables)
    return make_worker(job, model, open_source(job.cohort, model, split=job.split), plan)


def model_identity(model: Model) -> dict[str, str]:
    """What must be equal for all workers."""
    return {"run": ledger.weights_of(model)}


def make_worker(job: Job, model: Model, source: Source, plan: Plan) -> Worker:
    """A worker that writes to the output folder of the job."""
    assert plan.shard is not None  # resolved when the job started
    output: Output
    if job.format == "zarr":
        output = ZarrOutput(job.out / STORE, shard=plan.shard)
    else:
        output = FileOutput(job.out / IMAGE_FOLDER, format=job.format, usual=model.grid.intensity.usual)
    return Worker(model, source, plan, output, out=job.out, shard=plan.shard)


def fill_output(folder: Path, *, job: Job, model: Model, source: Source, plan: Plan) -> None:
    """The first content of an output folder: the plan with its defaults, and an empty store or folder for images."""
    write_text(folder / PLAN, dump_yaml(plan_settings(plan)))
    if isinstance(plan.requests, TableRequests):
        shutil.copyfile(plan.requests.table, folder / REQUESTS_FILE)
    if job.format != "zarr":
        (folder / IMAGE_FOLDER).mkdir()
        return
    assert plan.shard is not None
    create_store(
        folder / STORE,
        images=len(source.ids),
        requests=plan.requests.most,
        shard=plan.shard,
        channels=model.grid.channels,
        size=model.grid.size,
        about={"ids": source.ids, "unit": model.grid.unit, "intensity": model.grid.intensity.settings()},
    )


def check_ids(plan: Plan, path: Path, source: Source) -> None:
    """Refuse a table with ids that are not in the cohort: a misspelt id would otherwise be ignored silently."""
    if isinstance(plan.requests, TableRequests) and (strange := set(plan.requests.rows) - set(source.ids)):
        raise InputError(f"{plan.requests.table}: the id {min(strange)!r} is no image of the cohort; correct it")


def shard_length(requests: int, model: Model) -> int:
    """CaseImages per shard: enough for full batches, and few enough that their counterfactuals fit in memory."""
    image = 4 * model.grid.channels * model.grid.pixels
    return max(1, min(SHARD_IMAGES, SHARD_BYTES // (requests * image)))


def plan_settings(plan: Plan) -> dict[str, Any]:
    """The plan as YAML, with its defaults."""
    causal = {"propagate": False} if not plan.propagate else {"hold": list(plan.hold)} if plan.hold else {}
    return plan.requests.plain() | causal | {"shard": plan.shard}


def table_bytes(plan: Plan) -> str | None:
    """SHA-256 of the plan's table, if it has one."""
    requests = plan.requests
    return hashlib.sha256(requests.table.read_bytes()).hexdigest() if isinstance(requests, TableRequests) else None
