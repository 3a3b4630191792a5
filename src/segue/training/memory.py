"""How much memory a training takes, before it starts: what a step keeps for its gradient is counted on two images."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from segue.hardware import Precision, resolve_precision
from segue.training.batches import Batch
from segue.training.checkpointing import blocks_of, checkpointed

__all__ = ["machine_bytes", "training_bytes"]

COUNTED = 2  # images; a permutation of the batch needs two
COPIES = 5  # of each weight that is trained: itself, its gradient, two moments of Adam, the moving average
TRANSIENT = 2.0  # what a step takes beside what it keeps: work space, and gradients on their way (benchmarks/growth.py)


def training_bytes(
    objective: nn.Module, batch: Batch, images: int, precision: Precision, *, gradient_checkpointing: bool = False
) -> int:
    """Bytes that steps of `images` images take: what autograd keeps, and the weights with all their copies.

    One forward pass of two images is done. The objective, its buffers and torch's random numbers stay as they are.

    Args:
        objective: (batch, progress) to (loss, terms). batch: two images at least.
        gradient_checkpointing: of the steps (`segue.training.checkpointing`). Then a second pass is done.

    >>> class Squared(nn.Linear):
    ...     def forward(self, batch, progress):
    ...         return super().forward(batch["image"]).square().mean(), {}
    >>> few = training_bytes(Squared(1000, 1), {"image": torch.ones(2, 1000)}, images=2, precision="no")
    >>> many = training_bytes(Squared(1000, 1), {"image": torch.ones(2, 1000)}, images=1002, precision="no")
    >>> round((many - few) / 1000 / 2)  # an image has 1,000 values of 4 bytes, and one more that is squared
    4004
    """
    few = {name: one[:COUNTED].clone() for name, one in batch.items()}
    half = resolve_precision(precision) == "bf16"
    with undisturbed(objective):
        inside = max(kept_inside(objective, few, half), default=0) if gradient_checkpointing else 0
        with checkpointed(objective, gradient_checkpointing):
            total = kept(objective, few, half)[-1] + inside
    state = sum(one.nbytes * (COPIES if one.requires_grad else 1) for one in objective.parameters())
    return round(TRANSIENT * total * images / COUNTED) + state


def kept_inside(objective: nn.Module, batch: Batch, half: bool) -> list[int]:
    """Bytes that each call of a block keeps, without checkpointing: computed again, the largest is there once more."""
    found, calls, marks, hooks = [0], list[int](), list[int](), list[RemovableHandle]()
    for block in blocks_of(objective):
        hooks.append(block.register_forward_pre_hook(lambda *_: marks.append(found[-1])))
        hooks.append(block.register_forward_hook(lambda *_: calls.append(found[-1] - marks.pop())))
    try:
        kept(objective, batch, half, found)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def kept(objective: nn.Module, batch: Batch, half: bool, found: list[int] | None = None) -> list[int]:
    """Bytes that autograd has kept, after each tensor: the last is all of them. They are appended to `found`."""
    found = [0] if found is None else found
    seen = {one.untyped_storage().data_ptr() for one in (*objective.parameters(), *objective.buffers())}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            found.append(found[-1] + storage.nbytes())
        return tensor

    kind = next(iter(batch.values())).device.type
    counted = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with torch.autocast(kind, torch.bfloat16, enabled=half), counted:
        loss, _ = objective(batch, 0.0)  # which holds what it kept, so no storage is counted twice
    del loss
    return found


@contextmanager
def undisturbed(objective: nn.Module) -> Iterator[None]:
    """Nothing that is done inside has an effect: on modes, on buffers, on random numbers."""
    modes = {module: module.training for module in objective.modules()}
    buffers: Mapping[str, Tensor] = {name: one.clone() for name, one in objective.named_buffers()}
    objective.eval()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        with torch.no_grad():
            for name, one in objective.named_buffers():
                one.copy_(buffers[name])


def machine_bytes(device: torch.device) -> int | None:
    """The memory of the accelerator, or of the machine; None where the system does not say.

    >>> machine_bytes(torch.device("cpu")) is None or machine_bytes(torch.device("cpu")) > 2**28
    True
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # no such entry, no such function
        return None
