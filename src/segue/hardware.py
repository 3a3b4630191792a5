"""What the hardware does well: 16-bit products, channels last, memory that is kept. None of it changes a method."""

import ctypes
import sys
from typing import Literal, TypeVar

import torch
from torch import nn

Precision = Literal["auto", "bf16", "no"]
Net = TypeVar("Net", bound=nn.Module)


def resolve(precision: Precision) -> Literal["bf16", "no"]:
    """`auto` is bf16 where the hardware multiplies it natively, else float32."""
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "no"


def channels_last(net: Net, dims: int) -> Net:
    """`net` with its weights laid out as 2-D convolutions like them best (three dimensions gain nothing)."""
    return net.to(memory_format=torch.channels_last) if dims == 2 else net  # type: ignore[call-overload]


def keep_memory() -> None:
    """Have the C library keep freed memory: activations of megabytes come and go each step, and fetching them anew from
    the kernel, page by page, is a good part of a training step on the CPU. Elsewhere than on glibc nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h
        mallopt(mmap_threshold, 1 << 30)
        mallopt(trim_threshold, (1 << 31) - 1)
        mallopt(top_pad, 1 << 28)
