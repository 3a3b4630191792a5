"""A study, stage by stage: a stage is done when done.json stands in its folder with the fingerprint of its inputs."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from segue import __version__, processes
from segue.disk import writing
from segue.errors import InputError, check_installed
from segue.files import remove_temporaries, whole_folder, write_text
from segue.locks import locked
from segue.pipeline import folds
from segue.pipeline.done import STARTED, done_as, finish_stage, is_left, read_done, start_stage
from segue.pipeline.judging import evaluate_elsewhere
from segue.pipeline.room import check_room
from segue.pipeline.stages import Stage, fingerprint, stages
from segue.sealed import DONE
from segue.study.derived import folds_of, to_yaml
from segue.study.schema import Study

LOCK = ".lock"

__all__ = ["Stage", "evaluate_elsewhere", "fingerprint", "perform", "read_done", "run", "stages"]


def run(study: Study, only: str | None = None, say: Callable[[str], None] = lambda line: None) -> Path:
    """Do what is missing of a study, or of the stage `only` and what it needs; return the run's folder.

    Each finished stage leaves done.json. An interrupted stage continues from its checkpoint. A stage whose inputs or
    settings changed starts anew. A stage that another run in the same folder has done with the same settings is reused.
    For a cross-validation this holds for each fold, in a folder of its own; `evaluate` and `report` then pool folds.
    """
    root = study.directory
    with own_run(root):
        processes.alone(lambda: write_study(study))
        parts = folds_of(study)
        if not parts:
            run_stages(study, only, say)
        for fold in parts:
            run(fold, only, lambda line, name=fold.name: say(f"{name}: {line}"))  # type: ignore[misc]
        if parts and only in (None, "evaluate", "report"):
            processes.alone(lambda: folds.pool_folds(study))
    return root


def write_study(study: Study) -> None:
    """The study with every default, in its run's folder."""
    path, text = study.directory / "study.yaml", to_yaml(study)
    if not (path.is_file() and path.read_bytes() == text.encode()):
        write_text(path, text)


@contextmanager
def own_run(root: Path) -> Iterator[None]:
    """Make a run's folder, and keep every other command out of it. The lock of a command that dies is released.

    Raises:
        InputError: another command is at work in it, or the folder is not of segue's making.
    """
    if not processes.is_main():
        yield
        return
    check_run(root)
    with locked(root / LOCK, root, mend="choose another --runs", stays=True):
        remove_temporaries(root, below=False)
        yield


def check_run(root: Path) -> None:
    """Refuse to write a run into a folder that holds something else: a stage starts with an empty folder."""
    made = (root / LOCK).is_file() or any(root.glob(f"*/{STARTED}")) or not root.exists()
    if not made and any(root.iterdir()):
        raise InputError(f"{root}: holds files that are no run of segue's; choose another name or --runs")


def run_stages(study: Study, only: str | None, say: Callable[[str], None]) -> None:
    """What `run` does, in a folder of its own."""
    todo, root = stages(study), study.directory
    wanted = set(todo) if only is None else needed(todo, only)
    marks: dict[str, str] = {}
    for name, stage in todo.items():
        marks[name] = fingerprint([name, stage.settings, [marks[need] for need in stage.needs]])
    left = processes.alone(lambda: {name for name in wanted if is_left(root / name, marks[name])})
    if any(todo[name].trains for name in left):
        check_installed(("accelerate", "tensorboard"), extra="train", what="training")
    if left:
        processes.alone(lambda: check_room(study, left, say))
    for name, stage in todo.items():
        if name not in wanted:
            continue
        mark = marks[name]
        done, fault = processes.alone(partial(done_as, root / name, mark))
        if fault:
            say(f"{fault}: {name} is done again")
        if done:
            other = "" if done.get("version") == __version__ else ", by another version of segue"
            say(f"{name}: done before{other} ({done['seconds']:.0f} s)")
            continue
        if other_run := processes.alone(partial(reused, root, name, mark)):
            say(f"{name}: the same as {other_run} has done")
            continue
        say(f"{name} ...")
        needs = {need: marks[need] for need in stage.needs}
        seconds = perform(study, stage, root / name, {"fingerprint": mark, "needs": needs})
        say(f"{name}: {seconds:.0f} s")


def reused(root: Path, name: str, mark: str) -> str | None:
    """Reuse a stage that a neighbouring run has done with the same inputs; the name of that run, if there is one."""
    for path in sorted(root.parent.glob(f"*/{name}/{DONE}")):
        if done_as(path.parent, mark)[0] is None:
            continue
        if (root / name).exists():
            start_stage(root / name, mark)  # which refuses to replace what is not segue's
        with whole_folder(root / name, replaces=STARTED) as partial_folder:
            shutil.copytree(path.parent, partial_folder, copy_function=link, dirs_exist_ok=True)
        return path.relative_to(root.parent).parts[0]
    return None


def link(source: str, target: str) -> None:
    """A hard link, or a copy where the file system has none. No stage changes a finished file."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def perform(study: Study, stage: Stage, directory: Path, facts: dict[str, Any]) -> float:
    """Run one stage in `directory`, from the checkpoint of an interrupted attempt if there is one.

    Args:
        facts: of done.json: the stage's fingerprint, and those of what it needs.
    """
    processes.alone(lambda: start_stage(directory, facts["fingerprint"]))
    before = time.perf_counter()
    with writing(directory):  # what the stage writes beside its files: logs
        result = stage.work(study, directory) if stage.trains else processes.alone(lambda: stage.work(study, directory))
    seconds = float(result.pop("seconds", time.perf_counter() - before))
    processes.alone(lambda: finish_stage(directory, {**facts, "seconds": seconds}, result))
    return seconds


def needed(todo: dict[str, Stage], only: str) -> set[str]:
    """The stages called `only` (or under it), and all that they need."""
    wanted = {name for name in todo if name == only or name.startswith(only + "/")}
    frontier = list(wanted)
    while frontier:
        new = set(todo[frontier.pop()].needs) - wanted
        wanted |= new
        frontier += new
    return wanted
