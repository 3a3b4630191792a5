"""Where a study runs: on how many devices and nodes, and how the processes share the training.

These are options of the command, not keys of the study: they do not change what a stage's fingerprint is made of, nor
its result, beyond rounding.
"""

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

import torch
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from segue import rendezvous
from segue.errors import Ended, InputError
from segue.rendezvous import Strategy

Read = TypeVar("Read")

HELP = """
where to run, for any command that trains:
  --devices N            GPUs of this machine, one process each; where there is none, CPU processes (default: 1)
  --nodes N              machines (default: 1); give the same command on each, with its own --node-rank
  --node-rank R          which of them this is, from 0
  --rendezvous HOST:PORT where they meet: a free port of node 0
  --strategy ddp|fsdp    the network whole on each process (default), or sharded
  --timeout SECONDS      how long processes wait for one another (default: 600)
under torchrun, only --strategy and --timeout have a meaning: torchrun --nproc-per-node 2 -m segue run STUDY"""

OPTIONS = ("devices", "nodes", "node-rank", "rendezvous", "strategy", "timeout")


@dataclass(frozen=True)
class Placement:
    """Processes, and where they meet."""

    devices: int = 1
    nodes: int = 1
    node_rank: int = 0
    rendezvous: str = "localhost:0"
    strategy: Strategy = "ddp"
    timeout: float = 600.0

    @property
    def spawns(self) -> bool:
        """Whether this process only starts those that work."""
        return self.devices * self.nodes > 1


def place(given: dict[str, str]) -> Placement:
    """Check the options of the command, as texts by name.

    Raises:
        InputError: one is wrong, or contradicts another or the machine.
    """
    started = [name for name in ("devices", "nodes", "node-rank", "rendezvous") if name in given]
    if started and "RANK" in os.environ:
        raise InputError(f"--{started[0]}: torchrun has started the processes already; leave it out")
    placement = Placement(
        devices=whole(given, "devices", least=1),
        nodes=whole(given, "nodes", least=1),
        node_rank=whole(given, "node-rank", least=0),
        rendezvous=given.get("rendezvous", Placement.rendezvous),
        strategy=choice(given.get("strategy", "ddp")),
        timeout=seconds(given.get("timeout", "600")),
    )
    cuda = torch.cuda.device_count()
    if cuda and placement.devices > cuda:
        raise InputError(f"--devices {placement.devices}: this machine has {cuda} CUDA devices")
    if placement.nodes > 1 and not {"node-rank", "rendezvous"} <= given.keys():
        raise InputError(f"--nodes {placement.nodes}: give --node-rank and --rendezvous HOST:PORT too")
    if placement.node_rank >= placement.nodes:
        raise InputError(f"--node-rank {placement.node_rank}: give 0 to {placement.nodes - 1}, or more --nodes")
    host, colon, port = placement.rendezvous.rpartition(":")
    if not (host and colon and port.isdigit()):
        raise InputError(f"--rendezvous {placement.rendezvous}: give HOST:PORT, e.g. node0:29400")
    return placement


def spread(placement: Placement, command: list[str], read: Callable[[], Read], work: Callable[[Read], None]) -> None:
    """Do `work` on what is `read`: in the processes that are asked for, or here, alone or as one of torchrun's.

    Args:
        command: `segue COMMAND...`, as each process is to have it.
        read: raises InputError where the input is bad; before any process is started, so that it is said once.
    """
    if placement.spawns:
        read()
        launch(placement, command)
        return
    with rendezvous.joined(timeout=placement.timeout, strategy=placement.strategy):
        work(read())


def launch(placement: Placement, command: list[str]) -> None:
    """Run `segue COMMAND...` in the processes of this node, and wait for them.

    Raises:
        Ended: with the exit code of the process that failed first, which has said why.
    """
    share = max(1, (os.cpu_count() or 1) // placement.devices)
    os.environ.setdefault("OMP_NUM_THREADS", str(share))
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what failed says so itself
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # the same, of torch's sockets
    several = {"rdzv_backend": "static", "rdzv_configs": {"rank": placement.node_rank, "timeout": placement.timeout}}
    one = {"rdzv_backend": "c10d", "rdzv_configs": {"timeout": placement.timeout}}
    where: dict[str, Any] = several if placement.nodes > 1 else one
    config = LaunchConfig(
        min_nodes=placement.nodes,
        max_nodes=placement.nodes,
        nproc_per_node=placement.devices,
        rdzv_endpoint=placement.rendezvous,
        run_id="segue",
        max_restarts=0,
        **where,
    )
    settings = {"strategy": placement.strategy, "timeout": f"{placement.timeout:g}"}
    defaults = {"strategy": Placement.strategy, "timeout": f"{Placement.timeout:g}"}
    shared = [f"--{name}={value}" for name, value in settings.items() if value != defaults[name]]
    try:
        elastic_launch(config, sys.executable)("-m", "segue", *command, *shared)
    except ChildFailedError as error:
        raise Ended(failed(error, placement)) from None
    except SignalException:
        raise Ended(130) from None


def failed(error: ChildFailedError, placement: Placement) -> int:
    """The exit code of the first to fail; where all of them were killed, nobody could say so but the launcher."""
    codes = [failure.exitcode for failure in error.failures.values()]
    if len(codes) == placement.devices and all(code < 0 for code in codes):
        killed = f"all processes were killed (signal {-codes[0]})"
        print(f"segue: {killed}; the same command goes on from here", file=sys.stderr)
    _, first = error.get_first_failure()
    return first.exitcode if first.exitcode > 0 else 1


# ---- options -----------------------------------------------------------------------------------------------------


def whole(given: dict[str, str], name: str, *, least: int) -> int:
    text = given.get(name, str(least))
    if not text.isdecimal() or int(text) < least:
        raise InputError(f"--{name} {text}: give a whole number from {least}")
    return int(text)


def choice(text: str) -> Strategy:
    for strategy in get_args(Strategy):
        if text == strategy:
            return strategy
    raise InputError(f"--strategy {text}: choose from {', '.join(get_args(Strategy))}")


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value < 1e6:
        raise InputError(f"--timeout {text}: give seconds, from 1")
    return value
