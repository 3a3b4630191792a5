"""One piece of work in a fresh process: `python -m benchmarks.alone MODULE:FUNCTION JSON`, a line on stdin a time.

The arguments are the function's; it returns the work. Each line read does the work once and is answered by a line of
JSON: the seconds it took, also of the processor, and the most memory that the process has held so far beyond what its
imports took.
"""

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path


def high_water() -> float:
    """The most memory that this process has held, MB.

    From the kernel's own count where there is one: `ru_maxrss` survives exec, so that a child would start at its
    parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Do the work once: the seconds it took, also of the processor."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def main() -> None:
    """Import, note the baseline, make the work, and do it whenever asked."""
    module, _, name = sys.argv[1].partition(":")
    maker = getattr(importlib.import_module(module), name)
    before = high_water()
    work = maker(**json.loads(sys.argv[2]))
    for _ in sys.stdin:
        seconds, cpu_seconds = timed(work)
        took = {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": high_water() - before}
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
