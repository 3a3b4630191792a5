"""A training step against an earlier revision of segue: both in turns, each in a process of its own, as shipped.

Each has one thread, and seconds are the processor's, so that other work on the machine counts for less.
"""

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from benchmarks.machine import ROOT, Alone, source_of
from benchmarks.record import Findings, Row, run
from benchmarks.timing import ratio, spread
from benchmarks.workload import Kind
from segue.hardware import threads

WORKS: tuple[Kind, ...] = ("fine-tuning step", "fine-tuning step with motion")
FULL = {"old": "6343984", "rounds": 7, "warmup": 1, "batch": 32, "size": (32, 96), "works": WORKS}
QUICK = FULL | {"rounds": 3, "warmup": 1}


def measure(
    *, old: str, rounds: int, warmup: int, batch: int, size: tuple[int, int], works: Sequence[Kind]
) -> Findings:
    """Seconds of a step with the code of today and with that of a revision, and the older over the newer."""
    rows: list[Row] = []
    ratios = []
    with source_of(old) as before, threads(1):
        for kind in works:
            spot = {"kind": kind, "setting": "shipped", "batch": batch, "size": size}
            with ExitStack() as stack:
                both = {
                    name: stack.enter_context(Alone("benchmarks.workload:work", source=source, **spot))
                    for name, source in {"old": before, "new": ROOT / "src"}.items()
                }
                for first in both.values():
                    first()  # waits for the imports
                turns = [{name: call() for name, call in both.items()} for _ in range(warmup + rounds)]
            seconds = {name: np.array([turn[name].cpu_seconds for turn in turns[warmup:]]) for name in both}
            peaks = {name: turns[-1][name].peak_mb for name in both}
            rows += [{"work": kind, "code": name, **spread(seconds[name]), "peak_mb": peaks[name]} for name in both]
            ratios.append(ratio(f"{kind}: seconds, old over new", seconds["old"], seconds["new"]))
    return Findings(rows, ratios)


if __name__ == "__main__":
    run("step_pair", measure, full=FULL, quick=QUICK)
