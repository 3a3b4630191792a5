"""A fine-tuning step computed as published against segue's: what the computation gains, and what the setting gains."""

from contextlib import ExitStack
from itertools import product
from typing import Any

from benchmarks.machine import Alone, gflop
from benchmarks.record import Findings, Row, run
from benchmarks.settings import Name
from benchmarks.timing import interleave, ratio, spread
from benchmarks.workload import Kind, work

FULL = {"rounds": 10, "warmup": 2, "batch": 32, "size": (32, 96)}
QUICK = FULL | {"rounds": 3, "warmup": 1}
SETTINGS: tuple[Name, ...] = ("plain", "shipped")
COMPUTATIONS: dict[str, Kind] = {"as published": "fine-tuning step as published", "segue's": "fine-tuning step"}


def measure(*, rounds: int, warmup: int, batch: int, size: tuple[int, int]) -> Findings:
    """Both computations in both settings, each in a process of its own, taking turns."""
    spot: dict[str, Any] = {"batch": batch, "size": size}
    ways = {f"{how}, {setting}": (kind, setting) for (how, kind), setting in product(COMPUTATIONS.items(), SETTINGS)}
    with ExitStack() as stack:
        apart = {
            name: stack.enter_context(Alone("benchmarks.workload:work", kind=kind, setting=setting, **spot))
            for name, (kind, setting) in ways.items()
        }
        for first in apart.values():
            first()  # waits for the imports
        seconds = interleave(apart, rounds=rounds, warmup=warmup, title="fine-tuning")
        peaks = {name: call().peak_mb for name, call in apart.items()}
    cost = {how: gflop(work(kind, "plain", **spot)) for how, kind in COMPUTATIONS.items()}
    rows: list[Row] = []
    for name, took in seconds.items():
        how, setting = name.split(", ")
        times = spread(took)
        rate = {"images_per_second": batch / times["seconds"], "gflop": cost[how], "peak_mb": peaks[name]}
        rows.append({"fine-tuning": how, "setting": setting, **times, **rate})
    told = "fine-tuning: images a second, {} over {}"
    pairs = [
        ("segue's, shipped", "as published, plain"),
        ("segue's, shipped", "segue's, plain"),
        ("segue's, shipped", "as published, shipped"),
    ]
    return Findings(rows, [ratio(told.format(a, b), seconds[b], seconds[a]) for a, b in pairs])


if __name__ == "__main__":
    run("finetuning", measure, full=FULL, quick=QUICK)
