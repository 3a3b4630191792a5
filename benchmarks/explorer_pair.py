"""The explorer against an earlier revision of itself: from a slider's release to the picture, in turns, in one browser.

Both serve the same model with their own code, each in a process of its own, and both pages stand in one browser. A
round moves the same slider to the same value on the one page, then on the other. The time that a server's processor
works is measured too: other work on the machine does not change it much.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import psutil

from benchmarks.explorer import RELEASE, free_port, in_browser, tail, values_of
from benchmarks.machine import ROOT, source_of
from benchmarks.record import Findings, Row, Statement, run
from benchmarks.timing import ratio
from segue.hub.locate import locate
from segue.progress import track

FULL = {"old": "06e638f", "model": "coronary-phantom", "rounds": 60, "warmup": 8, "threads": 2}
QUICK = FULL | {"rounds": 20, "warmup": 4}
OPENS = 120  # seconds that a server may take to open


def measure(*, old: str, model: str, rounds: int, warmup: int, threads: int) -> Findings:
    """Release to picture, of this revision and of an older one, in turns; the older is before issue 18."""
    folder = str(locate(model))
    with ExitStack() as stack:
        before = stack.enter_context(source_of(old))
        opened = {
            name: stack.enter_context(served(source, folder, threads))
            for name, source in {"old": before, "new": ROOT / "src"}.items()
        }
        browser = stack.enter_context(in_browser())
        pages = {name: visit(browser, address) for name, (address, _) in opened.items()}
        label = pages["new"].locator(".sg-range").nth(4).get_attribute("aria-label")
        values = values_of(pages["new"], label)
        waits: dict[str, list[float]] = {name: [] for name in opened}
        works: dict[str, list[float]] = {name: [] for name in opened}
        for round_ in track(range(warmup + rounds), total=warmup + rounds, title="in turns"):
            value = next(values)
            for name, (_, server) in opened.items():
                began = worked(server)
                waited = pages[name].evaluate(RELEASE, [label, value])
                pages[name].wait_for_timeout(250)  # what is computed after the picture is this answer's too
                if round_ >= warmup:
                    waits[name].append(waited)
                    works[name].append(worked(server) - began)
    rows: list[Row] = [
        {"page": name, "answers": rounds, **tail(waits[name]), "cpu_ms": 1000 * float(np.median(works[name]))}
        for name in opened
    ]
    wait, work = ({name: np.array(times) for name, times in kind.items()} for kind in (waits, works))
    middle = f"milliseconds from slider to picture, median, {model}"
    return Findings(
        rows,
        [
            *(Statement(f"{middle}, {name}", 1000 * float(np.median(wait[name]))) for name in opened),
            ratio("slider to picture, old over new", wait["old"], wait["new"]),
            ratio("processor time of an answer, old over new", work["old"], work["new"]),
        ],
    )


@contextmanager
def served(source: Path, model: str, threads: int) -> Iterator[tuple[str, psutil.Process]]:
    """`segue explore MODEL` with the code in `source`: its address and its process."""
    address = f"http://127.0.0.1:{(port := free_port())}/"
    env = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "segue", "explore", model, "--port", str(port)]
    process = subprocess.Popen(command, env=env, cwd=source, stdout=subprocess.DEVNULL)
    try:
        wait_for(address, process)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    """Until the page itself answers."""
    for _ in range(10 * OPENS):
        try:
            with urlopen(address, timeout=10):
                return
        except (URLError, OSError):
            if process.poll() is not None:
                break
            time.sleep(0.1)
    raise RuntimeError(f"{address}: the explorer did not open; its own words are above")


def visit(browser: Any, address: str) -> Any:
    """A page with its first image."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(address)
    page.get_by_role("button", name="Choose").first.click()
    page.get_by_alt_text("Factual image").first.wait_for()
    page.wait_for_timeout(1000)
    return page


def worked(process: psutil.Process) -> float:
    """Seconds that a process has computed."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    run("explorer_pair", measure, full=FULL, quick=QUICK)
