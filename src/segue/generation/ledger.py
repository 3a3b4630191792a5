"""The output folder: the identity of its job, the shards that are done, and the final tables."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import polars as pl
import torch
from torch import Tensor, nn

from segue.engine.model import Model
from segue.errors import InputError
from segue.files import whole_file, whole_folder, write_text
from segue.generation.output import remove_partial_files
from segue.generation.worker import PART_FOLDER, REPEAT, part
from segue.quoting import csv_text
from segue.sealed import read_json, sealed
from segue.tensor_file import read_table

IDENTITY, SUMMARY = "identity.json", "summary.json"
COUNTS = ("images", "counterfactuals", "quarantined", "not_met", "in_doubt", "counterfactuals_per_second")
TABLE, QUARANTINE = "table.parquet", "quarantine.csv"


def open_output(out: Path, identity: dict[str, Any], fill: Callable[[Path], None]) -> None:
    """Make the folder `out` with the content that `fill(folder)` writes, or continue with an existing one.

    It appears under its name only once it is complete, so that a killed job can always be continued.

    Raises:
        InputError: the folder has other content, or is of another run, cohort, plan or format.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        resume(out, identity)
        return
    with whole_folder(out) as partial:
        (partial / PART_FOLDER).mkdir()
        fill(partial)
        write_text(partial / IDENTITY, sealed(identity))


def resume(out: Path, identity: dict[str, Any]) -> None:
    """Refuse a folder of another job."""
    begun = identity_of(out)
    for key, value in identity.items():
        if begun.get(key) != value:
            raise InputError(
                f"{out}: was begun with another {key}; name a new folder with --out, or give the same {key} to go on"
            )


def identity_of(out: Path) -> dict[str, Any]:
    """The identity of the job that a folder was made for."""
    if not (out / IDENTITY).is_file():
        raise InputError(f"{out}: holds other files; name a new folder with --out")
    return read_json(out / IDENTITY, mend="name a new folder with --out")


def missing(out: Path, shards: int) -> list[int]:
    """The shards that are not done."""
    return [number for number in range(shards) if not part(out, number).exists()]


def finished(out: Path) -> dict[str, Any] | None:
    """The summary if everything is done, else None. Removes parts that a killed job left."""
    if not (out / SUMMARY).exists():
        return None
    summary = read_json(out / SUMMARY, keys=COUNTS, mend="remove it, then the same command goes on")
    shutil.rmtree(out / PART_FOLDER, ignore_errors=True)
    return summary


def close(out: Path, shards: int) -> dict[str, int]:
    """Merge the parts into tables in the order of the images, in bounded memory; returns the counts."""
    for number in range(shards):
        read_table(part(out, number), mend=REPEAT)  # a damaged part is named
    parts = pl.scan_parquet([part(out, number) for number in range(shards)])
    good, bad = parts.filter(pl.col("reason").is_null()), parts.filter(pl.col("reason").is_not_null())
    refused = bad.select("id", "reason").collect()
    write_text(out / QUARANTINE, csv_text(refused))
    with whole_file(out / TABLE) as partial:
        good.drop("reason").sink_parquet(partial)
    remove_partial_files(out)
    table, word = pl.scan_parquet(out / TABLE), pl.col("verdict")
    unmet, doubted = (word == "not met").sum().alias("not_met"), (word == "met, in doubt").sum().alias("in_doubt")
    kept = table.select(pl.col("image").n_unique().alias("images"), pl.len().alias("counterfactuals"), unmet, doubted)
    return {**kept.collect().row(0, named=True), "quarantined": len(refused)}


def end(out: Path, summary: dict[str, Any]) -> None:
    """Write the summary, which marks the job as done, and remove the parts."""
    write_text(out / SUMMARY, json.dumps(summary, indent=1))
    shutil.rmtree(out / PART_FOLDER, ignore_errors=True)


def weights_of(model: Model) -> str:
    """SHA-256 of everything in a model that affects an answer."""
    digest = hashlib.sha256()
    grid = model.grid
    facts = [model.variables, grid.size, grid.intensity.settings(), grid.unit, grid.pixel_area, repr(model.mechanism)]
    digest.update(json.dumps(facts).encode())
    tensors = [*sorted(cast(nn.Module, model.mechanism).state_dict().items()), ("marginal", model.space.marginal)]
    if model.space.correlation is not None:  # verdicts depend on it
        tensors.append(("correlation", model.space.correlation))
    if model.scm is not None:
        digest.update(json.dumps([list(edge) for edge in model.scm.graph.edges]).encode())
        tensors += sorted(model.scm.state_dict(prefix="scm.").items())
    for name, tensor in tensors:
        digest.update(name.encode() + raw_bytes(tensor))
    return digest.hexdigest()


def raw_bytes(tensor: Tensor) -> bytes:
    """The values of a tensor as bytes."""
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
