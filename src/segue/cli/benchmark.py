"""`segue benchmark`"""

from pathlib import Path
from typing import TYPE_CHECKING

from segue.cli.arguments import make_parser, pairs, parse_options
from segue.errors import InputError

if TYPE_CHECKING:
    from segue.leaderboard.entry import Entry
    from segue.leaderboard.task import Task

GUIDE = "coronary-phantom"


def benchmark_command(rest: list[str]) -> None:
    """Print rows of the phantom's leaderboard (docs/benchmark.md)."""
    parser = make_parser("benchmark")
    add = parser.add_argument
    add("entries", type=str, nargs="*", help="models (as for segue counterfactual), or nothing, untrained_warp, truth")
    add("--method", type=str | None, default=None, help="of a run: a key of metrics.json")
    add("--answers", type=str, action="append", default=[], help="NAME=FOLDER of images that answer the requests")
    add("--export", type=Path | None, default=None, help="write images and requests to this folder; must not exist")
    add("--out", type=Path | None, default=None, help="a JSON file of rows to add to, e.g. leaderboard.json")
    add("--images", type=int | None, default=None, help="fewer images, to try it; such a row is not official")
    options = parse_options(parser, rest)
    if not (options.entries or options.answers or options.export):
        raise InputError("benchmark: give a MODEL, --answers NAME=FOLDER, or --export FOLDER (docs/benchmark.md)")
    from segue.leaderboard.board import board_table, read_board, write_board
    from segue.leaderboard.files import export_task
    from segue.leaderboard.row import benchmark
    from segue.leaderboard.task import OFFICIAL, fixed_task

    images = OFFICIAL if options.images is None else options.images
    if images < 2:
        raise InputError(f"--images {images}: give 2 or more: requests are values of other images")
    task = fixed_task(images)
    if options.export is not None:
        print(export_task(task, options.export))
    if options.out is not None:
        read_board(options.out)  # refused before anything takes long
    made = entered(options.entries, options.method, pairs(options.answers, "--answers", example="mine=answers"), task)
    rows = [benchmark(entry, name=name, images=images) for name, entry in made.items()]
    if rows:
        print(board_table(write_board(options.out, rows) if options.out is not None else rows))
    print(f"images   SHA-256 {task.images_hash}\nrequests SHA-256 {task.requests_hash}")


def entered(names: list[str], method: str | None, answers: dict[str, str], task: "Task") -> "dict[str, Entry]":
    """The entries by their names in the table."""
    from segue.hub.load import load
    from segue.leaderboard.entry import TRUE_ANSWERS, UNTRAINED, of_baseline, of_files, of_model, of_truth

    found = {name: of_files(Path(folder), task) for name, folder in answers.items()}
    for name in names:
        if name == TRUE_ANSWERS:
            found[name] = of_truth(task)
        elif name in UNTRAINED:
            found[name] = of_baseline(name, load(GUIDE))
        else:
            title = Path(name).name if method is None else f"{Path(name).name} {method}"
            found[title] = of_model(load(name, method=method))
    return found
