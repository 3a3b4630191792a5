"""Trained networks from disk."""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import TypeVar

from huggingface_hub import PyTorchModelHubMixin

from segue.errors import InputError

Net = TypeVar("Net", bound=PyTorchModelHubMixin)


def load_pretrained(kind: type[Net], directory: Path) -> Net:
    """The network that `save_pretrained` wrote to `directory`, on the CPU.

    Raises:
        InputError: there is none (the hub library would look for it on the network).
    """
    if not (directory / "model.safetensors").is_file():
        raise InputError(f"{directory}: no trained network there; run its stage of the study first")
    with redirect_stdout(io.StringIO()):  # the hub library prints that it loads
        return kind.from_pretrained(directory, strict=True)
