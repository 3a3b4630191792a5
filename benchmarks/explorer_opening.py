"""How long `segue explore` takes to open, against an earlier revision of itself: both in turns, with the same model."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.explorer import in_browser
from benchmarks.explorer_pair import served, worked
from benchmarks.machine import ROOT, source_of
from benchmarks.record import Findings, Row, Statement, run
from benchmarks.timing import ratio, spread
from segue.hub.locate import locate
from segue.progress import track

FULL = {"old": "06e638f", "model": "coronary-phantom", "rounds": 7, "threads": 1}
QUICK = FULL | {"rounds": 3}
UNTIL = ("the page is there", "its first image is seen")
FIRST = 60_000  # milliseconds that the first image may take


def measure(*, old: str, model: str, rounds: int, threads: int) -> Findings:
    """Seconds from the command to the page, and to its first image in a browser, by the clock and of the processor."""
    folder = str(locate(model))
    with source_of(old) as before, in_browser() as browser:
        sources = {"old": before, "new": ROOT / "src"}
        took = [
            {name: opened(browser, source, folder, threads) for name, source in sources.items()}
            for _ in track(range(1 + rounds), total=1 + rounds, title="opening")
        ][1:]  # the first one reads files that the later ones find in memory
    rows: list[Row] = []
    told: list[Statement] = []
    for i, until in enumerate(UNTIL):
        clock, work = ({name: np.array([one[name][i][kind] for one in took]) for name in sources} for kind in (0, 1))
        rows += [
            {"page": name, "until": until, **spread(clock[name]), "cpu_seconds": float(np.median(work[name]))}
            for name in sources
        ]
        told += [
            ratio(f"time until {until}, old over new", clock["old"], clock["new"]),
            ratio(f"processor time until {until}, old over new", work["old"], work["new"]),
        ]
    return Findings(rows, told)


def opened(browser: Any, source: Path, model: str, threads: int) -> list[tuple[float, float]]:
    """Seconds by the clock, and of the server's processor, until each of `UNTIL`."""
    began = time.perf_counter()
    with served(source, model, threads) as (address, server):
        there = time.perf_counter() - began, worked(server)
        with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
            page = context.new_page()
            page.goto(address)
            page.get_by_alt_text("Factual image").first.wait_for(timeout=FIRST)
            return [there, (time.perf_counter() - began, worked(server))]


if __name__ == "__main__":
    run("explorer_opening", measure, full=FULL, quick=QUICK)
