"""The plain implementation and the shipped one. What distinguishes them is here; every benchmark takes it from here."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from segue.training.batches import Batch
from segue.training.loop import State, make_accelerator, resolve

Name = Literal["plain", "shipped"]
Step = Callable[[Batch], None]
WEIGHT_DECAY, EMA, PROGRESS = 0.01, 0.999, 0.5  # as `fit` has them, half-way through a training


@dataclass(frozen=True)
class Setting:
    """One way of computing the same thing.

    Attributes:
        step: (objective, learning rate, clip) to one whole optimiser step: forward, backward, clip, update, EMA.
        infer: the context in which a trained network answers.
        layout: the memory format of the networks' weights.
        trains_in, infers_in: what most multiplications are in; that type's matrix-multiply rate is the yardstick.
    """

    step: Callable[[nn.Module, float, float], Step]
    infer: Callable[[], AbstractContextManager[object]]
    layout: torch.memory_format
    trains_in: torch.dtype
    infers_in: torch.dtype


def plain_step(objective: nn.Module, lr: float, clip: float) -> Step:
    """Eager float32, contiguous; clip, optimiser and EMA go through the parameters one by one."""
    parameters: list[Tensor] = [p for p in objective.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=lr, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.95), foreach=False, fused=False
    )
    mean = [p.detach().clone() for p in parameters]

    def step(batch: Batch) -> None:
        loss, _ = objective(batch, PROGRESS)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, clip, foreach=False)
        if math.isfinite(float(norm)):
            optimiser.step()
            for average, parameter in zip(mean, parameters, strict=True):
                average.lerp_(parameter.detach(), 1 - EMA)
        optimiser.zero_grad(set_to_none=True)

    return step


def shipped_step(objective: nn.Module, lr: float, clip: float) -> Step:
    """The body of `segue.training.loop.fit`, on an objective laid out as `segue.stages.common.trained` does."""
    accelerator = make_accelerator("auto")
    objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = State.start(objective, accelerator.device, lr=lr, weight_decay=WEIGHT_DECAY)
    wrapped, optimiser = state.prepared(accelerator)

    def step(batch: Batch) -> None:
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
    "plain": Setting(
        step=plain_step,
        infer=nullcontext,
        layout=torch.contiguous_format,
        trains_in=torch.float32,
        infers_in=torch.float32,
    ),
    "shipped": Setting(
        step=shipped_step,
        infer=nullcontext,  # outside training all is float32 and contiguous, as `segue.load` gives it
        layout=torch.contiguous_format,
        trains_in=torch.bfloat16 if resolve("auto") == "bf16" else torch.float32,
        infers_in=torch.float32,
    ),
}
