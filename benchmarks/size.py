"""Training steps on images of 64 to 512 pixels a side and on volumes of 32 to 128, with gradient checkpointing too.

Each step is done in a process of its own with one thread, twice. Seconds are the processor's, so that other work on the
machine does not count; the smaller of both is given, and the highest memory.
"""

import os
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import nn

from benchmarks.machine import Alone
from benchmarks.record import Findings, Row, Statement, run
from segue.anatomy import AxisPartition, Variables
from segue.causal.parents import Parents
from segue.cohort.grid import Grid
from segue.hardware import channels_last
from segue.mechanisms.hvae import HVAEMechanism, HVAESettings, build_hvae
from segue.nets.segmentor import Segmentor
from segue.training.batches import Batch
from segue.training.checkpointing import checkpointed
from segue.training.finetune import Constraint, CounterfactualFineTuning
from segue.training.guides import RegionGuide
from segue.training.memory import machine_bytes, training_bytes
from segue.training.objectives import Augmentation, Pretraining

FULL = {"sides": (64, 128, 256, 512), "volumes": (32, 64, 128), "batch": 2}
QUICK = FULL | {"sides": (64, 128), "volumes": (32,)}
KINDS: tuple["Kind", ...] = ("ELBO step", "fine-tuning step")
Kind = Literal["ELBO step", "fine-tuning step"]
NETWORK = HVAESettings(widths=(16, 32, 48, 48), depths=(1, 2, 2, 2), head=16)
STRUCTURES = ("first", "second")


def measure(*, sides: tuple[int, ...], volumes: tuple[int, ...], batch: int) -> Findings:
    """Seconds and memory of a step by size, as always and with gradient checkpointing; and the estimate of memory."""
    rows: list[Row] = []
    ratios = []
    for size in [*((side, side) for side in sides), *((side,) * 3 for side in volumes)]:
        for kind in KINDS:
            plain, less = (row(kind, size, batch, saves) for saves in (False, True))
            rows += [one for one in (plain, less) if one]
            if plain and less:
                told = f"{kind}, {named(size)}: with gradient checkpointing over without"
                ratios.append(Statement(f"{told}: peak memory", number(less, "peak_mb") / number(plain, "peak_mb")))
                ratios.append(Statement(f"{told}: time", number(less, "cpu_seconds") / number(plain, "cpu_seconds")))
    return Findings(rows, ratios)


def row(kind: Kind, size: Sequence[int], batch: int, saves: bool) -> Row | None:
    """One step in a process of its own; None where the estimate is beyond the machine."""
    objective, data = step_of(kind, size, batch)
    needs = training_bytes(objective, data, batch, "no", gradient_checkpointing=saves)
    if needs > (machine_bytes(torch.device("cpu")) or needs):
        return None
    os.environ["OMP_NUM_THREADS"] = "1"
    with Alone("benchmarks.size:work", kind=kind, size=list(size), batch=batch, saves=saves) as alone:
        first, second = alone(), alone()
    return {
        "work": kind,
        "size": named(size),
        "batch": batch,
        "gradient_checkpointing": int(saves),
        "cpu_seconds": min(first.cpu_seconds, second.cpu_seconds),
        "peak_mb": second.peak_mb,
        "estimated_mb": needs / 2**20,
    }


def work(kind: Kind, size: Sequence[int], batch: int, saves: bool) -> Callable[[], None]:
    """One call is one step: forward, backward, AdamW."""
    torch.set_num_threads(1)
    objective, data = step_of(kind, size, batch)
    optimiser = torch.optim.AdamW([one for one in objective.parameters() if one.requires_grad], lr=1e-4)

    def step() -> None:
        with checkpointed(objective, saves):
            loss, _ = objective(data, 0.5)
            loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def step_of(kind: Kind, size: Sequence[int], batch: int) -> tuple[nn.Module, Batch]:
    """An objective with untrained networks, and smooth noise to train it on."""
    torch.manual_seed(0)
    dims = len(size)
    halves = AxisPartition(regions=("near", "far"), axis=dims - 1)
    guide = Segmentor(arch="unet", spatial_dims=dims, structures=len(STRUCTURES), width=16).requires_grad_(False).eval()
    variables = Variables(structures=STRUCTURES, partitions=dict.fromkeys(STRUCTURES, halves))
    parents = Parents(segmentor=guide, variables=variables)
    coarse = torch.randn(batch, 1, *(side // 16 for side in size))
    image = nn.functional.interpolate(coarse, size=tuple(size)).clamp(-1, 1)
    with torch.inference_mode():
        areas, frames = parents.factual(image, torch.ones(batch))
    areas, frames = areas.clone(), frames.clone()
    parents.fit(areas)
    mechanism = build_hvae(NETWORK, parents, Grid(tuple(size)), "map")
    data = {"image": image, "parents": areas, "frames": frames, "pixel_area": torch.ones(batch)}
    return channels_last(made(kind, mechanism), dims), data


def made(kind: Kind, mechanism: HVAEMechanism) -> nn.Module:
    """The objective of a training."""
    if kind == "ELBO step":
        return Pretraining(mechanism, augment=Augmentation())
    constraint = Constraint(bound=0.0, damping=1.0, rate=0.01, start=0.1)
    guide = RegionGuide(mechanism.parents)
    return CounterfactualFineTuning(mechanism, guide, augment=Augmentation(), constraint=constraint)


def named(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


def number(found: Row, key: str) -> float:
    return float(found[key])


if __name__ == "__main__":
    run("size", measure, full=FULL, quick=QUICK)
