"""Training steps, abduction and prediction: the shipped setting against the plain one, and against matrix products."""

from typing import Any

import torch

from benchmarks.machine import alone, gflop, matmuls
from benchmarks.record import Findings, Row, Statement, run
from benchmarks.settings import SETTINGS, Name
from benchmarks.timing import Seconds, interleave, ratio, spread
from benchmarks.workload import KINDS, STEPS, Kind, work

FULL = {"rounds": 30, "warmup": 3, "batch": 32, "size": (32, 96)}
QUICK = FULL | {"rounds": 5, "warmup": 1}


def measure(*, rounds: int, warmup: int, batch: int, size: tuple[int, int]) -> Findings:
    """Images a second, peak memory and share of the machine's matrix-multiply rate, plain and shipped."""
    spot: dict[str, Any] = {"batch": batch, "size": size}
    works = {titled(kind, name): work(kind, name, **spot) for kind in KINDS for name in SETTINGS}
    products = {dtype: matmuls(dtype) for dtype in {dtype_of(kind, name) for kind in KINDS for name in SETTINGS}}
    works |= {title: call for some in products.values() for title, (call, _) in some.items()}
    seconds = interleave(works, rounds=rounds, warmup=warmup, title="steps")
    rates = {
        dtype: max(((flop / seconds[title]) for title, (_, flop) in some.items()), key=median)
        for dtype, some in products.items()
    }
    rows: list[Row] = []
    ratios: list[Statement] = []
    for kind in KINDS:
        cost = gflop(work(kind, "plain", **spot))
        peaks = {
            name: alone("benchmarks.workload:work", kind=kind, setting=name, **spot).peak_mb for name in SETTINGS
        }
        for name in SETTINGS:
            took, rate = seconds[titled(kind, name)], rates[dtype_of(kind, name)]
            rows.append(row(kind, name, took, batch=batch, cost=cost, rate=rate, peak=peaks[name]))
        plain, shipped = seconds[titled(kind, "plain")], seconds[titled(kind, "shipped")]
        ratios.append(ratio(f"{kind}: images a second, shipped over plain", plain, shipped))
        ratios.append(Statement(f"{kind}: peak memory, shipped over plain", peaks["shipped"] / peaks["plain"]))
        reached = f"{kind}, shipped: FLOP a second over the best {called(dtype_of(kind, 'shipped'))} matrix product's"
        ratios.append(ratio(reached, cost / shipped, rates[dtype_of(kind, "shipped")]))
    return Findings(rows, ratios)


def row(kind: Kind, name: Name, took: Seconds, *, batch: int, cost: float, rate: Seconds, peak: float) -> Row:
    """One line of the table."""
    return {
        "work": kind,
        "setting": name,
        **spread(took),
        "images_per_second": batch / median(took),
        "gflop": cost,
        "gflop_per_second": cost / median(took),
        "matmul": called(dtype_of(kind, name)),
        "matmul_gflop_per_second": median(rate),
        "peak_mb": peak,
    }


def dtype_of(kind: Kind, name: Name) -> torch.dtype:
    """What the work's multiplications are mostly in."""
    return SETTINGS[name].trains_in if kind in STEPS else SETTINGS[name].infers_in


def titled(kind: Kind, name: Name) -> str:
    return f"{kind}, {name}"


def called(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def median(values: Seconds) -> float:
    return spread(values)["seconds"]


if __name__ == "__main__":
    run("step", measure, full=FULL, quick=QUICK)
