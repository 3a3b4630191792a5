"""One training loop for every network: Accelerate, warm-up and cosine, clipping, skipping, EMA, exact resumption."""

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from segue.errors import TrainingDiverged
from segue.training.batches import Batches
from segue.training.progress import track

Precision = Literal["auto", "bf16", "no"]
Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Fitted:
    """What a training run leaves behind, besides its weights."""

    terms: dict[str, float]  # each logged term, averaged over the last tenth of the steps
    skipped: int
    seconds: float


def fit(
    objective: nn.Module,
    batches: Batches,
    *,
    directory: Path,
    steps: int,
    lr: float,
    title: str,
    seed: int = 0,
    warmup: int = 50,
    weight_decay: float = 0.01,
    clip: float = 1.0,
    skip: float = math.inf,
    patience: int = 50,
    ema: float = 0.999,
    precision: Precision = "auto",
    checkpoint_every: int = 100,
) -> Fitted:
    """Minimise `objective(batch, progress) -> (loss, terms)` over its trainable parameters; leave the EMA in them.

    A step whose gradient norm is not finite, or above `skip`, changes no weight and is counted; `patience` of them
    in a row raise TrainingDiverged naming the worst term. Each step reseeds torch by (seed, step), and the state
    (weights, EMA, optimiser, objective buffers) is written every `checkpoint_every` steps under a temporary name, so
    that a run killed at any moment and started again ends where it would have.
    """
    accelerator = Accelerator(mixed_precision=resolve(precision))
    objective.to(accelerator.device)
    state = State.start(objective, lr=lr, weight_decay=weight_decay)
    checkpoint = directory / "checkpoint.pt"
    first = state.restore(checkpoint)
    wrapped, optimiser = accelerator.prepare(objective, state.optimiser)
    writer = SummaryWriter(str(directory / "logs"), purge_step=first) if accelerator.is_main_process else None
    started, in_a_row = time.perf_counter(), 0
    for step in track(range(first, steps), total=steps, title=title, describe=lambda: state.line()):
        torch.manual_seed(hash((seed, step)) % 2**63)
        batch = {k: v.to(accelerator.device, non_blocking=True) for k, v in batches.at(step).items()}
        rate = lr * schedule(step, steps=steps, warmup=warmup)
        for group in optimiser.param_groups:
            group["lr"] = rate
        with accelerator.autocast():
            loss, terms = wrapped(batch, step / steps)
        accelerator.backward(loss)
        norm = torch.as_tensor(accelerator.clip_grad_norm_(state.parameters, clip))
        if math.isfinite(value := float(norm)) and value <= skip:
            optimiser.step()
            state.average(ema, step)
            in_a_row = 0
        else:
            state.skipped, in_a_row = state.skipped + 1, in_a_row + 1
            stop_if_diverged(in_a_row, patience, terms, value)
        optimiser.zero_grad(set_to_none=True)
        state.record({"loss": loss, "grad_norm": norm, **terms}, step, steps, writer)
        if accelerator.is_main_process and (step + 1) % checkpoint_every == 0 and step + 1 < steps:
            state.save(checkpoint, step + 1, time.perf_counter() - started)
    state.use_average()
    if writer:
        writer.close()
    seconds = state.seconds + time.perf_counter() - started
    return Fitted(terms=state.tail_means(), skipped=state.skipped, seconds=seconds)


def schedule(step: int, *, steps: int, warmup: int) -> float:
    """Linear warm-up, then cosine decay to zero: the share of the learning rate at `step`."""
    warmup = min(warmup, max(1, steps // 10))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def resolve(precision: Precision) -> Literal["bf16", "no"]:
    """`auto` is bf16 where the hardware multiplies it natively, else float32."""
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "no"


def stop_if_diverged(in_a_row: int, patience: int, terms: Terms, norm: float) -> None:
    if in_a_row < patience:
        return
    size = {name: abs(float(term.detach())) for name, term in terms.items()}
    worst = max(size, key=lambda name: size[name] if math.isfinite(size[name]) else math.inf)
    raise TrainingDiverged(
        f"{in_a_row} steps in a row skipped (gradient norm {norm:.3g}); the largest term is "
        f"{worst} = {float(terms[worst].detach()):.3g}: lower lr, or raise skip"
    )


class State:
    """All that a resumed run needs: weights, their average, the optimiser, and what was logged."""

    def __init__(self, objective: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self.objective, self.optimiser = objective, optimiser
        self.parameters: list[Tensor] = [p for p in objective.parameters() if p.requires_grad]
        self.mean = [p.detach().clone() for p in self.parameters]
        self.skipped, self.seconds = 0, 0.0
        self.recent: dict[str, float] = {}
        self.tail: dict[str, list[float]] = {}

    @classmethod
    def start(cls, objective: nn.Module, *, lr: float, weight_decay: float) -> "State":
        trained = [p for p in objective.parameters() if p.requires_grad]
        return cls(objective, torch.optim.AdamW(trained, lr=lr, weight_decay=weight_decay, betas=(0.9, 0.95)))

    def average(self, decay: float, step: int) -> None:
        """Exponential moving average, its memory growing with the first steps."""
        weight = 1 - min(decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.mean, [p.detach() for p in self.parameters], weight)

    def use_average(self) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.mean)

    def record(self, terms: Terms, step: int, steps: int, writer: SummaryWriter | None) -> None:
        """Keep running values for the progress line and the tail's means; write every tenth step to TensorBoard."""
        tail = step >= min(0.9 * steps, steps - 1)
        if step % 10 and not tail:
            return
        for name, value in terms.items():
            number = float(value.detach())
            old = self.recent.get(name, number)
            self.recent[name] = 0.8 * old + 0.2 * number if math.isfinite(number) else old
            if tail:
                self.tail.setdefault(name, []).append(number)
            if writer:
                writer.add_scalar(name, number, step)

    def line(self) -> str:
        shown = [f"{name} {value:.3g}" for name, value in self.recent.items() if "/" not in name]
        return "  ".join(shown + ([f"skipped {self.skipped}"] if self.skipped else []))

    def tail_means(self) -> dict[str, float]:
        return {name: sum(values) / len(values) for name, values in self.tail.items()}

    def save(self, path: Path, step: int, seconds: float) -> None:
        content = {
            "step": step,
            "objective": self.objective.state_dict(),
            "mean": self.mean,
            "optimiser": self.optimiser.state_dict(),
            "skipped": self.skipped,
            "seconds": self.seconds + seconds,
            "recent": self.recent,
            "tail": self.tail,
        }
        temporary = path.with_suffix(".tmp")
        torch.save(content, temporary)
        os.replace(temporary, path)

    def restore(self, path: Path) -> int:
        """Take the state up where `path` left it; the step to go on from (0 where there is none)."""
        if not path.exists():
            return 0
        content = torch.load(path, weights_only=True, map_location="cpu")
        self.objective.load_state_dict(content["objective"])
        with torch.no_grad():
            torch._foreach_copy_(self.mean, content["mean"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.skipped, self.seconds = content["skipped"], content["seconds"]
        self.recent, self.tail = content["recent"], content["tail"]
        return content["step"]
