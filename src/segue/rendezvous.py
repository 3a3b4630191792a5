"""Processes that do one study together: they meet, wait for one another, and end together, with one word of why.

torchrun starts them and hosts a key-value store. There each process beats twice a second, notes the step that it is
at, and the first to fail says so. Whoever is left alone in a collective, by its time-out or by a broken connection,
looks there for those that beat no more (dead) or that did not fail with the others (hanging), and names them.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import FrameType
from typing import Literal, TypeVar

import torch
import torch.distributed as dist

from segue.errors import Ended, RanksLost, exit_code

T = TypeVar("T")
Strategy = Literal["ddp", "fsdp"]
BEAT = 0.5  # seconds
SILENCE = 4.0  # seconds without a beat, after which a process is dead

_group: "Group | None" = None


@contextmanager
def joined(*, timeout: float = 600.0, strategy: Strategy = "ddp") -> Iterator[None]:
    """Within, be one of the processes that torchrun started; alone, where it did not, nothing changes.

    Args:
        timeout: seconds that a collective, or the meeting itself, waits for a process.
        strategy: ddp holds the network whole on each process; fsdp shards weights, gradients and optimiser.

    Raises:
        RanksLost: processes are missing; the message names them.
        Ended: another process ended the work, and has said why.
    """
    global _group
    if "RANK" not in os.environ:
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    group = Group(timeout, strategy)
    try:
        group.meet()
        _group = group
        yield
        group.part()
    except BaseException as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the launcher ends everyone when it notices; say why first
        if (ending := group.ending(error)) is error:
            raise
        raise ending from None
    finally:
        _group = None
        group.stop_beating.set()
        signal.signal(signal.SIGTERM, before)


def alone(work: Callable[[], T]) -> T:
    """What `work` returns, done on the main process while the others wait for it, be it hours.

    It must be something that JSON can say, for that is how the others get it.
    """
    return work() if _group is None else _group.alone(work)


def note(place: str) -> None:
    """Say where this process is, for the others to tell should it be lost."""
    if _group is not None:
        _group.store.set(f"seen/{_group.rank}", place)


def strategy() -> Strategy:
    return "ddp" if _group is None else _group.strategy


class Terminated(KeyboardInterrupt):
    """The launcher asked this process to end."""


def stop(signal_number: int, frame: FrameType | None) -> None:
    raise Terminated


class Group:
    """This process's place among those that torchrun started."""

    def __init__(self, timeout: float, strategy: Strategy) -> None:
        self.rank, self.world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self.timeout, self.strategy = timeout, strategy
        self.answers = 0
        self.stop_beating = threading.Event()

    # ---- meet and part -------------------------------------------------------------------------------------------

    def meet(self) -> None:
        """Wait for everybody, then open the collectives."""
        try:
            server, _, _ = next(dist.rendezvous("env://", timeout=timedelta(seconds=self.timeout)))
        except dist.DistError as error:
            raise RanksLost(f"rank {self.rank} cannot reach {address()}: {first_line(error)}") from None
        self.store = dist.PrefixStore("segue", server)
        beating = dist.PrefixStore("segue", server.clone())  # a store serves one thread at a time
        threading.Thread(target=self.beat, args=(beating,), daemon=True).start()
        self.store.set(f"seen/{self.rank}", "the start")
        here = [f"seen/{rank}" for rank in range(self.world)]
        if not self.until(lambda: self.store.check(here), self.timeout):
            raise RanksLost(f"{ranks(self.absent('seen'))} did not come within {self.timeout:g} s: start every node")
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")  # a time-out raises here, and can be explained
        dist.init_process_group(
            "nccl" if cuda else "gloo",
            store=server,
            rank=self.rank,
            world_size=self.world,
            timeout=timedelta(seconds=self.timeout),
        )

    def part(self) -> None:
        """Leave, the main process last: others may still ask the store that its node hosts."""
        self.store.set(f"left/{self.rank}", "")
        if self.rank == 0:
            self.until(lambda: not self.absent("left"), SILENCE)
        dist.destroy_process_group()

    def beat(self, store: dist.Store) -> None:
        with suppress(dist.DistError, RuntimeError):  # without a store there is nobody to tell
            while not self.stop_beating.wait(BEAT):
                store.add(f"beat/{self.rank}", 1)

    # ---- wait ----------------------------------------------------------------------------------------------------

    def alone(self, work: Callable[[], T]) -> T:
        self.answers += 1
        key = f"answer/{self.answers}"
        if self.rank == 0:
            answer = work()
            self.store.set(key, json.dumps(answer))
            return answer
        beats, heard = -1, time.monotonic()
        while not self.until(lambda: self.store.check([key]), min(self.timeout, 10.0)):
            if (now := self.beats()[0]) != beats:
                beats, heard = now, time.monotonic()
            elif time.monotonic() - heard > self.timeout:
                raise RanksLost(self.told([0]))
        return json.loads(self.store.get(key))

    def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait until `done`, for `seconds` at most; Ended where somebody ended the work."""
        deadline, pause = time.monotonic() + seconds, 0.005
        while not done():
            if self.store.check(["end"]):
                raise Ended(self.said())
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.5)
        return True

    # ---- end -----------------------------------------------------------------------------------------------------

    def ending(self, error: BaseException) -> BaseException:
        """What this process should end with: the first to end says why, the others are silent."""
        if isinstance(error, Ended) or not hasattr(self, "store"):
            return error
        try:
            if self.store.check(["end"]):
                return Ended(self.said())
            error = self.explained(error)
            mine = f"{self.rank} {exit_code(error)}"
            first = self.store.compare_set("end", "", mine).decode()
            return error if first == mine else Ended(self.said())
        except (dist.DistError, RuntimeError):  # the store is gone, and its host with it
            if is_collectives(error):
                return RanksLost(f"rank {self.rank} lost the rendezvous at {address()}: is its node down? " + AGAIN)
            return error

    def explained(self, error: BaseException) -> BaseException:
        """A broken collective, or the launcher's order to end: who is missing, if anybody is."""
        if not is_collectives(error) and not isinstance(error, Terminated):
            return error
        self.store.set(f"failed/{self.rank}", "")
        before = self.beats()
        time.sleep(SILENCE)
        now = self.beats()
        missing = [rank for rank in range(self.world) if now[rank] == before[rank] and rank != self.rank]
        if is_collectives(error) and not missing:
            missing = self.absent("failed")
        if not missing:
            return RanksLost(f"{first_line(error)} {AGAIN}") if is_collectives(error) else error
        return RanksLost(self.told(missing))

    def told(self, missing: list[int]) -> str:
        where = ", ".join(f"rank {rank} last seen at {self.seen(rank)}" for rank in missing)
        return f"{ranks(missing)} missing ({where}; rank {self.rank} is at {self.seen(self.rank)}). {AGAIN}"

    def seen(self, rank: int) -> str:
        return self.store.get(f"seen/{rank}").decode() if self.store.check([f"seen/{rank}"]) else "no time"

    def absent(self, what: str) -> list[int]:
        """The ranks that have not set `what`."""
        return [rank for rank in range(self.world) if not self.store.check([f"{what}/{rank}"])]

    def beats(self) -> list[int]:
        return [self.store.add(f"beat/{rank}", 0) for rank in range(self.world)]

    def said(self) -> int:
        """The exit code of the first to end."""
        return int(self.store.get("end").decode().split()[1])


AGAIN = "The same command goes on from the last checkpoint"


def is_collectives(error: BaseException) -> bool:
    """Whether a collective failed, for want of a process or of a connection; gloo's errors have no type."""
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(name in str(error) for name in ("gloo", "NCCL"))
    )


def ranks(missing: list[int]) -> str:
    return ("rank " if len(missing) == 1 else "ranks ") + ", ".join(map(str, missing))


def address() -> str:
    return f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"


def first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
