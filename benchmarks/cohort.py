"""Cohorts: rendering phantoms, reading a store, and how time and memory grow from a thousand images to 65,706."""

import inspect
import math
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import Alone, Cost
from benchmarks.record import Findings, Row, Statement, run, together
from benchmarks.timing import Seconds, interleave, ratio, spread
from segue.cohort import FolderSettings, Store, read_folder, write_store
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity
from segue.errors import InputError
from segue.phantom import STRUCTURES, draw, render, render_cohort, write_folder
from segue.pipeline.prepare import following
from segue.progress import track
from segue.training.batches import Batches

FULL = {"rounds": 7, "warmup": 1, "images": 1024, "size": (32, 96), "cohorts": (1000, 8000, 65706)}
QUICK = FULL | {"rounds": 3, "images": 256, "cohorts": (1000, 4000)}
BATCH = 32
TOGETHER = 64
RENDERED = (48, 144)  # grid on which rendering is timed
Work = Callable[[], None]


def measure(
    *, rounds: int, warmup: int, images: int, size: tuple[int, int], cohorts: tuple[int, ...]
) -> Findings:
    """Images a second of rendering and reading, and growth with the number of images, each process on its own."""
    with tempfile.TemporaryDirectory(prefix="segue-benchmark-") as scratch:
        folder = Path(scratch)
        check_disk(folder, max(images, *cohorts), size)
        parts = [
            render_findings(rounds, warmup),
            read_findings(folder, rounds, warmup, images, size),
            growth_findings(folder, cohorts, size),
        ]
    return together(parts)


def check_disk(folder: Path, images: int, size: tuple[int, int]) -> None:
    """Raise InputError where the largest cohort may not fit, as if nothing compressed."""
    needed = 1.2 * images * image_bytes(size)
    if (free := shutil.disk_usage(folder).free) < needed:
        raise InputError(
            f"--cohorts {images}: needs {needed / 1e9:.1f} GB in {folder.parent}, which has {free / 1e9:.1f} free: "
            "give smaller ones, or another TMPDIR"
        )


def image_bytes(size: tuple[int, int]) -> int:
    """An image and its area fractions as float32."""
    return 4 * (1 + len(STRUCTURES)) * math.prod(size)


# ---- rendering ---------------------------------------------------------------------------------------------------


def render_findings(rounds: int, warmup: int) -> Findings:
    """Phantoms on one core: as `render_cohort` does, many at a time, against one by one."""

    def together() -> None:
        for _ in render_cohort(TOGETHER, size=RENDERED):
            pass

    def singly() -> None:
        for i in range(TOGETHER):
            render(draw(1, seed=0, start=i), RENDERED)

    names = {"together": f"rendering, {TOGETHER} together", "singly": "rendering, one by one"}
    works = {names["together"]: together, names["singly"]: singly}
    seconds = interleave(works, rounds=rounds, warmup=warmup, title="rendering")
    told = f"rendering: images a second, {TOGETHER} together over one by one"
    return Findings(
        [rate_row(name, TOGETHER, took) for name, took in seconds.items()],
        [ratio(told, seconds[names["singly"]], seconds[names["together"]])],
    )


def rate_row(work: str, images: int, took: Seconds) -> Row:
    times = spread(took)
    return {"work": work, "images": images, **times, "images_per_second": images / times["seconds"]}


# ---- reading -----------------------------------------------------------------------------------------------------


def read_findings(folder: Path, rounds: int, warmup: int, images: int, size: tuple[int, int]) -> Findings:
    """All images of a cohort once: from the store, from arrays mapped into memory, and from a folder of NIfTI."""
    path, nifti = folder / "read.zarr", folder / "nifti"
    write_cohort(path, images, size)()
    write_folder(nifti, images, size=size)
    raw = Store(path).read(np.arange(images))
    arrays = [mapped(folder / f"{name}.npy", raw[name].numpy()) for name in ("image", "fractions")]
    order = np.random.default_rng(0).permutation(images)
    warm = Store(path)

    def memory_map() -> None:
        for chosen in batches(order):
            for array in arrays:
                np.take(array, chosen, axis=0)

    def nifti_folder() -> None:
        for _ in read_folder(nifti, FolderSettings({name: i + 1 for i, name in enumerate(STRUCTURES)}, size)):
            pass

    works: dict[str, Work] = {
        "store decoded before (random batches)": lambda: read_epoch(warm, order),
        "newly opened store (random batches)": lambda: read_epoch(Store(path), order),
        "memory map (random batches)": memory_map,
        "newly opened store (in order)": lambda: read_epoch(Store(path), np.arange(images)),
        "folder of NIfTI (in order)": nifti_folder,
    }
    seconds = interleave(works, rounds=rounds, warmup=warmup, title="reading")
    store_mb = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
    compared = (
        ("memory map (random batches)", "store decoded before (random batches)"),
        ("memory map (random batches)", "newly opened store (random batches)"),
        ("folder of NIfTI (in order)", "newly opened store (in order)"),
    )
    ratios = [ratio(f"reading: images a second, {b} over {a}", seconds[a], seconds[b]) for a, b in compared]
    ratios.append(Statement("disk, store over plain float32", store_mb * 1e6 / (images * image_bytes(size))))
    return Findings([rate_row(name, images, took) for name, took in seconds.items()], ratios)


def mapped(path: Path, array: np.ndarray) -> np.ndarray:
    """The array on disk, read through the page cache."""
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def batches(order: np.ndarray) -> list[np.ndarray]:
    """Consecutive batches, the last perhaps smaller."""
    return [order[first : first + BATCH] for first in range(0, len(order), BATCH)]


def read_epoch(store: Store, order: np.ndarray) -> None:
    for chosen in batches(order):
        store.read(chosen)


# ---- growth ------------------------------------------------------------------------------------------------------


def growth_findings(folder: Path, cohorts: tuple[int, ...], size: tuple[int, int]) -> Findings:
    """Writing a cohort as it is rendered, then an epoch of training batches, each in a process of its own."""
    costs: dict[tuple[str, int], Cost] = {}
    for images in sorted(cohorts):
        path = str(folder / f"{images}.zarr")
        spot: dict[str, Any] = {"path": path, "images": images, "size": size}
        with Alone("benchmarks.cohort:write_cohort", **spot) as write:
            costs["writing", images] = write()
        with Alone("benchmarks.cohort:read_cohort", path=path) as read:
            costs["reading", images] = read()
        shutil.rmtree(path)
    rows: list[Row] = []
    ratios: list[Statement] = []
    small, large = min(cohorts), max(cohorts)
    for what in ("writing", "reading"):
        for images in sorted(cohorts):
            cost = costs[what, images]
            row: Row = {"work": f"{what}, alone", "images": images, "seconds": cost.seconds}
            rows.append(row | {"images_per_second": images / cost.seconds, "peak_mb": cost.peak_mb})
        first, last = costs[what, small], costs[what, large]
        told = f"{what} {large:,} images over {small:,}"
        ratios.append(Statement(f"{told}: peak memory", last.peak_mb / first.peak_mb))
        ratios.append(Statement(f"{told}: seconds an image", last.seconds / first.seconds * small / large))
    cache_mb = inspect.signature(Store).parameters["cache_bytes"].default / 2**20
    told = f"reading {large:,} images: peak memory over what the store may keep decoded"
    ratios.append(Statement(told, costs["reading", large].peak_mb / cache_mb))
    return Findings(rows, ratios)


def write_cohort(path: Path | str, images: int, size: tuple[int, int]) -> Work:
    """Render and store so many phantoms, all of them for training."""
    return partial(
        write_store,
        Path(path),
        following(render_cohort(images, size=(size[0], size[1])), images, f"writing {images}"),
        structures=STRUCTURES,
        size=tuple(size),
        split={"guide": 1.0},
        seed=0,
        total=images,
    )


def read_cohort(path: str) -> Work:
    """An epoch of a store, images and maps, as training streams it."""
    store = Store(Path(path))
    grid = Grid(store.size, intensity=Intensity((-200.0, 1200.0)))
    stream = Batches(store=store, split="guide", batch_size=BATCH, seed=0, grid=grid, with_fractions=True)
    steps = len(store) // BATCH

    def read() -> None:
        for step in track(range(steps), total=steps, title=f"reading {len(store)}, in batches"):
            stream.at(step)

    return read


if __name__ == "__main__":
    run("cohort", measure, full=FULL, quick=QUICK)
