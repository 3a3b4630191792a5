"""The exceptions that segue raises for the user to read, and their exit codes."""

import difflib
from collections.abc import Iterable
from importlib.util import find_spec


class InputError(ValueError):
    """Wrong input. The message is one line: the file or key, what was found, and how to correct it.

    The command line prints the message alone and exits with code 2. The Python interface raises it unchanged.

    >>> raise InputError("scan.png: no such file; check the path")
    Traceback (most recent call last):
    segue.errors.InputError: scan.png: no such file; check the path
    """


class TrainingDiverged(RuntimeError):
    """Too many steps in a row had a gradient that was not finite, or too large. The message names the worst term."""


def exit_code(error: BaseException) -> int:
    """The exit code of the command line: 2 for wrong input, 130 after Ctrl-C, otherwise 1.

    >>> exit_code(InputError("study.yaml: no such study"))
    2
    """
    if isinstance(error, InputError):
        return 2
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def nearest(name: str, known: Iterable[str], stem: str = "") -> str:
    """The end of a message about an unknown `name`: the most similar known name, or all known names.

    >>> nearest("latnet", ["latent", "widths"])
    '; did you mean latent?'
    >>> nearest("x", ["latent", "widths"])
    '; choose from latent, widths'
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {stem}{near[0]}?" if near else f"; choose from {', '.join(known)}"


def check_installed(packages: Iterable[str], *, extra: str, what: str) -> None:
    """Refuse to begin what needs an optional dependency.

    Args:
        packages: names to import. extra: the extra that brings them. what: what needs them, as a subject.

    Raises:
        InputError: one is missing.

    >>> check_installed(["json", "nowhere"], extra="train", what="training")
    Traceback (most recent call last):
    segue.errors.InputError: training needs nowhere: pip install "segue-counterfactual[train]"
    """
    for name in packages:
        if find_spec(name) is None:
            raise InputError(f'{what} needs {name}: pip install "segue-counterfactual[{extra}]"')
