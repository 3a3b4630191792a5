"""Answers in less time, to the same bits: traced networks, two of them at a time on a machine with two cores."""

import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import cast

import torch
from torch import nn

from segue.engine.model import Model
from segue.hardware import FEW_PIXELS, helped, helper
from segue.nets.traced import Traced, traceable

__all__ = ["Quick"]


class Quick:
    """Traces what gave a first answer, in the background, and then lends a second thread to the next answers.

    It does nothing for large images, whose layers use all cores by themselves, nor on a GPU.

    Args:
        models: whose networks are asked for one image at a time. judge: measures their answers; None: there is none.
    """

    def __init__(self, models: Iterable[Model], judge: nn.Module | None) -> None:
        nets = [one for model in models if fits(model) for one in cast(nn.Module, model.mechanism).modules()]
        nets += [judge] if nets and judge is not None else []
        named = [(net, getattr(net, "TRACEABLE", None)) for net in dict.fromkeys(nets)]
        self.parts: list[Traced] = [traceable(net, name) for net, name in named if name]
        self.second = helper() if self.parts and torch.get_num_threads() > 1 else None
        self.tracing = threading.Lock()

    def helping(self) -> AbstractContextManager[None]:
        """While networks are asked: the second thread, once all that was ever asked is traced."""
        ready = all(part.fast for part in self.parts if part.like)
        return helped(self.second if ready else None)

    def go_on(self) -> None:
        """Begin to trace what gave a first answer since; it takes a second or two, and nobody waits for it."""
        if any(part.waits for part in self.parts) and not self.tracing.locked():
            threading.Thread(target=self.trace, name="tracing").start()  # which an exit waits for: torch aborts else

    def trace(self) -> None:
        """Trace what gave an answer, here and now."""
        with self.tracing:
            for part in self.parts:
                part.trace()


def fits(model: Model) -> bool:
    """Whether Python takes a good part of the time of its networks."""
    return model.device.type == "cpu" and model.grid.pixels <= FEW_PIXELS
