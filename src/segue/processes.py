"""The processes of one training, each with its rows of a batch, draw and average as one that holds the whole would.

Within `sharing(total)` the first axis of every tensor is this process's share of a batch of `total` rows: `rand` and
`randn` draw the numbers of the whole batch and keep the rows that are here, `gather` and `mean` see all of it. Outside,
or in one process, they are what torch calls by the same names. The loss of each process, times its `share`, has a
gradient whose average over processes (DDP, FSDP) is the gradient of the whole batch, equal shares or not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor

_total: int | None = None  # rows of the batch in work; a batch passes through layers that know nothing of processes


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is; 0 writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_main() -> bool:
    return rank() == 0


def rows(total: int, rank: int, world: int) -> slice:
    """The rows of a batch of `total` that a process holds: slices in order, whose sizes differ by one at most."""
    return slice(rank * total // world, (rank + 1) * total // world)


def share(total: int) -> float:
    """The weight of this process's mean in that of the whole batch, times the number of processes: 1 where all hold
    the same number of rows."""
    mine = rows(total, rank(), world())
    return (mine.stop - mine.start) * world() / total


@contextmanager
def sharing(total: int) -> Iterator[None]:
    """Within, tensors are this process's rows of a batch of `total`."""
    global _total
    _total = total
    try:
        yield
    finally:
        _total = None


def shared() -> bool:
    """Whether there is more of the batch than what is here."""
    return _total is not None and world() > 1


# ---- draw --------------------------------------------------------------------------------------------------------


def rand(*shape: int, device: torch.device | None = None) -> Tensor:
    """Uniform on [0, 1), of `shape` (rows here, ...)."""
    return draw(torch.rand, shape, device)


def randn(*shape: int, device: torch.device | None = None) -> Tensor:
    """Standard normal, of `shape` (rows here, ...)."""
    return draw(torch.randn, shape, device)


def draw(sampler: Callable[..., Tensor], shape: tuple[int, ...], device: torch.device | None) -> Tensor:
    """This process's rows of what `sampler` draws for the whole batch."""
    if not shared():
        return sampler(*shape, device=device)
    assert _total is not None
    return mine(sampler(_total, *shape[1:], device=device))


def mine(whole: Shaped[Tensor, "total *rest"]) -> Shaped[Tensor, "rows *rest"]:
    """The rows of the whole batch that are this process's."""
    return whole[rows(len(whole), rank(), world())] if shared() else whole


# ---- combine -----------------------------------------------------------------------------------------------------


def gather(x: Float[Tensor, "rows *rest"]) -> Float[Tensor, "total *rest"]:
    """The whole batch, of which `x` is what this process holds; without gradient."""
    if not shared():
        return x
    assert _total is not None
    whole = x.new_zeros(_total, *x.shape[1:])
    mine(whole).copy_(x.detach())
    dist.all_reduce(whole)
    return whole


def mean(x: Float[Tensor, "rows *rest"]) -> Float[Tensor, "*rest"]:
    """The mean over the whole batch, for what is not linear in it.

    The gradient is that of the rows here, which are all that this process can differentiate: a function of the mean has
    its whole gradient once the processes' gradients are averaged.
    """
    local = x.mean(0)
    if not shared():
        return local
    assert _total is not None
    whole = x.detach().sum(0) / _total
    dist.all_reduce(whole)
    return local + (whole - local.detach())


def averaged(terms: dict[str, Tensor], total: int) -> dict[str, float]:
    """Numbers to log: each process's mean over its rows of a batch of `total`, averaged over the batch."""
    values = torch.stack([term.detach().float() for term in terms.values()])
    if world() > 1:
        values = values * (share(total) / world())
        dist.all_reduce(values)
    return dict(zip(terms, values.tolist(), strict=True))


def of_main(value: Tensor) -> Tensor:
    """The main process's `value`, so that all decide alike."""
    if world() > 1:
        value = value.clone()
        dist.broadcast(value, src=0)
    return value
