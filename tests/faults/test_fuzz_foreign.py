"""Seeded changes to foreign files of every kind that is read (`foreign_files.py`): each is read or refused in one line.

With the environment variable SEGUE_FAULTS, which names a folder, the figures are written there: fuzz_foreign.json.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from children import write_figures

SCRIPT, TESTS = Path(__file__).with_name("foreign_files.py"), Path(__file__).parents[1]
SECONDS, PEAK_MB = 20, 1024


def run_inputs(first: int, count: int, folder: Path) -> list[dict]:
    """What came of each input; a process that an input ends is started anew behind it."""
    out, found, end = folder / f"{first}.jsonl", [], first + count
    environment = os.environ | {"PYTHONPATH": f"{TESTS.parent / 'src'}:{TESTS}", "OMP_NUM_THREADS": "1"}
    while first < end:
        out.write_text("")
        command = [sys.executable, str(SCRIPT), str(first), str(end - first), str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert lines, done.stderr[-2000:]
        rows = [line for line in lines if "kind" in line]
        last = lines[-1].get("began")
        rows += [] if last is None else [{"number": last, "kind": "?", "result": f"died ({done.returncode})"}]
        found += rows
        first = found[-1]["number"] + 1
    return found


def check(found: list[dict]) -> dict:
    """No traceback, no hang, no death, no line that is none, no pixels that a checksum tells to be others."""
    bad = [row for row in found if row["result"] not in ("read", "refused", "other")]
    assert bad == []
    figures = dict(Counter(row["result"] for row in found))
    peak, slowest = max(row["peak_mb"] for row in found), max(row["seconds"] for row in found)
    assert peak < PEAK_MB and slowest < SECONDS
    return {"inputs": len(found), "tracebacks": 0, "hangs": 0, **figures, "peak_mb": peak, "slowest_s": slowest}


def test_a_hundred_changed_files_are_read_or_refused(tmp_path):
    figures = check(run_inputs(0, 100, tmp_path))
    assert figures["inputs"] == 100 and figures["refused"] > 50


@pytest.mark.slow
def test_changed_files_are_read_or_refused(tmp_path):
    figures = check(run_inputs(1000, 1500, tmp_path))
    assert figures["inputs"] == 1500
    write_figures("fuzz_foreign", figures)
