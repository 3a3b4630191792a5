"""`segue ablate`: parse, call, print."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from segue.errors import InputError

if TYPE_CHECKING:
    from segue.pipeline.ablation import Ablation

HELP = """usage: segue ablate FILE [--key.sub value ...]

A study at several values of one factor (docs/ablations.md): each value's run, from its cohort to its report, doing only
what is missing, then table.md, figure.png and ablation.json in runs/ablations/<name>. Keys of the study given after the
file hold for every value."""


def ablate_command(rest: list[str]) -> None:
    """Every value of an ablation, in this process, in as many as were asked for, or as one of torchrun's."""
    from segue import launch
    from segue.cli import take_all
    from segue.pipeline.ablation import load_ablation

    if not rest or "-h" in rest or "--help" in rest:
        print(HELP, launch.HELP, sep="\n")
        return
    options, rest = take_all(rest, launch.OPTIONS)
    placement = launch.place(options)
    if not rest:
        raise InputError("segue ablate: give an ablation, e.g. studies/ablations/regions.yaml")
    launch.spread(
        placement, ["ablate", *rest], read=lambda: load_ablation(Path(rest[0]), rest[1:]), work=do_values
    )


def do_values(ablation: "Ablation") -> None:
    """Every value; the main process says how it goes."""
    from segue import hardware, processes
    from segue.pipeline.ablation import ablate
    from segue.pipeline.ablation.outcome import TABLE

    hardware.keep_memory()
    console = Console(stderr=True, highlight=False, quiet=not processes.is_main())
    ablate(ablation, say=lambda line: console.print(line, style="dim", soft_wrap=True))
    if processes.is_main():
        print(ablation.directory / TABLE)
