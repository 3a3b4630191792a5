"""Reading trained networks from disk."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from segue.disk import writing
from segue.errors import InputError
from segue.files import write_text
from segue.sealed import AGAIN, as_written, read_json
from segue.tensor_file import read_tensors, save_tensors
from segue.text import one_line

NETWORK, ARGUMENTS = "model.safetensors", "config.json"
LARGEST, LONGEST = 1 << 16, 1 << 10
"""A number among a network's arguments, and the entries of a list."""
UNFIT = (AttributeError, IndexError, KeyError, OverflowError, RuntimeError, TypeError, ValueError, ZeroDivisionError)
"""What a network says of arguments that are not its own."""
_Network = TypeVar("_Network", bound=nn.Module)
_Made = TypeVar("_Made")


def save_network(net: nn.Module, directory: Path) -> None:
    """Write a network's weights, and what it was made with, to `directory`.

    >>> import tempfile
    >>> from segue.nets.segmentor import Regressor
    >>> directory = Path(tempfile.mkdtemp())
    >>> save_network(Regressor(size=(32, 96), outputs=9, width=8), directory)
    >>> arguments_of(directory)["outputs"]
    9
    """
    with writing(directory / NETWORK):
        directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / ARGUMENTS, json.dumps(net._hub_mixin_config, sort_keys=True, indent=2))
    save_tensors({name: tensor.clone() for name, tensor in net.state_dict().items()}, directory / NETWORK)


def arguments_of(directory: Path) -> dict[str, Any]:
    """What a network was made with."""
    return read_json(as_written(directory / ARGUMENTS))


def itself(net: Any) -> nn.Module:
    """The network of what is no more than a network."""
    return net


def with_weights(
    build: Callable[[Any], _Made],
    arguments: Any,
    tensors: Mapping[str, Tensor],
    *,
    net_of: Callable[[_Made], nn.Module] = itself,
) -> _Made:
    """A network made with `arguments`, with these tensors for weights, cast to its own type.

    It is made without memory first: arguments that are not those of the tensors cost nothing.

    Args:
        net_of: the network in what `build` makes.

    Raises:
        ValueError: the arguments are none of the network's, or the tensors do not fit it.
    """
    check_arguments(arguments)
    try:
        with torch.device("meta"):
            needed = net_of(build(arguments)).state_dict()
        for name in {**needed, **tensors}:
            if tensor_shape(needed, name) != tensor_shape(tensors, name):
                raise ValueError(f"the tensor {name} has another shape, or there is none")
        made = build(arguments)
        net_of(made).load_state_dict(dict(tensors))
    except UNFIT as error:
        raise ValueError(f"weights and arguments do not fit ({one_line(error)[:120]})") from None
    return made


def tensor_shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    """Of a tensor among others; None where there is none."""
    return tuple(tensors[name].shape) if name in tensors else None


def check_arguments(value: Any) -> None:
    """Refuse numbers and lists that no network is made with."""
    if isinstance(value, int | float) and not abs(value) <= LARGEST:
        raise ValueError(f"a network is not made with {value:.6g}")
    if isinstance(value, dict | list | str):
        if len(value) > LONGEST:
            raise ValueError(f"a network is not made with {len(value)} of something")
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check_arguments(one)


def load_pretrained(kind: type[_Network], directory: Path) -> _Network:
    """The network that `save_network` wrote to `directory`, on the CPU.

    Raises:
        InputError: there is none, or it is not as it was written.

    >>> import tempfile
    >>> from segue.nets.segmentor import Regressor
    >>> directory = Path(tempfile.mkdtemp())
    >>> save_network(Regressor(size=(32, 96), outputs=9, width=8), directory)
    >>> type(load_pretrained(Regressor, directory)).__name__
    'Regressor'
    """
    if not (directory / NETWORK).is_file():
        raise InputError(f"{directory}: no trained network there; run its stage of the study first")
    return restored(lambda arguments: kind(**arguments), arguments_of(directory), directory).eval()


def restored(
    build: Callable[[Any], _Made], arguments: Any, directory: Path, *, net_of: Callable[[_Made], nn.Module] = itself
) -> _Made:
    """What `with_weights` makes, with the weights in `directory`.

    Raises:
        InputError: they are damaged, or of another network.
    """
    tensors = read_tensors(directory / NETWORK)
    try:
        return with_weights(build, arguments, tensors, net_of=net_of)
    except ValueError as error:
        raise InputError(f"{directory}: {error}; {AGAIN}") from None


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
        for name, tensor in read_tensors(directory / NETWORK).items()
        if name in held and tensor.shape == held[name].shape and not name.startswith(leave)
    }
    if not fits:
        raise InputError(f"{directory}: nothing there has the shape of this network; give both the same widths")
    net.load_state_dict(held | fits)
    return {"tensors": len(held), "tensors_begun": len(fits)}
