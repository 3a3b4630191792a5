"""Shards on a cluster: a pool of actors on Ray Data, each with the model in memory.

The items are the numbers of shards and the results are tallies; a worker writes images directly to the output. So
memory is bounded by one shard per worker, for cohorts of any size.
"""

import importlib.util
import logging
import os
import socket
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segue.errors import InputError
from segue.generation.worker import Tally, Worker
from segue.text import one_line


def check_workers(workers: int, address: str | None) -> None:
    """Refuse a number of workers below 1, and a cluster without Ray."""
    if workers < 1:
        raise InputError(f"--workers {workers}: give a number of workers, 1 or more")
    if address is not None and importlib.util.find_spec("ray") is None:
        raise InputError('--address: Ray is not installed; pip install "segue-counterfactual[ray]"')


def on_ray(
    open_worker: Callable[[], Worker], shards: Sequence[int], *, workers: int, address: str, log: Path
) -> Generator[Tally, None, None]:
    """The shards in a pool of `workers` actors on the cluster at `address`, in the order of completion.

    A worker that dies is replaced and its shard repeated (Ray Data's default for actors). Closing the generator stops
    the pool, and so does every error.

    Args:
        open_worker: called once in each actor.
        log: a file for the output of Ray's own processes.
    """
    quiet_environment()
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    with stderr_to(log):
        if mine := not ray.is_initialized():
            connect(address)
        try:
            quiet(DataContext.get_current())
            threads = threads_each([node["Resources"] for node in ray.nodes() if node["Alive"]], workers)
            gpus = ray.cluster_resources().get("GPU", 0)
            answered = ray.data.from_items(list(shards), override_num_blocks=len(shards)).map_batches(
                Actor,  # type: ignore[arg-type]
                fn_constructor_args=(open_worker, threads),
                batch_size=1,
                # One shard running and one waiting: no actor is idle, and a lost actor costs little.
                compute=ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
                num_cpus=threads,
                num_gpus=min(1.0, gpus / workers) or None,
            )
            for row in answered.iter_rows():
                if row["problem"]:
                    raise InputError(row["problem"])
                yield Tally(int(row["counterfactuals"]), int(row["quarantined"]))
        finally:
            if mine:
                ray.shutdown()


@contextmanager
def stderr_to(log: Path) -> Iterator[None]:
    """Redirect descriptor 2, of libraries and child processes, to `log`; Python's own stderr stays unchanged."""
    before, terminal = sys.stderr, os.dup(2)
    with open(log, "ab") as file, os.fdopen(terminal, "w", buffering=1, closefd=False) as ours:
        os.dup2(file.fileno(), 2)
        if before is sys.__stderr__:
            sys.stderr = ours
        try:
            yield
        finally:
            sys.stderr = before
            os.dup2(terminal, 2)
            os.close(terminal)


class Actor:
    """A `Worker` as Ray Data runs it, with shard numbers as batches of one.

    An InputError in an actor is returned as a result, because Ray does not keep the type of an error.
    """

    def __init__(self, open_worker: Callable[[], Worker], threads: int) -> None:
        torch.set_num_threads(threads)
        self.worker: Callable[[int], Tally] | None = None
        try:
            self.worker = open_worker()
        except InputError as error:
            self.problem = str(error)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[int] | list[str]]:
        (number,) = batch["item"]
        tally, problem = Tally(0, 0), ""
        try:
            if self.worker is None:
                raise InputError(self.problem)
            tally = self.worker(int(number))
        except InputError as error:
            problem = str(error)
        return {
            "counterfactuals": [tally.counterfactuals],
            "quarantined": [tally.quarantined],
            "problem": [problem],
        }


def connect(address: str) -> None:
    """Connect to a cluster.

    Raises:
        InputError: none answers there.
    """
    quiet_environment()
    import ray

    try:
        knock(address)
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, ValueError, RuntimeError, SystemExit) as error:  # Ray exits if an address is out of date
        why = f"no Ray cluster answers there ({one_line(error)}); start one, or set its RAY_AUTH_TOKEN"
        raise InputError(f"--address {address}: {why}") from None


def knock(address: str) -> None:
    """Raise OSError if nothing listens at `host:port`: Ray itself would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def quiet_environment() -> None:
    """Before Ray is imported: no usage statistics, and no second cluster (after an error, a remaining thread of Ray
    Data would start one with its next call)."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"


def quiet(context: Any) -> None:
    """No progress bars and plans of Ray on the terminal: the run shows its own progress."""
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def threads_each(nodes: Sequence[dict[str, float]], workers: int) -> int:
    """The most threads per worker with which all workers fit on the nodes; 1 if they do not fit."""
    cores = [int(node.get("CPU", 0)) for node in nodes]
    for threads in range(sum(cores) // workers, 1, -1):
        if sum(core // threads for core in cores) >= workers:
            return threads
    return 1
