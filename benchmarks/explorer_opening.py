"""How long `segue explore` takes to open, against an earlier revision of itself: both in turns, with the same model."""

import time
from pathlib import Path

import numpy as np

from benchmarks.explorer_pair import served, worked
from benchmarks.machine import ROOT, source_of
from benchmarks.record import Findings, Row, run
from benchmarks.timing import ratio, spread
from segue.hub.locate import locate
from segue.progress import track

FULL = {"old": "06e638f", "model": "coronary-phantom", "rounds": 7, "threads": 1}
QUICK = FULL | {"rounds": 3}


def measure(*, old: str, model: str, rounds: int, threads: int) -> Findings:
    """Seconds from the command to the page, by the clock and of the processor."""
    folder = str(locate(model))
    with source_of(old) as before:
        sources = {"old": before, "new": ROOT / "src"}
        took = [
            {name: opened(source, folder, threads) for name, source in sources.items()}
            for _ in track(range(1 + rounds), total=1 + rounds, title="opening")
        ][1:]  # the first one reads files that the later ones find in memory
    clock, work = ({name: np.array([one[name][i] for one in took]) for name in sources} for i in (0, 1))
    rows: list[Row] = [
        {"page": name, "openings": rounds, **spread(clock[name]), "cpu_seconds": float(np.median(work[name]))}
        for name in sources
    ]
    return Findings(
        rows,
        [
            ratio("time until the page is there, old over new", clock["old"], clock["new"]),
            ratio("processor time until the page is there, old over new", work["old"], work["new"]),
        ],
    )


def opened(source: Path, model: str, threads: int) -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    began = time.perf_counter()
    with served(source, model, threads) as (_, server):
        return time.perf_counter() - began, worked(server)


if __name__ == "__main__":
    run("explorer_opening", measure, full=FULL, quick=QUICK)
