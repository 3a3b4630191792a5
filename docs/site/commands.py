"""The page of the commands, from their parsers, and that of a study's keys."""

import contextlib
import io
from pkgutil import resolve_name
from unittest import mock

from jsonargparse import ArgumentParser

from docs.site.api import escaped
from segue.cli.registry import COMMANDS, DATA, MODEL, STAGES, Command
from segue.report.table import pipe_table
from segue.study.read import study_parser

ADDED = ("help", "config")
SUB = {"readers": ["make", "analyse"]}
HEAD = """# Commands

Written from the parsers of the commands. `segue COMMAND --help` says the same. Exit codes: 0; 2 for wrong input, 1
where a training diverged, 130 after Ctrl-C. Then one line on stderr says why.
"""
KEYS = """# Keys of a study

Every key of a study's YAML file, with its type and its default. Each can be given on the command line too:
`segue run STUDY --hvae.budget.steps 2000`. [Your data](data.md) explains the cohort, [Method](method.md) the networks.
"""


class Asked(BaseException):  # the commands catch every Exception
    """A command has made its parser."""


def parser_of(name: str, *given: str) -> ArgumentParser:
    """The parser with which a command reads its arguments."""

    def stop(parser: ArgumentParser, *_: object, **__: object) -> None:
        raise Asked(parser)

    with mock.patch.object(ArgumentParser, "parse_args", stop), contextlib.redirect_stdout(io.StringIO()):
        try:
            resolve_name(COMMANDS[name].function)([*given, "--out", "x"])
        except Asked as asked:
            return asked.args[0]
    raise ValueError(f"segue {name} parses no arguments")


def commands_page() -> str:
    """All commands, with their arguments and options."""
    usage = "`segue STAGE STUDY [--key value ...]`; [keys of a study](study.md)."
    parts = [HEAD, "## Stages of a study", usage, stages()]
    parts += ["## With a model", *(command(name, one) for name, one in MODEL.items())]
    parts += ["## Data, studies and comparison", *(command(name, COMMANDS[name]) for name in ("ablate", *DATA))]
    return "\n\n".join(parts) + "\n"


def stages() -> str:
    rows = [[f"`segue {name}`", meaning(text)] for name, text in STAGES.items()]
    return pipe_table(["stage", "what it does"], rows, left=2, marked_up=True)


def command(name: str, one: Command) -> str:
    """A command: its usage, what it does, its arguments."""
    parts = [f"### segue {name}", f"`segue {name} {one.arguments}`: {meaning(one.help)}."]
    if name == "ablate":
        return "\n\n".join([*parts, "Options are [keys of the study](study.md), which all of its studies share."])
    for given in [[sub] for sub in SUB.get(name, [])] or [[]]:
        if given:
            parts.append(f"#### segue {name} {given[0]}")
        parts.append(options(parser_of(name, *given)))
    return "\n\n".join(parts)


def options(parser: ArgumentParser) -> str:
    """The arguments of a parser as a table, without those that jsonargparse adds."""
    rows = [
        [f"`{' '.join(one.option_strings) or one.dest.upper()}`", meaning(one.help), default(one)]
        for one in parser._actions
        if not one.dest.endswith(ADDED) and "configuration file" not in str(one.help)
    ]
    return pipe_table(["argument", "meaning", "default"], rows, left=3, marked_up=True)


def meaning(text: str | None) -> str:
    """A help text in one line, in which nothing is markup."""
    return escaped(" ".join((text or "").split()))


def default(action: object) -> str:
    """The default of an argument: what is needed has none."""
    if getattr(action, "required", False):
        return "needed"
    value = getattr(action, "default", None)
    return "" if value in (None, False, [], "==SUPPRESS==") else f"`{value}`"


def study_page() -> str:
    """All keys of a study."""
    return KEYS + "\n" + options(study_parser()) + "\n"
