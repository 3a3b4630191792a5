"""The plain implementation and the shipped one. What distinguishes them is here; every benchmark takes it from here."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from segue.hardware import Precision, channels_last, keep_memory, resolve_precision
from segue.training.batches import Batch
from segue.training.checkpointing import checkpointed
from segue.training.loop import make_accelerator
from segue.training.state import State

Name = Literal["plain", "shipped", "shipped, float32"]
Step = Callable[[Batch], None]
WEIGHT_DECAY, EMA, PROGRESS = 0.01, 0.999, 0.5  # as `fit` has them, half-way through a training


@dataclass(frozen=True)
class Setting:
    """One way of computing the same thing.

    Attributes:
        precision: of the image model's training; answers are in float32.
        layout: memory format of a trained network's weights.
        step: (objective, learning rate, clip) to one whole optimiser step: forward, backward, clip, update, EMA.
        process: done once in the process that works.
    """

    precision: Literal["bf16", "no"]
    layout: torch.memory_format
    step: Callable[[nn.Module, float, float], Step]
    process: Callable[[], None]

    def dtype(self, *, training: bool) -> torch.dtype:
        """What most multiplications are in: that type's matrix-multiply rate is the yardstick."""
        return torch.bfloat16 if training and self.precision == "bf16" else torch.float32


def plain_step(objective: nn.Module, lr: float, clip: float, *, bf16: bool = False, fused: bool = False) -> Step:
    """Eager float32, contiguous; clip, optimiser and EMA go through the parameters one by one.

    Args:
        bf16: products in bfloat16.
        fused: clip, optimiser and EMA are one call each, and the host does not wait for the norm of the gradient.
    """
    parameters: list[Tensor] = [p for p in objective.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=lr, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.95), foreach=False, fused=fused
    )
    mean = [p.detach().clone() for p in parameters]

    def step(batch: Batch) -> None:
        with torch.autocast(batch["image"].device.type, torch.bfloat16, enabled=bf16):
            loss, _ = objective(batch, PROGRESS)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, clip, foreach=fused)
        if fused:
            optimiser.step()
            torch._foreach_lerp_(mean, [p.detach() for p in parameters], 1 - EMA)
        elif math.isfinite(float(norm)):
            optimiser.step()
            for average, parameter in zip(mean, parameters, strict=True):
                average.lerp_(parameter.detach(), 1 - EMA)
        optimiser.zero_grad(set_to_none=True)

    return step


def shipped_step(
    objective: nn.Module, lr: float, clip: float, precision: Precision = "auto", *, dims: int = 2, saves: bool = False
) -> Step:
    """The body of `segue.training.loop.fit`, on an objective laid out as `segue.pipeline.common.trained` does.

    Args:
        saves: with gradient checkpointing.
    """
    accelerator = make_accelerator(precision)
    channels_last(objective, dims)
    state = State.start(objective, accelerator.device, lr=lr, weight_decay=WEIGHT_DECAY)
    wrapped, optimiser = state.prepared(accelerator)

    def step(batch: Batch) -> None:
        with checkpointed(objective, saves):
            with accelerator.autocast():
                loss, _ = wrapped(batch, PROGRESS)
            accelerator.backward(loss)
        norm = torch.as_tensor(accelerator.clip_grad_norm_(state.parameters, clip))
        if math.isfinite(float(norm)):
            optimiser.step()
            state.average(EMA, step=10**6)
        optimiser.zero_grad(set_to_none=True)

    return step


SETTINGS: dict[Name, Setting] = {
    "plain": Setting("no", torch.contiguous_format, plain_step, lambda: None),
    "shipped": Setting(resolve_precision("auto"), torch.channels_last, shipped_step, keep_memory),
    "shipped, float32": Setting("no", torch.channels_last, partial(shipped_step, precision="no"), keep_memory),
}
