"""Arguments from YAML or JSON, checked against the signature of the class that takes them.

A signature is the one place where arguments are listed: their names, types and defaults are read from it.
"""

import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from segue.errors import InputError, nearest

WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a file's path"}


def read_arguments(build: Callable[..., Any], given: Mapping[str, Any], *, section: str, kind: str) -> dict[str, Any]:
    """The arguments that `build` is called with, in the order of its signature and of its types.

    Lists become tuples, and texts become paths where the signature says so.

    Args:
        section: what messages call the mapping. kind: what they call `build`.

    Raises:
        InputError: an argument is not taken, is missing, or is of another type; the message names its key.
    """
    takes = inspect.signature(build).parameters
    for key in given:
        if key not in takes:
            raise InputError(f"{section}.{key}: kind {kind!r} does not take it{nearest(key, takes)}")
    for key in needed_arguments(build):
        if key not in given:
            mend = in_type_words(takes[key].annotation)
            raise InputError(f"{section}.{key}: is missing; kind {kind!r} needs {mend}")
    found = {}
    for key, parameter in takes.items():
        if key in given:
            try:
                found[key] = cast_to(parameter.annotation, given[key])
            except (TypeError, ValueError):
                mend = in_type_words(parameter.annotation)
                raise InputError(f"{section}.{key}: is {given[key]!r}; give {mend}") from None
    return found


def needed_arguments(build: Callable[..., Any]) -> list[str]:
    """The arguments that have no default.

    >>> needed_arguments(lambda a, b=1: a)
    ['a']
    """
    takes = inspect.signature(build).parameters
    return [key for key, parameter in takes.items() if parameter.default is parameter.empty]


def cast_to(hint: Any, value: Any) -> Any:
    """`value` as the type of a hint: bool, int, float, str, Path, a tuple of one of these, or such a type or None.

    Raises:
        TypeError, ValueError: it is of another type.
    """
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (kind,) = (one for one in typing.get_args(hint) if one is not types.NoneType)
        return None if value is None else cast_to(kind, value)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise TypeError
        return tuple(cast_to(typing.get_args(hint)[0], entry) for entry in value)
    taken: dict[type, Any] = {bool: bool, int: int, float: int | float, str: str, Path: str | Path}
    if not isinstance(value, taken[hint]) or (isinstance(value, bool) and hint is not bool):
        raise TypeError
    if hint is float and not math.isfinite(value):
        raise ValueError
    return hint(value)


def in_type_words(hint: Any) -> str:
    """A type hint in words, for a message."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (kind,) = (one for one in typing.get_args(hint) if one is not types.NoneType)
        return f"{in_type_words(kind)}, or leave it out"
    if typing.get_origin(hint) is tuple:
        return f"a list, each entry {WORDS[typing.get_args(hint)[0]]}"
    return WORDS[hint]
