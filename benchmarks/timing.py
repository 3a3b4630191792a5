"""Fair timing on a machine that drifts: settings take turns (A B A B ...), and a ratio compares neighbours."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.record import Statement
from segue.progress import track

Seconds = Float[np.ndarray, " round"]
DRAWS = 4000


def interleave(
    works: Mapping[str, Callable[[], Any]], *, rounds: int, warmup: int, title: str
) -> dict[str, Seconds]:
    """Seconds of each work in each round; a round does all of them once, in order. Warm-up rounds are not kept."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for round_ in track(range(warmup + rounds), total=warmup + rounds, title=title):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            if round_ >= warmup:
                seconds[name].append(time.perf_counter() - began)
    return {name: np.array(times) for name, times in seconds.items()}


def spread(seconds: Seconds) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    return {"seconds": float(middle), "seconds_q1": float(low), "seconds_q3": float(high)}


def ratio(what: str, over: Seconds, under: Seconds, *, factor: float = 1.0) -> Statement:
    """The median over rounds of factor * over / under, with its 95% percentile bootstrap interval over rounds.

    Two rounds or fewer say nothing of an interval.
    """
    paired = factor * over / under
    if len(paired) < 3:
        return Statement(what, float(np.median(paired)))
    drawn = np.random.default_rng(0).choice(paired, (DRAWS, len(paired)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return Statement(what, float(np.median(paired)), (float(low), float(high)))
