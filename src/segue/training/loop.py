"""One training loop for every network: AdamW, warm-up and cosine decay, clipping, a moving average, exact resumption.

Accelerate runs it. Several processes train as one process with the whole batch would (`segue.processes`).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from segue import processes
from segue.errors import InputError, TrainingDiverged
from segue.hardware import Precision, resolve_precision
from segue.mechanisms.base import Terms
from segue.progress import track
from segue.training.batches import Batch, Batches
from segue.training.checkpointing import checkpointed
from segue.training.state import CHECKPOINT, State, TrainingSettings, in_tail

MOST_SKIPPED = 0.25  # share of the steps; a training that skipped more has failed


@dataclass(frozen=True)
class Fitted:
    """What a training returns, besides the weights."""

    terms: dict[str, float]  # each logged term, averaged over the last tenth of the steps
    skipped: int
    seconds: float
    kept: int | None = None  # the step with the best validation loss, whose weights were kept
    suspect: str | None = None  # the image with the largest values in the last skipped step


def fit(
    objective: nn.Module,
    batches: Batches,
    settings: TrainingSettings,
    *,
    directory: Path,
    title: str,
    validation_loss: Callable[[], float] | None = None,
) -> Fitted:
    """Minimise `objective(batch, progress) -> (loss, terms)`, and leave the moving average of the weights in it.

    Each step seeds torch by (seed, step). The state (weights, moving average, optimiser, buffers of the objective) is
    written atomically every `checkpoint_every` steps. So a training that is killed at any moment and started again
    ends with the same weights, also on another number of processes, except for rounding.

    Args:
        validation_loss: a loss of the objective's networks as they are, on images that are not trained on. It sees
            the moving average; the moving average with the best validation loss is left in the objective.

    Raises:
        TrainingDiverged: too many steps in a row were skipped.
        InputError: the checkpoint cannot be used.
    """
    accelerator = make_accelerator(settings.precision)
    state = State.start(objective, accelerator.device, lr=settings.lr, weight_decay=settings.weight_decay)
    checkpoint = directory / CHECKPOINT
    first = agreed(state.restore(checkpoint), checkpoint, accelerator.device)
    wrapped, optimiser = state.prepared(accelerator)
    main, total, steps = processes.is_main(), batches.batch_size, settings.steps
    writer = SummaryWriter(str(directory / "logs"), purge_step=first) if main else None
    started, left = time.perf_counter(), range(first, steps)
    for step in track(left, total=steps, title=title, describe=state.line) if main else left:
        torch.manual_seed(hash((settings.seed, step)) % 2**63)
        batch = {k: v.to(accelerator.device, non_blocking=True) for k, v in batches.at(step).items()}
        with checkpointed(objective, settings.gradient_checkpointing):
            loss, terms = backward(wrapped, batch, step / steps, total, accelerator)
        norm = processes.of_main(torch.as_tensor(accelerator.clip_grad_norm_(state.parameters, settings.clip)))
        if not state.update(optimiser, float(norm), step, settings):
            state.suspect = batches.largest(step, batch["image"])
        if state.in_a_row >= settings.patience:
            raise diverged(state, processes.averaged(terms, total), float(norm))
        if logs(step, steps):
            numbers = processes.averaged({"loss": loss, "grad_norm": norm, **terms}, total)
            state.record(numbers, step, steps, writer)
        if validation_loss and is_due(step + 1, settings.validate_every, steps):
            state.validate(validation_loss, step + 1, writer)
        if (step + 1) % settings.checkpoint_every == 0 and step + 1 < steps:
            state.save(checkpoint, step + 1, time.perf_counter() - started)
    check_settled(state, steps)
    state.load_weights(state.best or state.mean)
    if writer:
        writer.close()
    seconds = state.seconds + time.perf_counter() - started
    fitted = Fitted(terms=state.tail_means(), skipped=state.skipped, seconds=seconds, kept=state.kept)
    return replace(fitted, suspect=state.suspect) if state.skipped else fitted


def backward(
    objective: nn.Module, batch: Batch, progress: float, total: int, accelerator: Accelerator
) -> tuple[Tensor, Terms]:
    """The loss and its terms, and the gradient of the loss over a batch of `total` images of all processes."""
    with accelerator.autocast(), processes.sharing(total):
        loss, terms = objective(batch, progress)
    accelerator.backward(loss * processes.share(total))
    return loss, terms


def make_accelerator(precision: Precision) -> Accelerator:
    """Accelerate's device and precision."""
    cpu = processes.world() > 1 and not torch.cuda.is_available()  # else Accelerate takes CPU processes for one
    ddp = DistributedDataParallelKwargs(gradient_as_bucket_view=True)
    return Accelerator(mixed_precision=resolve_precision(precision), cpu=cpu, kwargs_handlers=[ddp])


def agreed(first: int, checkpoint: Path, device: torch.device) -> int:
    """The first step, if it is the same in all processes.

    Raises:
        InputError: processes found different checkpoints.
    """
    main = int(processes.of_main(torch.tensor(first, device=device)))
    if first != main:
        raise InputError(
            f"{checkpoint}: step {first} on rank {processes.rank()}, step {main} on the main process: "
            "put runs on a file system that all machines share"
        )
    return first


def logs(step: int, steps: int) -> bool:
    """Whether a step is logged: every tenth step, and all of the last tenth."""
    return step % 10 == 0 or in_tail(step, steps)


def is_due(done: int, every: int, steps: int) -> bool:
    """Whether the validation loss is evaluated after `done` steps: after each `every` steps, and at the end."""
    return every > 0 and (done % every == 0 or done == steps)


def check_settled(state: State, steps: int) -> None:
    """Refuse a training of which too many steps were skipped, or whose loss was never finite at its end.

    Raises:
        TrainingDiverged: what it learned is not to be used.
    """
    if state.skipped > MOST_SKIPPED * steps:
        raise TrainingDiverged(f"{state.skipped} of {steps} steps skipped; {mend(state)}")
    if not math.isfinite(state.tail_means().get("loss", 0.0)):
        raise TrainingDiverged(f"the loss is not finite in the last tenth of {steps} steps; {mend(state)}")


def diverged(state: State, terms: dict[str, float], norm: float) -> TrainingDiverged:
    """The error that names the worst term."""
    worst = max(terms, key=lambda name: abs(terms[name]) if math.isfinite(terms[name]) else math.inf)
    return TrainingDiverged(
        f"{state.in_a_row} steps in a row skipped (gradient norm {norm:.3g}); the largest term is "
        f"{worst} = {terms[worst]:.3g}; {mend(state)}"
    )


def mend(state: State) -> str:
    """What to look at: the image with the largest values, which lie around -1 to 1 in an image that is in order."""
    if not state.suspect:
        return "lower lr"
    image = f"the largest value of the last one's images is that of {state.suspect}"
    return f"{image}: mend that image if it is far from -1 to 1, else lower lr, or raise skip"
