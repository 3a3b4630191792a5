"""One training loop for every network: Accelerate, warm-up and cosine, clipping, skipping, EMA, exact resumption.

Any number of processes train as one that holds the whole batch (`segue.processes`); the main one writes.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from segue import processes, rendezvous
from segue.errors import InputError, TrainingDiverged
from segue.hardware import Precision, resolve
from segue.progress import track
from segue.training.batches import Batches
from segue.training.sharding import as_held, sharded, whole

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Fitted:
    """What a training run leaves behind, besides its weights."""

    terms: dict[str, float]  # each logged term, averaged over the last tenth of the steps
    skipped: int
    seconds: float
    kept: int | None = None  # the step whose weights were kept, where a held-out loss chose them


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
    held_out: Callable[[], float] | None = None,
    validate_every: int = 0,
) -> Fitted:
    """Minimise `objective(batch, progress) -> (loss, terms)` over its trainable parameters; leave the EMA in them.

    A step whose gradient norm is not finite, or above `skip`, changes no weight and is counted; `patience` of them
    in a row raise TrainingDiverged naming the worst term. Each step reseeds torch by (seed, step), and the state
    (weights, EMA, optimiser, objective buffers) is written every `checkpoint_every` steps under a temporary name, so
    that a run killed at any moment and started again ends where it would have, on any number of processes.

    Args:
        held_out: a loss of the objective's networks as they stand, on data that are not trained on. Every
            `validate_every` steps (0: never) it sees the average, and the average that scored best is left.
    """
    if validate_every and rendezvous.strategy() == "fsdp":
        raise InputError(f"{title}: validate_every needs whole networks: use --strategy ddp, or leave it out")
    accelerator = make_accelerator(precision)
    state = State.start(objective, accelerator.device, lr=lr, weight_decay=weight_decay)
    checkpoint = directory / "checkpoint.pt"
    first = agreed(state.restore(checkpoint), checkpoint, accelerator.device)
    wrapped, optimiser = state.prepared(accelerator)
    main, total = processes.is_main(), batches.batch_size
    writer = SummaryWriter(str(directory / "logs"), purge_step=first) if main else None
    started, left = time.perf_counter(), range(first, steps)
    for step in track(left, total=steps, title=title, describe=state.line) if main else left:
        rendezvous.note(f"step {step} of {title}")
        torch.manual_seed(hash((seed, step)) % 2**63)
        batch = {k: v.to(accelerator.device, non_blocking=True) for k, v in batches.at(step).items()}
        rate = lr * schedule(step, steps=steps, warmup=warmup)
        for group in optimiser.param_groups:
            group["lr"] = rate
        with accelerator.autocast(), processes.sharing(total):
            loss, terms = wrapped(batch, step / steps)
        accelerator.backward(loss * processes.share(total))
        norm = processes.of_main(whole(torch.as_tensor(accelerator.clip_grad_norm_(state.parameters, clip))))
        if math.isfinite(value := float(norm)) and value <= skip:
            optimiser.step()
            state.average(ema, step)
            state.in_a_row = 0
        else:
            state.skipped, state.in_a_row = state.skipped + 1, state.in_a_row + 1
            if state.in_a_row >= patience:
                raise diverged(state.in_a_row, processes.averaged(terms, total), value)
        optimiser.zero_grad(set_to_none=True)
        if logs(step, steps):
            numbers = processes.averaged({"loss": loss, "grad_norm": norm, **terms}, total)
            state.record(numbers, step, steps, writer)
        if held_out and validate_every and ((step + 1) % validate_every == 0 or step + 1 == steps):
            state.look(held_out, step + 1, writer)
        if (step + 1) % checkpoint_every == 0 and step + 1 < steps:
            state.save(checkpoint, step + 1, time.perf_counter() - started)
    state.use_average(objective, state.best or state.mean)
    if writer:
        writer.close()
    seconds = state.seconds + time.perf_counter() - started
    return Fitted(terms=state.tail_means(), skipped=state.skipped, seconds=seconds, kept=state.kept)


def schedule(step: int, *, steps: int, warmup: int) -> float:
    """Linear warm-up, then cosine decay to zero: the share of the learning rate at `step`.

    A short training warms up for as many steps as a long one, if it can: with 12 steps the image model diverged.
    """
    warmup = min(warmup, max(1, steps // 3))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def make_accelerator(precision: Precision) -> Accelerator:
    """Accelerate's device and precision."""
    cpu = processes.world() > 1 and not torch.cuda.is_available()  # or it would take several CPU processes for one
    ddp = DistributedDataParallelKwargs(gradient_as_bucket_view=True)
    return Accelerator(mixed_precision=resolve(precision), cpu=cpu, kwargs_handlers=[ddp])


def agreed(first: int, checkpoint: Path, device: torch.device) -> int:
    """The step to go on from, if it is the same everywhere."""
    main = int(processes.of_main(torch.tensor(first, device=device)))
    if first != main:
        raise InputError(
            f"{checkpoint}: step {first} on rank {processes.rank()}, step {main} on the main process: "
            "put runs on a file system that all machines share"
        )
    return first


def logs(step: int, steps: int) -> bool:
    """Every tenth step, and all of the last tenth, is logged."""
    return step % 10 == 0 or in_tail(step, steps)


def in_tail(step: int, steps: int) -> bool:
    return step >= min(0.9 * steps, steps - 1)


def diverged(in_a_row: int, terms: dict[str, float], norm: float) -> TrainingDiverged:
    worst = max(terms, key=lambda name: abs(terms[name]) if math.isfinite(terms[name]) else math.inf)
    return TrainingDiverged(
        f"{in_a_row} steps in a row skipped (gradient norm {norm:.3g}); the largest term is "
        f"{worst} = {terms[worst]:.3g}: lower lr, or raise skip"
    )


class State:
    """All that a resumed run needs: weights, their average, the optimiser, and what was logged."""

    def __init__(self, objective: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self.objective, self.optimiser = objective, optimiser
        self.parameters: list[Tensor] = [p for p in objective.parameters() if p.requires_grad]
        self.mean = [p.detach().clone() for p in self.parameters]
        self.skipped, self.in_a_row, self.seconds = 0, 0, 0.0
        self.recent: dict[str, float] = {}
        self.tail: dict[str, list[float]] = {}
        self.best: list[Tensor] = []  # the average that scored best so far, at step `kept`
        self.kept: int | None = None
        self.score = math.inf

    @classmethod
    def start(cls, objective: nn.Module, device: torch.device, *, lr: float, weight_decay: float) -> "State":
        objective = sharded(objective, device) if rendezvous.strategy() == "fsdp" else objective.to(device)
        trained = [p for p in objective.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=lr, weight_decay=weight_decay, betas=(0.9, 0.95), fused=True)
        return cls(objective, optimiser)

    def prepared(self, accelerator: Accelerator) -> tuple[nn.Module, Any]:
        """The objective and the optimiser as the loop calls them: under DDP, the objective averages gradients."""
        optimiser = accelerator.prepare(self.optimiser)
        return (self.objective if rendezvous.strategy() == "fsdp" else accelerator.prepare(self.objective)), optimiser

    def average(self, decay: float, step: int) -> None:
        """Exponential moving average, its memory growing with the first steps."""
        weight = 1 - min(decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.mean, [p.detach() for p in self.parameters], weight)

    def put(self, weights: list[Tensor]) -> None:
        """Set the trained parameters."""
        with torch.no_grad():
            for parameter, weight in zip(self.parameters, weights, strict=True):  # sharded tensors have no foreach copy
                parameter.copy_(weight)

    def look(self, held_out: Callable[[], float], step: int, writer: SummaryWriter | None) -> None:
        """Keep the average if it scores better than those before; training goes on from where it was."""
        trained = [p.detach().clone() for p in self.parameters]
        self.put(self.mean)
        score = rendezvous.alone(held_out)
        self.put(trained)
        if score < self.score:
            self.best, self.kept, self.score = [mean.clone() for mean in self.mean], step, score
        if writer:
            writer.add_scalar("held_out", score, step)

    def use_average(self, objective: nn.Module, average: list[Tensor]) -> None:
        """Leave an average in `objective`, which is whole again if what was trained is a sharded copy of it."""
        self.put(average)
        if objective is not self.objective:
            objective.load_state_dict(whole(self.objective.state_dict()))
            objective.to(self.parameters[0].device)

    def record(self, terms: dict[str, float], step: int, steps: int, writer: SummaryWriter | None) -> None:
        """Keep running values for the progress line and the tail's means, and write to TensorBoard."""
        for name, number in terms.items():
            old = self.recent.get(name, number)
            self.recent[name] = 0.8 * old + 0.2 * number if math.isfinite(number) else old
            if in_tail(step, steps):
                self.tail.setdefault(name, []).append(number)
            if writer:
                writer.add_scalar(name, number, step)

    def line(self) -> str:
        shown = [f"{name} {value:.3g}" for name, value in self.recent.items() if "/" not in name]
        return "  ".join(shown + ([f"skipped {self.skipped}"] if self.skipped else []))

    def tail_means(self) -> dict[str, float]:
        return {name: sum(values) / len(values) for name, values in self.tail.items()}

    def save(self, path: Path, step: int, seconds: float) -> None:
        """Write the state, whole; every process calls this, the main one writes."""
        content = {
            "step": step,
            "objective": self.objective.state_dict(),
            "mean": self.mean,
            "optimiser": self.optimiser.state_dict(),
            "skipped": self.skipped,
            "in_a_row": self.in_a_row,
            "seconds": self.seconds + seconds,
            "recent": self.recent,
            "tail": self.tail,
            "best": self.best,
            "kept": self.kept,
            "score": self.score,
        }
        content = whole(content)
        if processes.is_main():
            temporary = path.with_suffix(".tmp")
            torch.save(content, temporary)
            os.replace(temporary, path)

    def restore(self, path: Path) -> int:
        """Take the state up where `path` left it; the step to go on from (0 where there is none)."""
        if not path.exists():
            return 0
        content = torch.load(path, weights_only=True, map_location="cpu")
        try:
            self.take_up(content)
        except (KeyError, ValueError, RuntimeError) as error:
            raise InputError(f"{path}: another version of segue left it ({error}); remove it to start anew") from None
        return content["step"]

    def take_up(self, content: dict[str, Any]) -> None:
        """Be as `content` says."""
        held = self.objective.state_dict()
        self.objective.load_state_dict({name: as_held(v, held[name]) for name, v in content["objective"].items()})
        with torch.no_grad():
            for mean, saved in zip(self.mean, content["mean"], strict=True):
                mean.copy_(as_held(saved, mean))
        moments = content["optimiser"]["state"]
        for parameter, moment in zip(self.parameters, moments.values(), strict=bool(moments)):
            moment |= {name: as_held(v, parameter) for name, v in moment.items() if v.shape == parameter.shape}
        self.optimiser.load_state_dict(content["optimiser"])
        self.skipped, self.in_a_row, self.seconds = content["skipped"], content["in_a_row"], content["seconds"]
        self.recent, self.tail = content["recent"], content["tail"]
        self.best = [as_held(saved, mean) for saved, mean in zip(content["best"], self.mean, strict=False)]
        self.kept, self.score = content["kept"], content["score"]
