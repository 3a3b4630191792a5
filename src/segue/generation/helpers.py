"""Several workers on one machine: this process, and helpers, each with its share of the cores' threads.

This process works too, so that no process only waits, and it begins while the helpers start. Several helpers are forked
from one process that has done all imports, and share what these hold. Where there are several GPUs, they take them in
turns. Ray is for clusters (`segue.generation.pool`).
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from threading import Thread

import torch

from segue.errors import InputError
from segue.generation.worker import Tally
from segue.hardware import take_card, threads

Shards = Callable[[int], Tally]
"""What does a shard: a `Worker`, as it is called here."""
AHEAD = 2  # shards that a helper has: one that it does, one that waits, so that it is never idle


@dataclass
class Helper:
    """A process that opens a worker and answers shards, and the shards that it has not answered yet."""

    process: BaseProcess
    line: Connection
    taken: deque[int] = field(default_factory=deque)

    def give(self, number: int) -> bool:
        """Send a shard; False if the helper has died."""
        with suppress(OSError):
            self.line.send(number)
            self.taken.append(number)
            return True
        return False


def with_helpers(
    worker: Shards, open_worker: Callable[[], Shards], shards: Sequence[int], *, workers: int
) -> Generator[Tally, None, None]:
    """The shards by `worker` in this process and by `workers - 1` helpers, in the order of completion.

    What a helper that dies has not answered is done by those that remain. Closing the generator ends all helpers, and
    so does every error.

    Args:
        open_worker: called once in each helper.

    Raises:
        InputError: of any worker.
    """
    todo = deque(shards)
    each = max(1, torch.get_num_threads() // workers)
    with threads(each), running(open_worker, each, min(workers - 1, len(todo) - 1)) as helpers:
        while todo or any(helper.taken for helper in helpers):
            distribute(todo, helpers)
            if todo:
                yield worker(todo.popleft())
            yield from answered(helpers, todo, block=not todo)


def distribute(todo: deque[int], helpers: list[Helper]) -> None:
    """Give every helper its shards; near the end one each, so that nobody is left with two while others are idle."""
    ahead = AHEAD if len(todo) > AHEAD * len(helpers) else 1
    for helper in list(helpers):
        while todo and len(helper.taken) < ahead:
            if not helper.give(todo[0]):
                lost(helper, helpers, todo)
                break
            todo.popleft()


def answered(helpers: list[Helper], todo: deque[int], *, block: bool) -> Iterator[Tally]:
    """What helpers have answered by now; with `block`, an answer is waited for if one is to come."""
    busy = {helper.line: helper for helper in helpers if helper.taken}
    for line in wait(list(busy), None if block and busy else 0):
        helper = busy[line]  # type: ignore[index]
        try:
            said: Tally | str = helper.line.recv()
        except (EOFError, OSError):
            lost(helper, helpers, todo)
            continue
        if isinstance(said, str):
            raise InputError(said)
        helper.taken.popleft()
        yield said


def lost(helper: Helper, helpers: list[Helper], todo: deque[int]) -> None:
    """Take back the shards of a helper that has died."""
    helpers.remove(helper)
    todo.extendleft(reversed(helper.taken))


@contextmanager
def running(open_worker: Callable[[], Shards], each: int, count: int) -> Iterator[list[Helper]]:
    """So many helpers, which start meanwhile: what they are given waits for them. None of them is left afterwards."""
    context, helpers, theirs = context_for(count), [], []
    for number in range(1, count + 1):
        ours, line = context.Pipe()
        given = line, open_worker, each, number
        process = context.Process(target=help_with, args=given, daemon=True)  # type: ignore[attr-defined]
        helpers.append(Helper(process, ours))
        theirs.append(line)
    starting = Thread(target=start, args=([helper.process for helper in helpers], theirs))
    started = list(helpers)
    starting.start()
    try:
        yield helpers
    finally:
        starting.join()
        for helper in started:
            helper.line.close()
            helper.process.terminate()
        for helper in started:
            helper.process.join()


def context_for(count: int) -> BaseContext:
    """How processes start. A process to fork from needs memory itself, which is saved from two helpers on."""
    if count < 2 or "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["segue.generation.job"])
    return context


def start(processes: Sequence[BaseProcess], lines: Sequence[Connection]) -> None:
    """Start each process with its end of the line, which is closed here, so that the line ends with the process."""
    for process, line in zip(processes, lines, strict=True):
        process.start()
        line.close()


def help_with(line: Connection, open_worker: Callable[[], Shards], each: int, number: int) -> None:
    """A helper: answers the shards that come along the line, until it ends. An InputError goes back as its text.

    Args:
        number: of the helper, from 1; the first process, which has the first GPU, is 0.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends its helpers
    torch.set_num_threads(each)
    take_card(number)
    with suppress(EOFError, OSError):  # the first process has ended
        try:
            worker = open_worker()
            while True:
                line.send(worker(line.recv()))
        except InputError as error:
            line.send(str(error))
