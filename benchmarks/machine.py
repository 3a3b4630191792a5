"""What a benchmark ran on, what the machine can multiply, and what a piece of work costs in FLOPs and memory."""

import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import torch
from torch.utils.flop_counter import FlopCounterMode

from segue.errors import InputError
from segue.pipeline.common import commit

ROOT = Path(__file__).parents[1]
MATMULS = ((1024, 1024, 1024), (2048, 1024, 2048), (8192, 256, 1024))  # (m, k, n): square, rectangular, tall
Work = Callable[[], Any]


class Cost(NamedTuple):
    """What some work took: seconds, those of the processor, and the MB that its process has held at most, beyond what
    its imports took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def description() -> dict[str, Any]:
    """The machine without its name: processor, cores, threads, versions, revision of the code."""
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bf16": bool(torch.cpu._is_avx512_bf16_supported()),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit(),
    }


def processor() -> str:
    """The processor's model, as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def matmuls(dtype: torch.dtype) -> dict[str, tuple[Work, float]]:
    """Matrix products by name, each with its GFLOP: timed among the benchmark's own work, since rates drift."""
    found: dict[str, tuple[Work, float]] = {}
    for m, k, n in MATMULS:
        pair = torch.randn(m, k, dtype=dtype), torch.randn(k, n, dtype=dtype)
        found[f"matmul {dtype} {m}x{k}x{n}"] = partial(torch.matmul, *pair), 2e-9 * m * k * n
    return found


def gflop(work: Work) -> float:
    """GFLOP of one call, forward and backward, as torch counts them (convolutions and matrix products)."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 1e9


@contextmanager
def source_of(revision: str) -> Iterator[Path]:
    """The package's source at a revision, in a temporary folder."""
    found = subprocess.run(["git", "archive", revision, "src"], cwd=ROOT, capture_output=True)
    if found.returncode:
        raise InputError(f"--old {revision}: git has no such revision ({found.stderr.decode().strip()})")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(found.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder) / "src"


class Alone:
    """Some work in a process of its own, done once a call: settings that a process holds to meet side by side.

    Args:
        maker: "module:function"; called with `arguments` (which JSON can say) it returns the work.
        source: the folder of the package; None: as it is installed.
    """

    def __init__(self, maker: str, *, source: Path | None = None, **arguments: Any) -> None:
        command = [sys.executable, "-m", "benchmarks.alone", maker, json.dumps(arguments)]
        env = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        if source is not None:
            env["PYTHONPATH"] = str(source)
        self.maker = maker
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "Alone":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def __call__(self) -> Cost:
        """Do the work and say what it took; the first call also waits for the imports."""
        stdin, stdout = cast(IO[str], self.process.stdin), cast(IO[str], self.process.stdout)
        stdin.write("\n")
        stdin.flush()
        if not (answer := stdout.readline()):
            raise RuntimeError(f"{self.maker}: its process ended with code {self.process.wait()}, its own words above")
        return Cost(**json.loads(answer))
