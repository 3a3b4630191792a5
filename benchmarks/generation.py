"""A cohort to disk: counterfactuals a second and memory with one worker and two, and what a kill costs."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import psutil
import torch
import yaml

from benchmarks.record import Findings, Row, Statement, run
from segue.cohort import write_store
from segue.errors import InputError
from segue.generation.job import SHARD_IMAGES
from segue.generation.output import STORE
from segue.generation.worker import PART_FOLDER
from segue.phantom import STRUCTURES, render_cohort
from segue.pipeline.prepare import following

FULL = {"images": 1000, "interventions": 9}
QUICK = FULL | {"images": 100}
MODEL = "coronary-phantom"  # shipped: segue's method with its corrections
SIZE = (48, 144)
SAMPLED = 1.0  # seconds between two looks at memory, which themselves take time of a core


class Made(NamedTuple):
    """A call of `segue generate`: its summary, seconds and MB of all its processes at their peak."""

    summary: dict[str, Any]
    seconds: float
    peak_mb: float


def measure(*, images: int, interventions: int) -> Findings:
    """Generate once with one worker and once with two; kill a third time in the middle, and finish."""
    with tempfile.TemporaryDirectory(prefix="segue-benchmark-") as scratch:
        folder = Path(scratch)
        check_disk(folder, images, interventions)
        write_plan(folder / "plan.yaml", interventions, images)
        few = max(1, images // 10)
        for name, count in (("few", few), ("all", images)):
            write_cohort(folder / f"{name}.zarr", count)

        def call(out: str, cohort: str, workers: int, until: Callable[[Path], bool] | None = None) -> Made:
            command = f"generate {MODEL} --cohort {cohort} --do plan.yaml --out {out} --workers {workers}"
            return generate(command, folder, folder / out, until)

        small = call("small", "few.zarr", 1)
        one = call("one", "all.zarr", 1)
        expected = contents(folder / "one")
        shutil.rmtree(folder / "one")
        two = call("two", "all.zarr", 2)
        same = contents(folder / "two") == expected
        shutil.rmtree(folder / "two")
        half = one.summary["shards"] // 2
        call("cut", "all.zarr", 2, until=lambda out: len(parts(out)) >= half)
        finished = call("cut", "all.zarr", 2)
        check_whole(folder / "cut", expected, same)
    rows = [
        row("a tenth of the cohort", 1, small), row("the cohort", 1, one), row("the cohort", 2, two),
        row("finished after kill -9", 2, finished),
    ]  # fmt: skip
    rates = [made.summary["counterfactuals_per_second"] for made in (one, two)]
    threads = torch.get_num_threads()
    told = f"two workers of {max(1, threads // 2)} threads over one of {threads}"
    return Findings(
        rows,
        [
            Statement(f"counterfactuals a second: {told}", rates[1] / rates[0]),
            Statement("peak memory: two workers over one", two.peak_mb / one.peak_mb),
            Statement(f"peak memory, one worker: {images:,} images over {few:,}", one.peak_mb / small.peak_mb),
            Statement(
                "shards: before and after kill -9 over all (1: nothing lost, nothing twice, checksums equal)",
                (finished.summary["shards_done_before"] + shards_now(finished)) / one.summary["shards"],
            ),
        ],
    )


def row(work: str, workers: int, made: Made) -> Row:
    done = made.summary
    return {
        "work": work,
        "workers": workers,
        "images": done["images"],
        "counterfactuals": done["counterfactuals"],
        "seconds": made.seconds,
        "counterfactuals_per_second": done["counterfactuals_per_second"],
        "peak_mb": made.peak_mb,
        "shards_done_before": done["shards_done_before"],
    }


def shards_now(made: Made) -> int:
    """Shards that the last call did."""
    return int(made.summary["shards"] - made.summary["shards_done_before"])


# ---- what is set up ----------------------------------------------------------------------------------------------


def write_plan(path: Path, interventions: int, images: int) -> None:
    """So many requests an image, each variable in turn, by ever more; enough shards for a kill between them."""
    names = [f"{structure}@{third}" for structure in STRUCTURES for third in ("proximal", "mid", "distal")]
    requests = [{names[i % 9]: f"+{1 + i // 9}sd"} for i in range(interventions)]
    path.write_text(yaml.safe_dump({"interventions": requests, "shard": max(1, min(SHARD_IMAGES, images // 16))}))


def write_cohort(path: Path, images: int) -> None:
    """Phantoms that the run has not seen."""
    records = following(render_cohort(images, size=SIZE, seed=1), images, f"rendering {images}")
    write_store(path, records, structures=STRUCTURES, size=SIZE, split={"test": 1.0}, seed=0, total=images)


def check_disk(folder: Path, images: int, interventions: int) -> None:
    """Raise InputError where the cohort and one output may not fit."""
    needed = 1.2 * 4 * SIZE[0] * SIZE[1] * images * (interventions + 5)
    if (free := shutil.disk_usage(folder).free) < needed:
        raise InputError(
            f"--images {images}: needs {needed / 1e9:.1f} GB in {folder.parent}, which has {free / 1e9:.1f} free: "
            "give fewer, or another TMPDIR"
        )


# ---- what is run -------------------------------------------------------------------------------------------------


def generate(command: str, folder: Path, out: Path, until: Callable[[Path], bool] | None) -> Made:
    """Run `segue COMMAND` in `folder`, watching its memory; kill it as soon as `until(out)`, if that is given."""
    began, peak, looked = time.perf_counter(), 0.0, 0.0
    with subprocess.Popen(
        [sys.executable, "-m", "segue", *command.split()], cwd=folder, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            if time.perf_counter() - looked > SAMPLED:
                peak, looked = max(peak, tree_mb(process.pid)), time.perf_counter()
            if until is not None and until(out):
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.25)
    seconds = time.perf_counter() - began
    if until is not None:
        if process.returncode != -signal.SIGKILL:
            raise InputError(f"--images: all was done before the kill (exit {process.returncode}); give more")
        return Made({}, seconds, peak)
    if process.returncode:
        raise InputError(f"segue {command}: exit {process.returncode}; its own message is above")
    return Made(json.loads((out / "summary.json").read_text()), seconds, peak)


def tree_mb(pid: int) -> float:
    """What a process and its descendants hold; of pages that several share each its part (on Linux; else all)."""
    total = 0
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return 0.0
    for process in family:
        try:
            held = process.memory_full_info()
            total += getattr(held, "pss", held.rss)
        except psutil.Error:  # it has just ended
            continue
    return total / 2**20


def parts(out: Path) -> list[str]:
    """The shards that are done."""
    folder = out / PART_FOLDER
    return [name for name in os.listdir(folder) if name.endswith(".parquet")] if folder.is_dir() else []


def contents(out: Path) -> dict[str, str]:
    """SHA-256 of every file of images, and of the table's content."""
    files = [path for path in (out / STORE).rglob("*") if path.is_file()]
    found = {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return found | {"table": hashlib.sha256(pl.read_parquet(out / "table.parquet").write_csv().encode()).hexdigest()}


def check_whole(out: Path, expected: dict[str, str], two_workers: bool) -> None:
    """Refuse to report anything of output that is not the same throughout."""
    if not two_workers:
        raise RuntimeError("two workers wrote something else than one")
    if contents(out) != expected:
        raise RuntimeError("killed and finished, the output is not that of an uninterrupted run")
    table = pl.read_parquet(out / "table.parquet").select("image", "request")
    if table.is_duplicated().any():
        raise RuntimeError("a counterfactual is in the table twice")


if __name__ == "__main__":
    run("generation", measure, full=FULL, quick=QUICK)
