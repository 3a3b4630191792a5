"""`segue run STUDY`, and each stage by its name."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from segue.cli.arguments import pairs, take_option
from segue.cli.registry import STAGES
from segue.errors import InputError

if TYPE_CHECKING:
    from segue.study.schema import Study

SEVERAL = """
Several processes on one machine, one for each GPU (or on the CPU where there is none):
  torchrun --nproc-per-node 2 -m segue {command}
Several machines, and what happens after a failure: docs/cluster.md"""


def study_command(name: str, rest: list[str]) -> None:
    """Do a stage, or all of them."""
    from segue import processes
    from segue.hub.runs import study_at
    from segue.study.read import study_parser

    if not rest or "-h" in rest or "--help" in rest:
        study_parser(f"segue {name} STUDY [--key.sub value ...]", STAGES[name]).print_help()
        print(SEVERAL.format(command=f"{name} STUDY"))
        return
    apart, given = take_apart(rest) if name == "evaluate" else (None, rest)
    if not given:
        raise InputError(f"segue {name}: give a study, e.g. studies/coronary-phantom.yaml")
    with processes.joined():
        study = processes.alone(lambda: study_at(Path(given[0]), given[1:]))
        if name == "scm" and not study.graph:
            raise InputError(f"{study.name}: has no graph to fit; add `graph:` to the study (docs/graph.md)")
        if apart is not None:
            evaluate_apart(lambda: apart(study))
        else:
            do_stages(name, study)


def take_apart(rest: list[str]) -> tuple["Callable[[Study], Path] | None", list[str]]:
    """The evaluation apart from the study's own that the options ask for, if they do, and the other arguments."""
    from segue.pipeline import evaluate_elsewhere
    from segue.pipeline.exchange import evaluate_folders
    from segue.pipeline.shifting import evaluate_shifted

    cohort, rest = take_option(rest, "--cohort")
    folders, rest = take_folders(rest)
    shift, rest = take_option(rest, "--shift")
    if sum(map(bool, (cohort, folders, shift))) > 1:
        raise InputError("segue evaluate: give one of --cohort, --method and --shift")
    if cohort is not None:
        return lambda study: evaluate_elsewhere(study, Path(cohort)), rest
    if folders:
        return lambda study: evaluate_folders(study, folders), rest
    return (None if shift is None else lambda study: evaluate_shifted(study, shift)), rest


def take_folders(rest: list[str]) -> tuple[dict[str, Path], list[str]]:
    """The folders of `--method NAME=FOLDER`, which is repeatable, and the other arguments."""
    texts = []
    text, rest = take_option(rest, "--method")
    while text is not None:
        texts.append(text)
        text, rest = take_option(rest, "--method")
    return {name: Path(folder) for name, folder in pairs(texts, "--method", example="mine=answers").items()}, rest


def progress_console() -> Console:
    """A console on stderr, in which only the main process writes."""
    from segue import processes

    return Console(stderr=True, highlight=False, markup=False, quiet=not processes.is_main())


def do_stages(name: str, study: "Study") -> None:
    """Do a stage, or all of them; the main process prints the progress and the results."""
    from segue import hardware, pipeline, processes
    from segue.sealed import read_json
    from segue.study.derived import folds_of

    hardware.keep_memory()
    console = progress_console()
    root = pipeline.run(study, only=None if name == "run" else name, say=lambda line: console.print(line, style="dim"))
    if not processes.is_main():
        return
    if name in ("run", "evaluate", "report"):
        print_summary(root / "evaluate" / "metrics.json")
    if name == "scm":
        for one in folds_of(study) or [study]:
            print(read_json(one.directory / "scm" / "metrics.json", keys=["verdict"])["verdict"])
    if name in ("run", "report"):
        console.print(f"report: {root / 'report' / 'report.html'}", soft_wrap=True)


def evaluate_apart(evaluate: Callable[[], Path]) -> None:
    """Judge a finished study's methods on other images, or beside others; `evaluate` returns the folder written."""
    from segue import hardware, processes
    from segue.report.shifts import SUMMARY_TABLE

    hardware.keep_memory()
    directory = processes.alone(evaluate)
    if not processes.is_main():
        return
    if (table := directory / SUMMARY_TABLE).exists():  # of all shifts, each of which has a report of its own
        print(table.read_text())
        return
    progress_console().print(f"report: {directory / 'report.html'}", soft_wrap=True)
    print_summary(directory / "metrics.json")


def print_summary(path: Path) -> None:
    """The means of metrics.json, and the verdict on them."""
    from segue.pipeline.judging import read_metrics
    from segue.report.console import summary_table
    from segue.report.verdict_text import verdict_lines

    metrics = read_metrics(path.parent)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False)
    console.print(summary_table(metrics))
    console.print("\n".join(verdict_lines(metrics)), markup=False)
