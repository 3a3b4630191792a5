"""Networks without Python between their layers: the same bits in less time, and two of them at the same time.

On small images a third of a network's time on a CPU is Python's, and while Python works for one network, no other can
start a layer. A trace (TorchScript) holds the layers alone. torch calls `torch.jit` deprecated. Its successors compile
(`torch.compile`: a C++ compiler, and seconds) or still run Python layer by layer (`torch.export`). Without it, or where
its answers differ, a network stays as it is.
"""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Traced", "traceable"]

PROBES = 3
"""Answers to drawn values that a trace has to give to the bit; the third is the first of its optimised form."""
TRACING = threading.Lock()
"""One trace at a time: Python's filters of warnings are the process's, and two threads would undo each other's."""


class Step(nn.Module):
    """A method of a network as a module, which is what can be traced."""

    def __init__(self, net: nn.Module, work: Callable[..., Any]) -> None:
        super().__init__()
        self.net, self.work = net, work

    def forward(self, *given: Any) -> Any:
        return self.work(*given)


class Traced:
    """A network's method, traced for arguments of the sizes that it gets first in inference, and not before `trace`.

    Arguments of other sizes, and training, go to the method itself. No values of the arguments are kept.

    >>> net = nn.Conv2d(1, 2, 3).eval()
    >>> work, image = Traced(net, net.forward), torch.zeros(1, 1, 4, 4)
    >>> with torch.inference_mode():
    ...     eager = work(image)
    ...     work.trace()
    ...     work.fast, torch.equal(work(image), eager)
    (True, True)
    """

    def __init__(self, net: nn.Module, work: Callable[..., Any]) -> None:
        self.net, self.work = net, work
        self.like: tuple[Any, ...] = ()
        self.quick: Callable[..., Any] | None = None
        self.tried = False

    @property
    def waits(self) -> bool:
        """Whether it was called and could be traced."""
        return bool(self.like) and not self.tried

    @property
    def fast(self) -> bool:
        """Whether it is traced."""
        return self.quick is not None

    def __call__(self, *given: Any) -> Any:
        if not torch.is_inference_mode_enabled() or torch.jit.is_tracing():
            return self.work(*given)
        if not self.like:
            self.like = random_like(given, seed=0)
        if self.quick is not None and signature(given) == signature(self.like):
            return self.quick(*given)
        return self.work(*given)

    @torch.inference_mode()
    def trace(self) -> None:
        """Trace it, if it waits for that; the trace is taken if it answers as the method does, to the bit."""
        with TRACING:
            if not self.waits:
                return
            self.tried = True
            with silenced():
                made = torch.jit.trace(Step(self.net, self.work), self.like, check_trace=False)
            probes = (random_like(self.like, seed=i) for i in range(PROBES))
            if all(equal(made(*probe), self.work(*probe)) for probe in probes):
                self.quick = made


def traceable(net: nn.Module, name: str) -> Traced:
    """The method `name` of a network, in whose place this stands from now on.

    >>> net = nn.Conv2d(1, 2, 3).eval()
    >>> traceable(net, "forward") is traceable(net, "forward")
    True
    """
    found = getattr(net, name)
    if not isinstance(found, Traced):
        found = Traced(net, found)
        setattr(net, name, found)
    return found


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors of a tensor, or of lists and tuples of them, in order."""
    if isinstance(value, Tensor):
        yield value
    else:
        for one in value:
            yield from tensors_in(one)


def signature(given: Sequence[Any]) -> list[Any]:
    """What a trace holds for: sizes, type and device of each tensor."""
    return [(one.shape, one.dtype, one.device) for one in tensors_in(given)]


def random_like(like: Any, *, seed: int) -> Any:
    """Standard normal numbers, as many and in the same layout."""
    random = torch.Generator().manual_seed(seed)

    def of(one: Any) -> Any:
        if isinstance(one, Tensor):
            return torch.empty_like(one, device="cpu").normal_(generator=random).to(one.device)
        return type(one)(of(each) for each in one)

    return of(like)


def equal(one: Any, other: Any) -> bool:
    """Whether two answers are the same, to the bit."""
    return all(torch.equal(*pair) for pair in zip(tensors_in(one), tensors_in(other), strict=True))


@contextmanager
def silenced() -> Iterator[None]:
    """Without the warnings of a trace: what it takes for constant is constant for one shape."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
        yield
