"""Training steps, abduction and prediction: the shipped setting against the plain one, and against matrix products."""

from contextlib import ExitStack
from typing import Any

import torch

from benchmarks.machine import Alone, gflop, matmuls
from benchmarks.record import Findings, Row, Statement, run, together
from benchmarks.settings import SETTINGS, Name
from benchmarks.timing import Seconds, interleave, ratio, spread
from benchmarks.workload import KINDS, Kind, work

FULL = {"rounds": 15, "warmup": 2, "batch": 32, "size": (32, 96)}
QUICK = FULL | {"rounds": 3, "warmup": 1}


def measure(*, rounds: int, warmup: int, batch: int, size: tuple[int, int]) -> Findings:
    """Images a second, peak memory and share of the machine's matrix-multiply rate, plain and shipped."""
    return together([compare(kind, rounds=rounds, warmup=warmup, batch=batch, size=size) for kind in KINDS])


def compare(kind: Kind, *, rounds: int, warmup: int, batch: int, size: tuple[int, int]) -> Findings:
    """One kind of work: each setting has a process of its own, and they take turns, with matrix products between."""
    spot: dict[str, Any] = {"kind": kind, "batch": batch, "size": size}
    dtypes = {name: how.dtype(training=kind.endswith("step")) for name, how in SETTINGS.items()}
    products = {dtype: matmuls(dtype) for dtype in dtypes.values()}
    multiply = {title: call for some in products.values() for title, (call, _) in some.items()}
    with ExitStack() as stack:
        apart = {
            name: stack.enter_context(Alone("benchmarks.workload:work", setting=name, **spot)) for name in SETTINGS
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
    plain, shipped, dtype = seconds["plain"], seconds["shipped"], dtypes["shipped"]
    reached = f"{kind}, shipped: FLOP a second over the best {called(dtype)} matrix product's"
    ratios = [
        ratio(f"{kind}: images a second, shipped over plain", plain, shipped),
        Statement(f"{kind}: peak memory, shipped over plain", peaks["shipped"] / peaks["plain"]),
        ratio(reached, cost / shipped, rates[dtype]),
    ]
    return Findings(rows, ratios)


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
