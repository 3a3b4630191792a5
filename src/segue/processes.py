"""Several processes that train together as one process with the whole batch would.

`torchrun` or `accelerate launch` starts the processes. Within `joined()` they form one group; only the main process
(rank 0) writes files, and `alone` gives it work for which the others wait.

Within `sharing(total)` the first axis of every tensor holds this process's rows of a batch of `total` rows. `rand` and
`randn` draw the numbers of the whole batch and return the rows of this process; `gather` and `mean` see the whole
batch. Outside of it, or in a single process, they are the functions of torch with the same names. Each process
multiplies its loss by `share`; the average of the gradients over processes (DDP) is then the gradient of the whole
batch, also where the processes hold different numbers of rows.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor

from segue.errors import exit_code

_Result = TypeVar("_Result")
LONGEST_WORK = timedelta(days=7)  # of the main process, for `alone`

_waiting: "dist.ProcessGroup | None" = None  # on the CPU, with the time-out LONGEST_WORK
_total: int | None = None  # rows of the current batch: layers use it that know nothing of processes


@contextmanager
def joined(*, timeout: timedelta = timedelta(minutes=10)) -> Iterator[None]:
    """Join the processes that torchrun started; without torchrun this does nothing.

    Args:
        timeout: how long a process waits for the others in a training step, and at the start. Then torch raises its
            error. If a process dies, torchrun ends the others at once. Work in `alone` may take up to a week.
    """
    global _waiting
    if "RANK" not in os.environ:
        yield
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if cuda else "gloo", timeout=timeout)
    _waiting = dist.new_group(backend="gloo", timeout=LONGEST_WORK)
    yield
    dist.destroy_process_group()  # not after an error: it can block, and the process ends anyway
    _waiting = None


def alone(work: Callable[[], _Result]) -> _Result:
    """The result of `work`, which only the main process does while the others wait for the result.

    If it fails, the main process raises its error, and the others exit silently with the same exit code.

    Args:
        work: its result is sent by pickle.

    >>> alone(lambda: {"found": [1, 2]})
    {'found': [1, 2]}
    """
    if world() == 1:
        return work()
    if not is_main():
        return received()
    try:
        result = work()
    except Exception as error:
        dist.broadcast_object_list([None, exit_code(error)], group=_waiting)
        raise
    dist.broadcast_object_list([result, 0], group=_waiting)
    return result


def received() -> Any:
    """What the main process sends from `alone`."""
    message: list[Any] = [None, 0]
    try:
        dist.broadcast_object_list(message, group=_waiting)
    except RuntimeError:  # the main process has ended, and has printed why
        raise SystemExit(1) from None
    result, code = message
    if code:
        raise SystemExit(code)
    return result


def world() -> int:
    """The number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_main() -> bool:
    """Whether this is the process that writes files."""
    return rank() == 0


def rows(total: int, rank: int, world: int) -> slice:
    """The rows of a batch of `total` that a process holds: slices in order, whose sizes differ by one at most.

    >>> [rows(7, rank, 3) for rank in range(3)]
    [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
    """
    return slice(rank * total // world, (rank + 1) * total // world)


def share(total: int) -> float:
    """The factor of this process's loss: its share of the rows, times the number of processes.

    It is 1 where all processes hold the same number of rows.
    """
    here = rows(total, rank(), world())
    return (here.stop - here.start) * world() / total


@contextmanager
def sharing(total: int) -> Iterator[None]:
    """Within, tensors hold this process's rows of a batch of `total`."""
    global _total
    _total = total
    try:
        yield
    finally:
        _total = None


def shared() -> bool:
    """Whether other processes hold rows of the current batch."""
    return _total is not None and world() > 1


# ---- random numbers -------------------------------------------------------------------------------------------------


def rand(*shape: int, device: torch.device | None = None) -> Tensor:
    """Uniform on [0, 1), of `shape` (rows of this process, ...)."""
    return draw_rows(torch.rand, shape, device)


def randn(*shape: int, device: torch.device | None = None) -> Tensor:
    """Standard normal, of `shape` (rows of this process, ...)."""
    return draw_rows(torch.randn, shape, device)


def draw_rows(sampler: Callable[..., Tensor], shape: tuple[int, ...], device: torch.device | None) -> Tensor:
    """This process's rows of what `sampler` draws for the whole batch."""
    if not shared():
        return sampler(*shape, device=device)
    assert _total is not None
    return mine(sampler(_total, *shape[1:], device=device))


def mine(whole: Shaped[Tensor, "total *rest"]) -> Shaped[Tensor, "rows *rest"]:
    """The rows of the whole batch that this process holds."""
    return whole[rows(len(whole), rank(), world())] if shared() else whole


# ---- combine -----------------------------------------------------------------------------------------------------


def gather(x: Float[Tensor, "rows *rest"]) -> Float[Tensor, "total *rest"]:
    """The whole batch, of which this process holds the rows `x`; without gradient."""
    if not shared():
        return x
    assert _total is not None
    whole = x.new_zeros(_total, *x.shape[1:])
    mine(whole).copy_(x.detach())
    dist.all_reduce(whole)
    return whole


def mean(x: Float[Tensor, "rows *rest"]) -> Float[Tensor, "*rest"]:
    """The mean over the whole batch, for objectives that are not linear in this mean.

    Its gradient reaches the rows of this process only. The average over processes is the gradient of the whole batch.
    """
    local = x.mean(0)
    if not shared():
        return local
    assert _total is not None
    whole = x.detach().sum(0) / _total
    dist.all_reduce(whole)
    return local + (whole - local.detach())


def averaged(terms: dict[str, Tensor], total: int) -> dict[str, float]:
    """Numbers to log: `terms` are means over the rows of this process; the result, over the batch of `total` rows."""
    values = torch.stack([term.detach().float() for term in terms.values()])
    if world() > 1:
        values = values * (share(total) / world())
        dist.all_reduce(values)
    return dict(zip(terms, values.tolist(), strict=True))


def of_main(value: Tensor) -> Tensor:
    """The value of the main process, so that all processes take the same decision."""
    if world() > 1:
        value = value.clone()
        dist.broadcast(value, src=0)
    return value
