"""Training steps, abduction and prediction: the shipped setting against the plain one, and against matrix products.

Where the shipped setting trains in bfloat16, its steps are done in float32 too, against float32's matrix products: some
hardware multiplies bfloat16 so fast that everything else takes the time.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch

from benchmarks.machine import Alone, gflop, matmuls
from benchmarks.record import Findings, Row, Statement, run, together
from benchmarks.settings import SETTINGS, Name
from benchmarks.timing import Seconds, interleave, ratio, spread
from benchmarks.workload import Kind, work

WORKS: tuple[Kind, ...] = ("ELBO step", "fine-tuning step", "fine-tuning step with motion", "abduction", "prediction")
FULL = {"rounds": 15, "warmup": 2, "batch": 32, "size": (32, 96), "works": WORKS}
QUICK = FULL | {"rounds": 3, "warmup": 1}


def measure(*, rounds: int, warmup: int, batch: int, size: tuple[int, int], works: Sequence[Kind]) -> Findings:
    """Images a second, peak memory and share of the machine's matrix-multiply rate, plain and shipped."""
    return together([compare(kind, rounds=rounds, warmup=warmup, batch=batch, size=size) for kind in works])


def compare(kind: Kind, *, rounds: int, warmup: int, batch: int, size: tuple[int, int]) -> Findings:
    """One kind of work: each setting has a process of its own, and they take turns, with matrix products between."""
    spot: dict[str, Any] = {"kind": kind, "batch": batch, "size": size}
    dtypes = settings_of(kind)
    products = {dtype: matmuls(dtype) for dtype in dtypes.values()}
    multiply = {title: call for some in products.values() for title, (call, _) in some.items()}
    with ExitStack() as stack:
        apart = {
            name: stack.enter_context(Alone("benchmarks.workload:work", setting=name, **spot)) for name in dtypes
        }
        for first in apart.values():
            first()  # waits for the imports
        seconds = interleave(apart | multiply, rounds=rounds, warmup=warmup, title=kind)
        peaks = {name: call().peak_mb for name, call in apart.items()}
    rates = {
        dtype: max(((flop / seconds[title]) for title, (_, flop) in some.items()), key=median)
        for dtype, some in products.items()
    }
    cost = gflop(work(setting="plain", **spot))
    rows = [
        row(kind, name, seconds[name], batch=batch, cost=cost, dtype=dtype, rate=rates[dtype], peak=peaks[name])
        for name, dtype in dtypes.items()
    ]
    ratios = [
        ratio(f"{kind}: images a second, shipped over plain", seconds["plain"], seconds["shipped"]),
        Statement(f"{kind}: peak memory, shipped over plain", peaks["shipped"] / peaks["plain"]),
    ]
    for name in [name for name in dtypes if name != "plain"]:
        reached = f"{kind}, {name}: FLOP a second over the best {called(dtypes[name])} matrix product's"
        ratios.append(ratio(reached, cost / seconds[name], rates[dtypes[name]]))
    return Findings(rows, ratios)


def settings_of(kind: Kind) -> dict[Name, torch.dtype]:
    """The settings that a work is done in, each with the type that it multiplies in; none twice."""
    found = {name: how.dtype(training="step" in kind) for name, how in SETTINGS.items()}
    if found["shipped"] == torch.float32:
        del found["shipped, float32"]
    return found


def row(
    kind: Kind, name: Name, took: Seconds, *, batch: int, cost: float, dtype: torch.dtype, rate: Seconds, peak: float
) -> Row:
    """One line of the table."""
    return {
        "work": kind,
        "setting": name,
        **spread(took),
        "images_per_second": batch / median(took),
        "gflop": cost,
        "gflop_per_second": cost / median(took),
        "matmul": called(dtype),
        "matmul_gflop_per_second": median(rate),
        "peak_mb": peak,
    }


def called(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def median(values: Seconds) -> float:
    return spread(values)["seconds"]


if __name__ == "__main__":
    run("step", measure, full=FULL, quick=QUICK)
