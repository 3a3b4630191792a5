"""Progress with an estimate of the time left: a bar on a terminal, a line every 15 seconds in a log file."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_Item = TypeVar("_Item")
LOG_SECONDS = 15.0


def track(
    items: Iterable[_Item], *, total: int, title: str, describe: Callable[[], str] = lambda: ""
) -> Iterator[_Item]:
    """Yield `items` and show the progress on stderr.

    Args:
        total: all items; if some were done before, `items` is shorter.
        describe: further text, asked for at each update.
    """
    items = list(items) if not hasattr(items, "__len__") else items
    done = total - len(items)  # type: ignore[arg-type]
    shown = show_bar if sys.stderr.isatty() else print_lines
    yield from shown(items, done=done, total=total, title=title, describe=describe)


def show_bar(
    items: Iterable[_Item], *, done: int, total: int, title: str, describe: Callable[[], str]
) -> Iterator[_Item]:
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(), TextColumn("[dim]{task.fields[state]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, completed=done, state="")
        for item in items:
            yield item
            progress.update(task, advance=1, state=describe())


def print_lines(
    items: Iterable[_Item], *, done: int, total: int, title: str, describe: Callable[[], str]
) -> Iterator[_Item]:
    started = last = time.perf_counter()
    first = done
    for item in items:
        yield item
        done += 1
        now = time.perf_counter()
        if now - last > LOG_SECONDS or done == total:
            last = now
            left = (now - started) / (done - first) * (total - done)
            print(f"{title}: {done}/{total}, {left:.0f} s left  {describe()}", file=sys.stderr, flush=True)
