"""The exceptions that are raised on purpose, for the user to read."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input, said in one line: what was given, where, and how to mend it.

    The command line prints the message alone and exits with code 2; the Python interface raises it as it is.
    """


class TrainingDiverged(RuntimeError):
    """Too many steps in a row had a non-finite or exploding gradient; the message names the worst term."""


class RanksLost(RuntimeError):
    """Processes that train together have lost some of their number; the message says which, and where they were."""


class Ended(Exception):
    """Another process ended the common work and has said why; this one ends with the same exit `code`, in silence."""

    def __init__(self, code: int) -> None:
        super().__init__(f"ended by another process with exit code {code}")
        self.code = code


def exit_code(error: BaseException) -> int:
    """What the command line exits with: 2 for bad input, 130 where it was stopped, else 1."""
    if isinstance(error, Ended):
        return error.code
    if isinstance(error, InputError):
        return 2
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def nearest(name: str, known: Iterable[str], stem: str = "") -> str:
    """The end of a message about an unknown `name`: what is known and looks like it, or else all that is known."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {stem}{near[0]}?" if near else f"; choose from {', '.join(known)}"
