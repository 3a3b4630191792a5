"""Fully sharded training (FSDP2): each process keeps a part of the weights, gradients, average and optimiser.

torch's `fully_shard` is called directly, since Accelerate's plug-in refuses CPUs, where it works as well and is tested.
The network is one unit: a step gathers its weights whole, so memory is saved in what stays between steps. What measures
or guides is frozen, and kept whole. Checkpoints hold whole tensors: they resume on any number of processes, sharded or
not.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from segue import processes


def sharded(objective: nn.Module, device: torch.device) -> nn.Module:
    """A copy of `objective` on `device`, its trainable parameters sharded over all processes."""
    from torch.distributed.device_mesh import init_device_mesh  # takes seconds to import, and few need it
    from torch.distributed.fsdp import fully_shard

    made = copy.deepcopy(objective).to(device)
    frozen = {p for p in made.parameters() if not p.requires_grad}
    mesh = init_device_mesh(device.type, (processes.world(),))
    fully_shard(made, mesh=mesh, ignored_params=frozen)
    return made


def whole(content: Any) -> Any:
    """A tree of dictionaries and lists, every sharded tensor in it gathered; all processes call it together."""
    if is_sharded(content):
        return content.full_tensor()
    if isinstance(content, dict):
        return {key: whole(value) for key, value in content.items()}
    return [whole(value) for value in content] if isinstance(content, list) else content


def as_held(tensor: Tensor, like: Any) -> Tensor:
    """A whole `tensor` as this process holds `like`: its shard of it, or all."""
    if not is_sharded(like):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def is_sharded(content: Any) -> bool:
    return isinstance(content, Tensor) and hasattr(content, "full_tensor")
