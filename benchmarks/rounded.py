"""bfloat16 where the hardware has none: slowly, but with the numbers that it would have.

A processor that multiplies bfloat16 natively multiplies rounded factors exactly, sums in float32 and rounds the
sum. Where it cannot, the library's own replacement is up to a hundred times as slow as float32. Here each product of
bfloat16 tensors, forward and backward, is made in float32 of the same rounded factors, and rounded: equal but for the
order of the sums. It tells what bfloat16 does to results, nothing of its speed.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from segue.hardware import resolve_precision

ATEN = torch.ops.aten
PRODUCTS = {
    *(ATEN.convolution, ATEN.convolution_backward, ATEN.conv1d, ATEN.conv2d, ATEN.conv3d),
    *(ATEN.mm, ATEN.addmm, ATEN.bmm, ATEN.baddbmm, ATEN.linear, ATEN.matmul),
}


class Rounded(TorchDispatchMode):
    """Within it, products of bfloat16 tensors are made in float32 and rounded; everything else is as it was."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func.overloadpacket not in PRODUCTS or not any(is_bfloat16(one) for one in args):
            return func(*args, **kwargs)
        lifted = tree_map_only(Tensor, lambda one: one.float() if is_bfloat16(one) else one, (args, kwargs))
        return tree_map_only(Tensor, lambda one: one.bfloat16(), func(*lifted[0], **lifted[1]))


def is_bfloat16(value: object) -> bool:
    return isinstance(value, Tensor) and value.dtype is torch.bfloat16


def native() -> bool:
    """Whether the hardware multiplies bfloat16 itself."""
    return resolve_precision("auto") == "bf16"


def products() -> AbstractContextManager[object]:
    """bfloat16 products by the hardware where it has them, else as it would make them."""
    return nullcontext() if native() else Rounded()
