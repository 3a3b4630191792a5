"""The settings and the state of a training: weights, moving average, optimiser, logged numbers; and its checkpoint."""

import io
import math
import os
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from segue import processes
from segue.errors import InputError
from segue.files import write_bytes
from segue.hardware import Precision
from segue.text import one_line

if TYPE_CHECKING:  # of the extra `train`: a model answers without it
    from accelerate import Accelerator
    from torch.utils.tensorboard import SummaryWriter

NO_ZIP = (OSError, ValueError, KeyError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
"""What zipfile and torch say of a file that is damaged."""
CHECKPOINT, EARLIER = "checkpoint.pt", "checkpoint-before.pt"
SAVED = ("skipped", "suspect", "in_a_row", "recent", "tail", "best", "kept", "score")
"""What a checkpoint keeps of `State`, by the same names."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Attributes:
        lr: the highest learning rate; `schedule` says how it changes.
        clip: the largest norm of the gradient; larger gradients are scaled down to it.
        skip: a step whose gradient norm is not finite, or above this, changes no weight and is counted as skipped.
        patience: so many skipped steps in a row raise TrainingDiverged.
        ema: decay of the exponential moving average of the weights.
        validate_every: steps between two evaluations of the validation loss; 0: none.
        gradient_checkpointing: whether activations inside blocks are computed again instead of kept.
    """

    steps: int
    lr: float
    seed: int = 0
    warmup: int = 50
    weight_decay: float = 0.01
    clip: float = 1.0
    skip: float = math.inf
    patience: int = 50
    ema: float = 0.999
    precision: Precision = "auto"
    checkpoint_every: int = 100
    validate_every: int = 0
    gradient_checkpointing: bool = False


def schedule(step: int, *, steps: int, warmup: int) -> float:
    """The learning rate at `step`, as a share of the highest one: linear warm-up, then cosine decay to zero.

    A short training warms up for a third of its steps at most. (With 12 steps of warm-up the image model diverged.)

    >>> [round(schedule(step, steps=6, warmup=2), 2) for step in range(6)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15]
    """
    warmup = min(warmup, max(1, steps // 3))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def in_tail(step: int, steps: int) -> bool:
    """Whether a step belongs to the last tenth."""
    return step >= min(0.9 * steps, steps - 1)


class State:
    """Everything that a resumed training needs: weights, their moving average, the optimiser, and logged numbers."""

    def __init__(self, objective: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self.objective, self.optimiser = objective, optimiser
        self.parameters: list[Tensor] = [p for p in objective.parameters() if p.requires_grad]
        self.mean = [p.detach().clone() for p in self.parameters]
        self.skipped, self.in_a_row, self.seconds = 0, 0, 0.0
        self.suspect = ""  # the image with the largest values in the last skipped step
        self.recent: dict[str, float] = {}
        self.tail: dict[str, list[float]] = {}
        self.best: list[Tensor] = []  # the moving average with the best validation loss, of step `kept`
        self.kept: int | None = None
        self.score = math.inf

    @classmethod
    def start(cls, objective: nn.Module, device: torch.device, *, lr: float, weight_decay: float) -> "State":
        """The state before the first step; `objective` moves to `device`."""
        trained = [p for p in objective.to(device).parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=lr, weight_decay=weight_decay, betas=(0.9, 0.95), fused=True)
        return cls(objective, optimiser)

    def prepared(self, accelerator: "Accelerator") -> tuple[nn.Module, Any]:
        """The objective and the optimiser as the loop calls them: under DDP, the objective averages gradients."""
        optimiser = accelerator.prepare(self.optimiser)
        return accelerator.prepare(self.objective), optimiser

    def update(self, optimiser: Any, norm: float, step: int, settings: TrainingSettings) -> bool:
        """Take an optimiser step, or skip it where the norm of the gradient is not finite or too large."""
        if taken := math.isfinite(norm) and norm <= settings.skip:
            rate = settings.lr * schedule(step, steps=settings.steps, warmup=settings.warmup)
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()
            self.average(settings.ema, step)
            self.in_a_row = 0
        else:
            self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        optimiser.zero_grad(set_to_none=True)
        return taken

    def average(self, decay: float, step: int) -> None:
        """Update the exponential moving average; the decay grows to `decay` over the first steps."""
        weight = 1 - min(decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.mean, [p.detach() for p in self.parameters], weight)

    def load_weights(self, weights: list[Tensor]) -> None:
        """Set the trained parameters."""
        with torch.no_grad():
            for parameter, weight in zip(self.parameters, weights, strict=True):
                parameter.copy_(weight)

    def validate(self, validation_loss: Callable[[], float], step: int, writer: "SummaryWriter | None") -> None:
        """Evaluate the moving average, and keep it if its validation loss is the best; training is not changed."""
        trained = [p.detach().clone() for p in self.parameters]
        self.load_weights(self.mean)
        score = processes.alone(validation_loss)
        self.load_weights(trained)
        if score < self.score:
            self.best, self.kept, self.score = [mean.clone() for mean in self.mean], step, score
        if writer:
            writer.add_scalar("validation_loss", score, step)

    def record(self, terms: dict[str, float], step: int, steps: int, writer: "SummaryWriter | None") -> None:
        """Log terms to TensorBoard; keep running values for the progress line, and the last tenth for its means."""
        for name, number in terms.items():
            old = self.recent.get(name, number)
            self.recent[name] = 0.8 * old + 0.2 * number if math.isfinite(number) else old
            if in_tail(step, steps):
                self.tail.setdefault(name, []).append(number)
            if writer:
                writer.add_scalar(name, number, step)

    def line(self) -> str:
        """The running values, for the progress line."""
        shown = [f"{name} {value:.3g}" for name, value in self.recent.items() if "/" not in name]
        return "  ".join(shown + ([f"skipped {self.skipped} (last: {self.suspect})"] if self.skipped else []))

    def tail_means(self) -> dict[str, float]:
        """Each term's mean over those of the last tenth of the steps where it is finite; NaN where it never is."""
        finite = {name: [one for one in values if math.isfinite(one)] for name, values in self.tail.items()}
        return {name: sum(values) / len(values) if values else math.nan for name, values in finite.items()}

    def save(self, path: Path, step: int, seconds: float) -> None:
        """Write the checkpoint, in the main process only, and keep the one before; `seconds` have passed meanwhile."""
        if not processes.is_main():
            return
        content = {
            "step": step,
            "objective": self.objective.state_dict(),
            "mean": self.mean,
            "optimiser": self.optimiser.state_dict(),
            "seconds": self.seconds + seconds,
            **{name: getattr(self, name) for name in SAVED},
        }
        saved = io.BytesIO()  # torch says of a full disk only `unexpected pos`
        torch.save(content, saved)
        if path.exists():
            os.replace(path, path.with_name(EARLIER))
        write_bytes(path, saved.getvalue())

    def restore(self, path: Path) -> int:
        """Load the checkpoint, if there is one; where it is damaged, the one before, and otherwise none. The next step.

        Raises:
            InputError: it was written by another version of segue.
        """
        for one in (path, path.with_name(EARLIER)):
            if not one.exists():
                continue
            try:
                content = read_checkpoint(one)
            except Damaged as error:
                if processes.is_main():
                    print(f"warning: {one}: is damaged ({error}); training goes on from before it", file=sys.stderr)
                continue
            try:
                self.load(content)
            except (KeyError, ValueError, RuntimeError) as error:
                said = f"another version of segue left it ({one_line(error)[:120]}); remove it to start anew"
                raise InputError(f"{one}: {said}") from None
            return content["step"]
        return 0

    def load(self, content: dict[str, Any]) -> None:
        """Take over what `save` wrote."""
        self.objective.load_state_dict(content["objective"])
        for mean, saved in zip(self.mean, content["mean"], strict=True):
            mean.copy_(saved)
        self.optimiser.load_state_dict(content["optimiser"])
        self.seconds = content["seconds"]
        for name in SAVED:
            setattr(self, name, content[name])


class Damaged(Exception):
    """A checkpoint is not as it was written; the message says what was seen of that."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `State.save` wrote: a zip file, in which torch wrote the checksum (CRC-32) of each part.

    torch does not look at the checksums when it reads.

    Raises:
        Damaged: the file is cut short, or a part has another checksum.
    """
    try:
        with zipfile.ZipFile(path) as parts:
            if bad := parts.testzip():
                raise Damaged(f"the checksum of {bad} is another")
        return torch.load(path, weights_only=True, map_location="cpu")
    except NO_ZIP as error:
        raise Damaged(one_line(error)[:120]) from None
