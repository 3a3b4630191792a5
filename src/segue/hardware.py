"""Settings for speed: bfloat16, the channels-last layout, memory that is not returned. No method depends on them."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, TypeVar

import torch
from torch import nn

from segue.errors import InputError

Precision = Literal["auto", "bf16", "no"]
FEW_PIXELS = 1 << 14
"""Up to so many pixels at once, a layer is done before a second thread has started."""
_Net = TypeVar("_Net", bound=nn.Module)


def usable_device(device: str | torch.device) -> torch.device:
    """A device that can be used here.

    Raises:
        InputError: PyTorch does not know it, or this machine has none.

    >>> usable_device("cpu")
    device(type='cpu')
    >>> usable_device("gpu")
    Traceback (most recent call last):
    segue.errors.InputError: device 'gpu': PyTorch knows no such device; give "cpu", "cuda" or "cuda:0"
    """
    try:
        found = torch.device(device)
    except RuntimeError:
        raise InputError(
            f"device {str(device)!r}: PyTorch knows no such device; give \"cpu\", \"cuda\" or \"cuda:0\""
        ) from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {str(device)!r}: PyTorch sees no CUDA GPU on this machine; give device=\"cpu\"")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {str(device)!r}: this machine has {torch.cuda.device_count()} CUDA GPUs, from cuda:0")
    return found


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
