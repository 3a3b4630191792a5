"""How cost grows with the size of images and volumes and with the number of regions; what gradient checkpointing saves.

Steps are those of training, prediction is a whole counterfactual. Each is done in a process of its own with one thread.
Seconds are the processor's, so that other work on the machine counts for less. A size for which too little memory is
free is left out, and that is said.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import psutil
import torch
import torch._dynamo  # an optimiser imports it: here, once, and not in each process
from torch import nn

from benchmarks import workload
from benchmarks.alone import high_water, timed
from benchmarks.machine import Cost
from benchmarks.record import Findings, Row, Statement, run, together
from benchmarks.settings import shipped_step
from benchmarks.workload import Kind
from segue.anatomy import AxisPartition, Variables
from segue.causal.parents import Parents
from segue.cohort.grid import Grid
from segue.hardware import channels_last, keep_memory, threads
from segue.mechanisms.hvae import HVAEMechanism, HVAESettings, build_hvae
from segue.nets.segmentor import Segmentor
from segue.training.batches import Batch
from segue.training.memory import training_bytes

FULL = {"rounds": 8, "sides": (64, 256, 512), "volumes": (32, 64, 96, 128), "pixels": 65536, "regions": (1, 16)}
QUICK = FULL | {"rounds": 1, "sides": (32, 128), "volumes": (32,)}
OFTEN = 65536  # pixels of a batch that is measured in all rounds; of larger ones there are fewer
SHARE = 0.5  # of the memory that is free, at most: estimates are rough
KINDS: tuple[Kind, ...] = ("ELBO step", "fine-tuning step with motion", "prediction")
NETWORK = HVAESettings(widths=(16, 32, 48, 48), depths=(1, 2, 2, 2), head=16)
STRUCTURES, REGIONS = ("first", "second"), 2
Spot = dict[str, Any]


def measure(
    *, rounds: int, sides: tuple[int, ...], volumes: tuple[int, ...], pixels: int, regions: tuple[int, ...]
) -> Findings:
    """Seconds and memory by the size of images, of volumes, and by the number of regions.

    A batch holds `pixels` in all, whatever the size, so that only the images grow; two of them at least, which a
    permutation needs. The number of regions is varied at the size 64 x 64.
    """
    ladders = [[(side,) * dims for side in lengths] for dims, lengths in ((2, sides), (3, volumes))]
    parts = []
    with threads(1):
        for kind in KINDS:
            for ladder in ladders:
                found = together([at(spot(kind, size, pixels), rounds) for size in ladder])
                parts += [found, Findings([], slopes(kind, found.rows))]
            few, many = (
                cost(spot(kind, (64, 64), pixels) | {"regions": count}, False, rounds)
                for count in (regions[0], regions[-1])
            )
            told = f"{kind}: seconds per image, {regions[-1]} regions over {regions[0]}"
            parts.append(Findings([], [Statement(told, many.cpu_seconds / few.cpu_seconds)]))
    return together(parts)


def spot(kind: Kind, size: Sequence[int], pixels: int) -> Spot:
    """What is done, as JSON can say it."""
    return {"kind": kind, "size": list(size), "batch": max(2, pixels // math.prod(size)), "regions": REGIONS}


def at(one: Spot, rounds: int) -> Findings:
    """The rows of one work at one size; none where it needs more memory than there is."""
    kind, size = one["kind"], " x ".join(map(str, one["size"]))
    saving = (False,) if kind == "prediction" else (False, True)
    with apart() as pool:
        needs = pool.submit(needed, one, saving).result()
    if max(needs) > SHARE * psutil.virtual_memory().available:
        print(f"{kind}, {size}: needs about {max(needs) / 1e9:.1f} GB, and too little memory is free; left out")
        return Findings([], [])
    costs = [cost(one, saves, rounds) for saves in saving]
    megapixels = one["batch"] * math.prod(one["size"]) / 1e6
    rows: list[Row] = [
        {
            "work": kind,
            "size": size,
            "batch": one["batch"],
            "gradient_checkpointing": int(saves),
            "cpu_seconds": found.cpu_seconds,
            "cpu_seconds_per_megapixel": found.cpu_seconds / megapixels,
            "peak_mb": found.peak_mb,
            **({"estimated_mb": bytes_ / 2**20} if kind != "prediction" else {}),
        }
        for saves, found, bytes_ in zip(saving, costs, needs, strict=True)
    ]
    if len(costs) == 1:
        return Findings(rows, [])
    (plain, less), told = costs, f"{kind}, {size}: with gradient checkpointing over without"
    return Findings(
        rows,
        [
            Statement(f"{told}: peak memory", less.peak_mb / plain.peak_mb),
            Statement(f"{told}: time", less.cpu_seconds / plain.cpu_seconds),
        ],
    )


def slopes(kind: Kind, rows: Sequence[Row]) -> list[Statement]:
    """What a megapixel of the largest images costs, over one of the smallest."""
    plain = [row for row in rows if not row["gradient_checkpointing"]]
    if len(plain) < 2:
        return []
    small, large = plain[0], plain[-1]
    told = f"{kind}: seconds per megapixel, {large['size']} over {small['size']}"
    key = "cpu_seconds_per_megapixel"
    return [Statement(told, float(large[key]) / float(small[key]))]


def cost(one: Spot, saves: bool, rounds: int) -> Cost:
    """What a work costs: the medians of its rounds, and its peak beyond what was held before."""
    with apart() as pool:
        return pool.submit(costs_of, one, saves, rounds).result()


def apart() -> Executor:
    """A process of its own, which starts with what this one holds, so that it need not import anything."""
    return ProcessPoolExecutor(1, mp_context=get_context("fork"))


def costs_of(one: Spot, saves: bool, rounds: int) -> Cost:
    """`cost`, in this process."""
    before, call = high_water(), work(saves=saves, **one)
    call()  # takes memory, which is kept
    times = max(1, rounds * OFTEN // (one["batch"] * math.prod(one["size"])))
    seconds, cpu_seconds = np.median([timed(call) for _ in range(times)], axis=0).tolist()
    return Cost(seconds, cpu_seconds, high_water() - before)


def needed(one: Spot, saving: Sequence[bool]) -> list[int]:
    """Bytes that a training estimates beforehand; of a prediction, which needs less, an ELBO step's."""
    kind: Kind = "ELBO step" if one["kind"] == "prediction" else one["kind"]
    objective, data = step_of(kind, one["size"], 2, one["regions"])
    return [training_bytes(objective, data, one["batch"], "auto", gradient_checkpointing=saves) for saves in saving]


def work(kind: Kind, size: Sequence[int], batch: int, regions: int, saves: bool) -> Callable[[], None]:
    """One call is one step as shipped, or one prediction."""
    torch.set_num_threads(1)
    keep_memory()
    if kind == "prediction":
        mechanism, data = untrained(size, batch, regions)
        return workload.answer(kind, channels_last(mechanism, len(size)), data)
    objective, data = step_of(kind, size, batch, regions)
    return partial(shipped_step(objective, 1e-4, 1.0, dims=len(size), saves=saves), data)


def step_of(kind: Kind, size: Sequence[int], batch: int, regions: int) -> tuple[nn.Module, Batch]:
    """The objective of a step, and what it is trained on."""
    mechanism, data = untrained(size, batch, regions)
    objective, _, _ = workload.objective(kind, mechanism, size, "the study's")
    return objective, data


def untrained(size: Sequence[int], batch: int, regions: int) -> tuple[HVAEMechanism, Batch]:
    """A mechanism with untrained networks, and smooth noise in place of images."""
    torch.manual_seed(0)
    dims = len(size)
    parts = AxisPartition(regions=tuple(f"part{i}" for i in range(regions)), axis=dims - 1)
    guide = Segmentor(arch="unet", spatial_dims=dims, structures=len(STRUCTURES), width=16).requires_grad_(False).eval()
    variables = Variables(structures=STRUCTURES, partitions=dict.fromkeys(STRUCTURES, parts))
    parents = Parents(segmentor=guide, variables=variables)
    coarse = torch.randn(batch, 1, *(side // 16 for side in size))
    image = nn.functional.interpolate(coarse, size=tuple(size)).clamp(-1, 1)
    with torch.inference_mode():
        areas, frames = parents.factual(image, torch.ones(batch))
    areas, frames = areas.clone(), frames.clone()
    parents.fit(areas)
    data = {"image": image, "parents": areas, "frames": frames, "pixel_area": torch.ones(batch)}
    return build_hvae(NETWORK, parents, Grid(tuple(size)), "map"), data


if __name__ == "__main__":
    run("growth", measure, full=FULL, quick=QUICK)
