"""Answers in less time, to the same bits: traced networks, two of them at a time on a machine with two cores."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import nn

from segue.engine.model import Model
from segue.errors import InputError
from segue.hardware import FEW_PIXELS, helped, helper
from segue.nets.traced import Traced, traceable

__all__ = ["Quick"]

PAUSE = 1.0  # seconds: the browser draws the first picture before networks are traced


class Quick:
    """Traces what gave a first answer, in the background, and then lends a second thread to the next answers.

    It does so neither for large images, whose layers use all cores by themselves, nor on a GPU.

    Args:
        models: whose networks are asked for one image at a time. judge: measures their answers; None: there is none.
    """

    def __init__(self, models: Iterable[Model], judge: nn.Module | None) -> None:
        nets = [one for model in models if fits(model) for one in cast(nn.Module, model.mechanism).modules()]
        nets += [judge] if nets and judge is not None else []
        named = [(net, getattr(net, "TRACEABLE", None)) for net in dict.fromkeys(nets)]
        self.parts: list[Traced] = [traceable(net, name) for net, name in named if name]
        self.second = helper() if self.parts and torch.get_num_threads() > 1 else None
        self.leaving, self.answering, self.idle = threading.Event(), 0, threading.Condition()
        self.tracing: threading.Thread | None = None

    @contextmanager
    def helping(self) -> Iterator[None]:
        """While networks are asked for one image: the second thread, once all that was ever asked is traced."""
        ready = all(part.fast for part in self.parts if part.like)
        with self.working(), helped(self.second if ready else None):
            yield

    @contextmanager
    def working(self) -> Iterator[None]:
        """While networks are asked.

        Raises:
            InputError: the explorer is closing.
        """
        with self.idle:
            if self.leaving.is_set():
                raise InputError("the explorer is closing")
            self.answering += 1
        try:
            yield
        finally:
            with self.idle:
                self.answering -= 1
                self.idle.notify_all()

    def go_on(self) -> None:
        """Begin to trace what gave a first answer since; it takes a second or two, and nobody waits for it."""
        with self.idle:
            busy = self.tracing is not None and self.tracing.is_alive()
            if any(part.waits for part in self.parts) and not busy and not self.leaving.is_set():
                # An exit waits for it: torch ends the process with an error else. (A handler's thread is a daemon, and
                # what it starts would be one too.)
                self.tracing = threading.Thread(target=self.trace_later, name="tracing", daemon=False)
                self.tracing.start()

    def trace_later(self) -> None:
        """Trace what gave an answer, after a moment, unless the explorer closes."""
        if not self.leaving.wait(PAUSE):
            import scipy.ndimage
            import scipy.special  # noqa: F401  # which verdicts need, and which are slow to import

            self.trace()

    def trace(self) -> None:
        """Trace what gave an answer, here and now."""
        for part in self.parts:
            if not self.leaving.is_set():
                part.trace()

    def stay(self) -> None:
        """Take what is asked, also after a page of the same models was closed."""
        self.leaving.clear()

    def leave(self, timeout: float = 30) -> None:
        """Refuse what is asked from now on, and wait until networks rest: torch bears no exit while they work."""
        with self.idle:
            self.leaving.set()
            self.idle.wait_for(lambda: not self.answering, timeout)
        if self.tracing is not None:
            self.tracing.join(timeout)


def fits(model: Model) -> bool:
    """Whether Python takes a good part of the time of its networks."""
    return model.device.type == "cpu" and model.grid.pixels <= FEW_PIXELS
