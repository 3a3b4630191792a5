"""`segue ablate ABLATION`"""

from pathlib import Path

from segue.cli.study import SEVERAL, progress_console

USAGE = """usage: segue ablate FILE [--key.sub value ...]

Do a study at several values of one factor (docs/ablations.md). Each value is a run, from the cohort to the report; its
finished stages are skipped. Then table.md, figure.png and ablation.json are written to runs/ablations/<name>. Keys of
the study given after the file apply to every value."""


def ablate_command(rest: list[str]) -> None:
    """Do all values of an ablation; the main process prints the progress and the path of the table."""
    if not rest or "-h" in rest or "--help" in rest:
        print(USAGE, SEVERAL.format(command="ablate FILE"), sep="\n")
        return
    from segue import hardware, processes
    from segue.pipeline.ablation import ablate, load_ablation
    from segue.pipeline.ablation.outcome import TABLE

    with processes.joined():
        ablation = processes.alone(lambda: load_ablation(Path(rest[0]), rest[1:]))
        hardware.keep_memory()
        console = progress_console()
        ablate(ablation, say=lambda line: console.print(line, style="dim", soft_wrap=True))
        if processes.is_main():
            print(ablation.directory / TABLE)
