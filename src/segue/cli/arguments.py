"""What commands share: parse options, and turn `name=value` texts into values."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from segue.errors import InputError
from segue.text import one_line, shortened

if TYPE_CHECKING:
    from segue.engine.verdict import Verdict


def make_parser(command: str) -> ArgumentParser:
    """A parser for `segue COMMAND`."""
    return ArgumentParser(exit_on_error=False, prog=f"segue {command}")


def parse_options(parser: ArgumentParser, rest: list[str]) -> Namespace:
    """Parse the arguments of a command.

    Raises:
        InputError: an argument is wrong; the message is one line.
    """
    try:
        return parser.parse_args(rest)
    except Exception as error:  # jsonargparse raises several kinds
        raise InputError(one_line(error)) from None


def take_option(rest: list[str], option: str) -> tuple[str | None, list[str]]:
    """The value of `option VALUE` or `option=VALUE`, and the other arguments.

    >>> take_option(["study.yaml", "--cohort=data", "--runs", "runs"], "--cohort")
    ('data', ['study.yaml', '--runs', 'runs'])
    """
    for i, argument in enumerate(rest):
        if argument == option and i + 1 < len(rest):
            return rest[i + 1], rest[:i] + rest[i + 2 :]
        if argument.startswith(option + "="):
            return argument.split("=", 1)[1], rest[:i] + rest[i + 1 :]
        if argument == option:
            raise InputError(f"{option} needs a value")
    return None, rest


def question_parser(command: str, *, images: str) -> ArgumentParser:
    """The arguments of commands that ask a model about image files; `images` is the help text of these."""
    parser = make_parser(command)
    add_model(parser)
    parser.add_argument("images", type=Path, nargs="+", help=images)
    parser.add_argument("--do", type=str, action="append", required=True, help='"variable=request", repeatable')
    parser.add_argument("--given", type=str, action="append", default=[], help='"covariate=value" of the images')
    add_strict(parser)
    add_method(parser)
    return parser


def add_strict(parser: ArgumentParser) -> None:
    """Whether an unmet request is an error."""
    parser.add_argument("--strict", action="store_true", help="a request that is not met is an error (exit code 2)")


def say_verdicts(names: Sequence[str], found: Sequence["Verdict"]) -> None:
    """Print verdicts to stderr: one line a variable, the doubts, and each note once."""
    for name, verdict in zip(names, found, strict=True):
        print(f"{name}: {verdict.word}", file=sys.stderr)
        for line in replace(verdict, notes=()).lines():
            print(f"  {line}", file=sys.stderr)
    for note in dict.fromkeys(note for verdict in found for note in verdict.notes):
        print(f"note: {note}", file=sys.stderr)


def add_model(parser: ArgumentParser) -> None:
    """The model as first argument."""
    parser.add_argument("run", type=Path, help="a run (runs/<study>), an exported folder or a shipped model")


def add_method(parser: ArgumentParser) -> None:
    """The choice of one of a run's methods."""
    parser.add_argument("--method", type=str | None, default=None, help="of a run: a key of metrics.json")


def pairs(texts: list[str], option: str, *, example: str) -> dict[str, str]:
    """The values of `name=value` texts, by name.

    >>> pairs(["lumen@mid = +20%"], "--do", example="lumen@mid=+20%")
    {'lumen@mid': '+20%'}
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{option} {shortened(text)!r}: write name=value, e.g. {example}")
        found[name.strip()] = value.strip()
    return found


def requests_in(options: Namespace, variable: str) -> dict[str, str]:
    """The requests of `--do`; `variable` is for the example in a message."""
    return pairs(options.do, "--do", example=f"{variable}=+20%")


def covariates_in(options: Namespace) -> dict[str, float]:
    """The factual values of covariates, from `--given`."""
    return {name: to_number(value, name) for name, value in pairs(options.given, "--given", example="age=60").items()}


def to_number(text: str, name: str) -> float:
    """The value of the covariate `name`."""
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--given {shortened(f'{name}={text}')}: give a number") from None
