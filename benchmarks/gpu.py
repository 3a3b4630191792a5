"""One accelerator, or the CPU where there is none: training steps by size and setting, answers, and are they the CPU's.

Settings add up: float32, parameter by parameter; bfloat16; weights with the channels last; clipping, optimiser and
moving average in one call each, without a host synchronisation; the step compiled. `as shipped` is the training loop's
own step. Every step is forward, backward, clipping, update and moving average.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import nn

import segue
from benchmarks.machine import gflop
from benchmarks.record import Findings, Row, Statement, run, together
from benchmarks.reference import LADDERS, reference_image
from benchmarks.settings import plain_step, shipped_step
from benchmarks.timing import Seconds, spread
from benchmarks.workload import Image, Kind, objective, phantom_batch, shipped_image, untrained_parents
from segue.training.batches import Batch

FULL = {"rounds": 20, "warmup": 5, "sides": (96, 256, 512), "pixels": 1 << 20, "answers": 512, "compiled": "yes"}
QUICK = FULL | {"rounds": 2, "warmup": 1, "sides": (32,), "pixels": 1 << 12, "answers": 4, "compiled": "no"}
REGIONS, LR, CLIP = 3, 1e-3, 1.0
REQUEST = {"lumen@mid": "+1sd"}
Step = Callable[[], Any]


@dataclass(frozen=True)
class Way:
    """One way of computing a step."""

    bf16: bool = False
    last: bool = False
    fused: bool = False
    compiled: bool = False


WAYS = {
    "float32": Way(),
    "bf16": Way(bf16=True),
    "bf16, channels last": Way(bf16=True, last=True),
    "bf16, channels last, fused": Way(bf16=True, last=True, fused=True),
    "bf16, channels last, fused, compiled": Way(bf16=True, last=True, fused=True, compiled=True),
}


def measure(
    *, rounds: int, warmup: int, sides: tuple[int, ...], pixels: int, answers: int, compiled: str
) -> Findings:
    """Steps of the ELBO and of fine-tuning with motion, the published network's, answers, and equality with the CPU.

    A batch holds `pixels` in all, two images at least. `compiled`: yes measures compiled steps too.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rate = best_rate(device, rounds)
    ways = {name: way for name, way in WAYS.items() if compiled == "yes" or not way.compiled}
    images: dict[str, Image] = {"segue": shipped_image}
    images |= {"reference": partial(reference_image, strides=LADDERS["the reference with full resolution"])}
    parts = []
    for side in sides:
        spot: dict[str, Any] = {"side": side, "batch": max(2, pixels // side**2), "device": device}
        for work, network, make in steps(side, images):
            cost = gflop(stepper(make(), Way(), **spot))
            todo = ways if network == "segue" else {"bf16, channels last, fused": ways["bf16, channels last, fused"]}
            for name, way in todo.items():
                told = spot | {"work": work, "network": network, "setting": name, "cost": cost}
                parts.append(timed(stepper(make(), way, **spot), rounds, warmup, rate, **told))
            if network == "segue":
                told = spot | {"work": work, "network": network, "setting": "as shipped", "cost": cost}
                parts.append(timed(shipped(make(), **spot), rounds, warmup, rate, **told))
    where = [Statement(f"matrix products in bfloat16 on {described(device)}, TFLOP a second", rate / 1e3)]
    return together([Findings([], where), *parts, answering(device, rounds, answers)])


def described(device: torch.device) -> str:
    """The accelerator's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"


def best_rate(device: torch.device, rounds: int) -> float:
    """GFLOP a second of the best bfloat16 matrix product: the yardstick."""
    found = []
    for size in (4096, 8192) if device.type == "cuda" else (1024,):
        pair = torch.randn(2, size, size, dtype=torch.bfloat16, device=device)
        seconds = clock(partial(torch.matmul, pair[0], pair[1]), rounds, 3, device)
        found.append(2e-9 * size**3 / float(np.median(seconds)))
    return max(found)


def steps(side: int, images: dict[str, Image]) -> Iterator[tuple[str, str, Callable[[], nn.Module]]]:
    """What is trained: its name, whose network, and how the objective is made."""
    kinds: list[tuple[Kind, str]] = [("ELBO step", network) for network in images]
    kinds.append(("fine-tuning step with motion", "segue"))
    for kind, network in kinds:
        yield kind, network, partial(made, kind, images[network], side)


def made(kind: Kind, image: Image, side: int) -> nn.Module:
    """The objective of a training."""
    torch.manual_seed(0)
    size = (side, side)
    return objective(kind, image(untrained_parents(size, REGIONS), size), size)[0]


def stepper(training: nn.Module, way: Way, *, side: int, batch: int, device: torch.device) -> Step:
    """One training step in one way."""
    data = on(device, batch_of(training, batch, side))
    training.to(device)
    if way.last:
        training.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward = cast(nn.Module, torch.compile(training)) if way.compiled else training
    return partial(plain_step(forward, LR, CLIP, bf16=way.bf16, fused=way.fused), data)


def shipped(training: nn.Module, *, side: int, batch: int, device: torch.device) -> Step:
    """The step of `segue.training.loop.fit`, its synchronisation for skipped steps included."""
    data = on(device, batch_of(training, batch, side))
    return partial(shipped_step(training, LR, CLIP), data)


def batch_of(training: nn.Module, batch: int, side: int) -> Batch:
    """Phantom images for an objective."""
    return phantom_batch(cast(Any, training).mechanism.parents, batch, (side, side))


def on(device: torch.device, batch: Batch) -> Batch:
    return {name: one.to(device) for name, one in batch.items()}


def clock(work: Step, rounds: int, warmup: int, device: torch.device) -> Seconds:
    """Seconds of each round, the device's queue emptied before and after."""
    seconds = []
    for round_ in range(warmup + rounds):
        synchronise(device)
        began = time.perf_counter()
        work()
        synchronise(device)
        if round_ >= warmup:
            seconds.append(time.perf_counter() - began)
    return np.array(seconds)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(
    step: Step, rounds: int, warmup: int, rate: float, *, batch: int, device: torch.device, cost: float, **what: Any
) -> Findings:
    """A row of the table: what a step costs, and the share of the yardstick that it reaches."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = clock(step, rounds, warmup, device)
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else 0.0
    times = spread(seconds)
    share = cost / times["seconds"] / rate
    row: Row = {**what, "batch": batch, **times, "images_per_second": batch / times["seconds"]}
    return Findings([row | {"peak_mb": peak, "gflop": cost, "share_of_matmul": share}], [])


def answering(device: torch.device, rounds: int, count: int) -> Findings:
    """The shipped phantom's model: answers a second in a batch, one answer, and how far they are from the CPU's."""
    model, cpu = segue.load("coronary-phantom", device=str(device)), segue.load("coronary-phantom")
    few = cpu.examples()
    many = few.repeat(-(-count // len(few)), 1, 1, 1)[:count]
    batch = clock(lambda: model.counterfactual(many, REQUEST), max(2, rounds // 5), 1, device)
    one = clock(lambda: model.counterfactual(few[:1], REQUEST), rounds, 2, device)
    found, expected = model.counterfactual(few, REQUEST), cpu.counterfactual(few, REQUEST)
    apart = float((found.image.cpu() - expected.image).abs().max()) / cpu.grid.span
    said = [
        Statement("counterfactuals a second, in batches", count / float(np.median(batch))),
        Statement("milliseconds from a request to its answer, one image", 1e3 * float(np.median(one))),
    ]
    told = "largest difference to the CPU's answers, share of the intensity range (tolerance 0.001)"
    return Findings([], said, [Statement(told, apart)])


if __name__ == "__main__":
    run("gpu", measure, full=FULL, quick=QUICK)
