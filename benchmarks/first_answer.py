"""How long until the first answer: of a new Python, and of the command line; and how long `import segue` takes."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import ROOT
from benchmarks.record import Findings, Row, Statement, run
from benchmarks.timing import spread
from segue.progress import track

FULL = {"model": "coronary-phantom", "variable": "lumen@mid", "rounds": 7, "threads": 2}
QUICK = FULL | {"rounds": 3}
PYTHON = """
import json, sys, time
began = time.perf_counter()
import segue
imported = time.perf_counter()
segue.load
code = time.perf_counter()
model = segue.load(sys.argv[1])
loaded = time.perf_counter()
model.counterfactual(model.examples()[:1], do={sys.argv[2]: "+10%"})
print(json.dumps([imported - began, code - began, loaded - code, time.perf_counter() - code]))
"""
STEPS = ("import segue", "segue.load found: torch and MONAI imported", "load", "load to first answer")


def measure(*, model: str, variable: str, rounds: int, threads: int) -> Findings:
    """Seconds by the clock, each in a process of its own; the first round fills the system's file cache."""
    env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "example.npy"
        save = "import sys, numpy, segue; numpy.save(sys.argv[2], segue.load(sys.argv[1]).examples()[0, 0].numpy())"
        said([sys.executable, "-c", save, model, str(image)], env)
        inside, python, console = [], [], []
        for round_ in track(range(1 + rounds), total=1 + rounds, title="first answers"):
            answer = [sys.executable, "-c", PYTHON, model, variable]
            ask = ["-m", "segue", "counterfactual", model, str(image), "--do", f"{variable}=+10%"]
            written = ["--out", str(Path(folder) / str(round_))]
            began = time.perf_counter()
            steps = json.loads(said(answer, env))
            between = time.perf_counter()
            said([sys.executable, *ask, *written], env)
            ended = time.perf_counter()
            if round_:
                inside.append(steps)
                python.append(between - began)
                console.append(ended - between)
    times = dict(zip(STEPS, np.array(inside).T, strict=True))
    times |= {"Python, whole": np.array(python), "command line, whole": np.array(console)}
    rows: list[Row] = [{"what": what, **spread(each)} for what, each in times.items()]
    told = [Statement(f"seconds, median: {what}", float(np.median(each))) for what, each in times.items()]
    return Findings(rows, told)


def said(command: list[str], env: dict[str, str]) -> str:
    """What a command prints."""
    return subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    run("first_answer", measure, full=FULL, quick=QUICK)
