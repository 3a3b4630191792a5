"""Settings for speed: bfloat16, the channels-last layout, memory that is not returned. No method depends on them."""

import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Literal, TypeVar

import torch
from torch import nn

from segue.errors import InputError

Precision = Literal["auto", "bf16", "no"]
FEW_PIXELS = 1 << 14
"""Up to so many pixels at once, a layer is done before a second thread has started."""
HELPER: ContextVar[Executor | None] = ContextVar("HELPER", default=None)
_Net = TypeVar("_Net", bound=nn.Module)
_Found = TypeVar("_Found")


def usable_device(device: str | torch.device | None) -> torch.device:
    """A device that can be used here; of None, a CUDA GPU where there is one, and else the CPU.

    Raises:
        InputError: PyTorch does not know it, or this machine has none.

    >>> usable_device("cpu")
    device(type='cpu')
    >>> usable_device("gpu")
    Traceback (most recent call last):
    segue.errors.InputError: device 'gpu': PyTorch knows no such device; give "cpu", "cuda" or "cuda:0"
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise InputError(
            f"device {str(device)!r}: PyTorch knows no such device; give \"cpu\", \"cuda\" or \"cuda:0\""
        ) from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {str(device)!r}: PyTorch sees no CUDA GPU on this machine; give device=\"cpu\"")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {str(device)!r}: this machine has {torch.cuda.device_count()} CUDA GPUs, from cuda:0")
    try:
        torch.empty(1, device=found)
    except Exception:  # of as many types as there are kinds of devices
        raise InputError(f"device {str(device)!r}: PyTorch cannot use it here; give device=\"cpu\"") from None
    return found


def take_card(number: int) -> None:
    """Of several CUDA GPUs let "cuda" mean the one at `number`, modulo their count; nothing where there is none."""
    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())


def resolve_precision(precision: Precision) -> Literal["bf16", "no"]:
    """`auto` becomes bf16 where the hardware multiplies bfloat16 natively, otherwise `no` (float32)."""
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "no"


def channels_last(net: _Net, dims: int) -> _Net:
    """`net` with its weights in the layout that makes 2-D convolutions fastest; 3-D networks stay as they are."""
    return net.to(memory_format=torch.channels_last) if dims == 2 else net  # type: ignore[call-overload]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads of torch, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_for(pixels: int) -> AbstractContextManager[None]:
    """One thread of torch for work on up to `FEW_PIXELS` pixels, as many as before for more, and afterwards.

    Threads wait for each other after every layer. With small layers this takes longer than the work, in particular on a
    machine that does other work too.

    >>> before = torch.get_num_threads()
    >>> with threads_for(48 * 144):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    return threads(1) if pixels <= FEW_PIXELS else nullcontext()


def helper() -> Executor:
    """A second thread for `side_by_side`; a thread of torch's own in it would find no core."""
    return ThreadPoolExecutor(1, "helper", torch.set_num_threads, (1,))


@contextmanager
def helped(executor: Executor | None) -> Iterator[None]:
    """In the block, `side_by_side` gives what it can to this thread; None: to nobody."""
    before = HELPER.set(executor)
    try:
        yield
    finally:
        HELPER.reset(before)


def side_by_side(works: Sequence[Callable[[], _Found]]) -> list[_Found]:
    """The results of several works, which change nothing: one after the other, or shared with a helper (`helped`).

    The helper begins with the second work, this thread with the first and then with the last.

    >>> with helper() as second, helped(second):
    ...     side_by_side([lambda: 1, lambda: 2, lambda: 3])
    [1, 2, 3]
    """
    if (executor := HELPER.get()) is None or not works:
        return [work() for work in works]
    inference, (first, *more) = torch.is_inference_mode_enabled(), works

    def away(work: Callable[[], _Found]) -> _Found:
        with torch.inference_mode(inference):
            return work()

    asked = [executor.submit(away, work) for work in more]
    found = [first()]
    last = [work() if one.cancel() else one.result() for work, one in zip(more[::-1], asked[::-1], strict=True)]
    return found + last[::-1]


def keep_memory() -> None:
    """Tell the C library (glibc) not to return freed memory to the system; other libraries are left alone.

    Each training step allocates and frees megabytes of activations. To get them from the kernel page by page takes a
    large part of the step on a CPU.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h
        mallopt(mmap_threshold, 1 << 30)
        mallopt(trim_threshold, (1 << 31) - 1)
        mallopt(top_pad, 1 << 28)
