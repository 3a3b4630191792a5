"""Run a command; print the help text; turn errors into exit codes."""

import io
import os
import sys
from collections.abc import Sequence
from pkgutil import resolve_name

from segue import __version__
from segue.cli.registry import COMMANDS, DATA, MODEL, STAGES, Command
from segue.errors import InputError, TrainingDiverged, exit_code, nearest
from segue.hub.locate import shipped
from segue.text import one_line

HELP = """segue: segmentor-guided counterfactual images, region by region.

usage: segue COMMAND ...

A study, from its YAML file (or studies:NAME) to its report. Needed stages are done first, finished ones skipped:
{study}

With a MODEL: a trained run (a folder runs/<study>), an exported folder, or a shipped model ({shipped}):
{model}

Data to try it on:
{data}

Any key of the study can be given after it: segue run studies/chest-zones.yaml --cohort.folder DATA --hvae.latent 4
Several processes: torchrun --nproc-per-node 2 -m segue run STUDY (docs/cluster.md)
`segue COMMAND --help` lists the options, `segue --version` the version. Results are written to runs/<study>/."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code.

    It is 0; or 2 for wrong input, 1 where a training diverged, 130 after Ctrl-C. Then one line on stderr says why. It
    is 141 where nobody reads what is printed any more, as after `| head`.
    """
    try:
        code = exit_code_of(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more in the end
        return 141  # as of a program that SIGPIPE ends


def exit_code_of(arguments: Sequence[str] | None) -> int:
    """`main`, while what it prints is read."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be no text
    if given and given[0] == "--version":
        print(f"segue {__version__}")
        return 0
    if not given or given[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    try:
        run_command(*given)
    except (InputError, TrainingDiverged) as error:
        print(f"segue: {one_line(error)}", file=sys.stderr)
        return exit_code(error)
    except OSError as error:  # of a file, of the disk, of the network
        if error.errno is None or isinstance(error, BrokenPipeError):
            raise
        print(f"segue: {error.filename or 'the disk'}: {error.strerror}: check it, then go on", file=sys.stderr)
        return exit_code(InputError())
    except KeyboardInterrupt as error:
        print("segue: stopped; the same command continues from here", file=sys.stderr)
        return exit_code(error)
    return 0


def run_command(name: str, *rest: str) -> None:
    """Import the function of a command, and call it."""
    if name not in COMMANDS:
        raise InputError(f"unknown command {name!r}{nearest(name, COMMANDS)}")
    function = resolve_name(COMMANDS[name].function)
    if name in STAGES:
        function(name, list(rest))
    else:
        function(list(rest))


def help_text() -> str:
    """All commands, with one line for each."""
    study = {name: command for name, command in COMMANDS.items() if name not in (*MODEL, *DATA)}
    return HELP.format(
        study=listing(study), model=listing(MODEL), data=listing(DATA), shipped=", ".join(shipped()) or "none"
    )


def listing(commands: dict[str, Command]) -> str:
    """Commands as lines of the help text."""
    return "\n".join(f"  {f'{name} {command.arguments}':<30} {command.help}" for name, command in commands.items())
