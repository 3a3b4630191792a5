"""A command in a process of its own, whose file operations are counted, refused or cut short by a kill.

The child is a fork of a server that has imported everything and done nothing. An audit hook in it sees every operation
of Python on files in a folder: it works for root too, for whom permissions do not count.
"""

import errno
import hashlib
import json
import multiprocessing
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import torch

from segue.cli import main

WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree"}
SEGUE_FAULTS = "SEGUE_FAULTS"
"""The environment's variable with the folder that figures go to."""
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["segue.pipeline", "segue.hub.runs", "segue.generation.generate", "monai.networks.nets"])


class How(NamedTuple):
    """What befalls a command.

    Attributes:
        inside: the folder whose operations count. kill_at: the operation before which the child is killed (SIGKILL).
        refuse_from: the operation from which on every one is refused, with the error `refuse_with`. largest: bytes of
        a file; writing more fails, as on a full disk. seconds: after which a child counts as hanging. environment: what
        is set in the child's.
    """

    inside: Path
    kill_at: int = 0
    refuse_from: int = 0
    refuse_with: int = errno.EROFS
    largest: int | None = None
    seconds: int = 1200
    environment: Mapping[str, str] | None = None


class Ended(NamedTuple):
    """How a command ended: exit code (negative: of a signal), stderr, file operations seen, and MB more than before."""

    code: int
    err: str
    operations: int
    megabytes: float

    @property
    def lines(self) -> list[str]:
        """What is said to the user of what went wrong."""
        return [line for line in self.err.splitlines() if line.startswith("segue: ")]


def in_child(command: list[str], how: How) -> Ended:
    """Give a command of segue in a process of its own."""
    said, into = CONTEXT.Pipe(duplex=False)
    child = CONTEXT.Process(target=do, args=(command, how, into))
    child.start()
    into.close()
    content = b""
    while chunk := os.read(said.fileno(), 1 << 16):
        content += chunk
    child.join()
    text, _, counts = content.decode(errors="replace").rpartition("\nended ")
    code = child.exitcode
    assert code is not None
    if code < 0 or not text:  # killed
        return Ended(code, content.decode(errors="replace"), 0, 0.0)
    operations, megabytes = counts.split()
    return Ended(code, text, int(operations), float(megabytes))


def together(world: int, command: list[str], inside: Path) -> list[Ended]:
    """Give a command in several processes."""
    hows = [How(inside, environment=one) for one in environments(world)]
    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(lambda how: in_child(command, how), hows))


def environments(world: int) -> list[dict[str, str]]:
    """By which several processes know of one another, as torchrun would tell them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(world)}
    return [meeting | {"RANK": str(k), "LOCAL_RANK": str(k)} for k in range(world)]


def do(command: list[str], how: How, into: Connection) -> None:
    """What the child does: the command, and at the end a line of what was counted."""
    os.environ.update(how.environment or {})
    torch.set_num_threads(1)
    for stream in (1, 2):
        os.dup2(into.fileno(), stream)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    count, before = [0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.addaudithook(lambda event, given: operation(event, given, how, count))
    signal.alarm(how.seconds)
    if how.largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (how.largest, how.largest))
    code = 1
    try:
        code = main(command)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stderr.flush()
    sys.stdout.flush()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    os.write(2, f"\nended {count[0]} {grown:.0f}".encode())
    os._exit(code)


def operation(event: str, given: tuple, how: How, count: list[int]) -> None:
    """One event: counted where it changes something in the folder; then killed or refused, if it is its turn."""
    if event == "open":
        path, mode, flags = (*given, None, None)[:3]
        writes = bool(flags and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or (mode or "r")[0] in "wax"
    elif event in WRITES:
        path, writes = given[0], True
    else:
        return
    if not writes or not isinstance(path, str | bytes | os.PathLike) or str(how.inside) not in os.fsdecode(path):
        return
    count[0] += 1
    if count[0] == how.kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    full = how.refuse_with in (errno.ENOSPC, errno.EDQUOT)
    if full and event not in ("open", "os.mkdir"):
        return  # a full disk lets things be renamed and removed
    if how.refuse_from and count[0] >= how.refuse_from:
        raise OSError(how.refuse_with, os.strerror(how.refuse_with), os.fsdecode(path))


def temporaries(folder: Path) -> list[str]:
    """What a writer left that did not come to its end."""
    found = [path for path in folder.rglob("*") if "partial" in path.name or ".tmp" in path.name]
    return [str(path.relative_to(folder)) for path in found]


def outcome_of(run: Path) -> dict[str, str]:
    """What a run has found, by file: everything but times, logs and pages."""
    found = {}
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if path.name == "metrics.json":
            found[name] = json.dumps(without_times(json.loads(path.read_text())))
        elif path.suffix in (".safetensors", ".parquet") or path.name == "config.json" or ".zarr" in name:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return found


def without_times(content: object) -> object:
    """A JSON document without what differs between two runs that are the same."""
    if isinstance(content, list):
        return [without_times(one) for one in content]
    if not isinstance(content, dict):
        return content
    left = ("seconds", "seconds_per_image", "training_seconds", "commit", "command")
    return {key: without_times(value) for key, value in content.items() if key not in left}


def write_figures(name: str, figures: dict) -> None:
    """The figures of a campaign, for the docs, where somebody wants them."""
    if folder := os.environ.get(SEGUE_FAULTS):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")
