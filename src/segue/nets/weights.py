"""Reading trained networks from disk."""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import TypeVar

from huggingface_hub import PyTorchModelHubMixin
from safetensors.torch import load_file
from torch import nn

from segue.errors import InputError

NETWORK = "model.safetensors"
_Network = TypeVar("_Network", bound=PyTorchModelHubMixin)


def load_pretrained(kind: type[_Network], directory: Path) -> _Network:
    """The network that `save_pretrained` wrote to `directory`, on the CPU.

    Raises:
        InputError: there is none (the hub library would search the internet for it).

    >>> import tempfile
    >>> from segue.nets.segmentor import Regressor
    >>> directory = Path(tempfile.mkdtemp())
    >>> Regressor(size=(32, 96), outputs=9, width=8).save_pretrained(directory)
    >>> type(load_pretrained(Regressor, directory)).__name__
    'Regressor'
    """
    if not (directory / NETWORK).is_file():
        raise InputError(f"{directory}: no trained network there; run its stage of the study first")
    with redirect_stdout(io.StringIO()):  # the hub library prints that it loads
        return kind.from_pretrained(directory, strict=True)


def begin_as(net: nn.Module, directory: Path, *, leave: str) -> dict[str, int]:
    """Initialise `net` with the tensors of the network in `directory` that have the same name and shape.

    Args:
        leave: tensors whose name starts with this keep their values.

    Returns:
        the number of tensors of `net` (`tensors`), and how many were initialised (`tensors_begun`).

    Raises:
        InputError: there is no network, or none of its tensors fits.
    """
    if not (directory / NETWORK).is_file():
        raise InputError(f"{directory}: no trained network there to start from; give a folder that holds {NETWORK}")
    held = net.state_dict()
    fits = {
        name: tensor
        for name, tensor in load_file(directory / NETWORK).items()
        if name in held and tensor.shape == held[name].shape and not name.startswith(leave)
    }
    if not fits:
        raise InputError(f"{directory}: nothing there has the shape of this network; give both the same widths")
    net.load_state_dict(held | fits)
    return {"tensors": len(held), "tensors_begun": len(fits)}
