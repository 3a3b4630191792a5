"""A study, stage by stage: a stage is done when done.json stands in its folder with the fingerprint of its inputs."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segue import __version__, processes
from segue.disk import writing
from segue.errors import InputError
from segue.files import remove_temporaries, whole_folder, write_text
from segue.locks import locked
from segue.pipeline import folds
from segue.pipeline.common import Result, command, commit
from segue.pipeline.judging import evaluate_elsewhere
from segue.pipeline.stages import Stage, fingerprint, stages
from segue.study.derived import folds_of, to_yaml
from segue.study.schema import Study

LOCK, STARTED, DONE = ".lock", "started.json", "done.json"

__all__ = ["Stage", "evaluate_elsewhere", "fingerprint", "perform", "read_done", "run", "stages"]


def run(study: Study, only: str | None = None, say: Callable[[str], None] = lambda line: None) -> Path:
    """Do what is missing of a study, or of the stage `only` and what it needs; return the run's folder.

    Each finished stage leaves done.json. An interrupted stage continues from its checkpoint. A stage whose inputs or
    settings changed starts anew. A stage that another run in the same folder has done with the same settings is reused.
    For a cross-validation this holds for each fold, in a folder of its own; `evaluate` and `report` then pool folds.
    """
    root = study.directory
    with own_run(root):
        processes.alone(lambda: write_text(root / "study.yaml", to_yaml(study)))
        parts = folds_of(study)
        if not parts:
            run_stages(study, only, say)
        for fold in parts:
            run(fold, only, lambda line, name=fold.name: say(f"{name}: {line}"))  # type: ignore[misc]
        if parts and only in (None, "evaluate", "report"):
            processes.alone(lambda: folds.pool_folds(study))
    return root


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
    with writing(root / LOCK):
        root.mkdir(parents=True, exist_ok=True)
    with locked(root / LOCK, root, mend="choose another --runs", stays=True):
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
    fingerprints: dict[str, str] = {}
    for name, stage in todo.items():
        needs = {need: fingerprints[need] for need in stage.needs}
        fingerprints[name] = fingerprint([name, stage.settings, list(needs.values())])
        if name not in wanted:
            continue
        done = processes.alone(lambda name=name: read_done(root / name))  # type: ignore[misc]
        if done and done["fingerprint"] == fingerprints[name]:
            other = "" if done.get("version") == __version__ else ", by another version of segue"
            say(f"{name}: done before{other} ({done['seconds']:.0f} s)")
            continue
        if other_run := processes.alone(lambda name=name: reused(root, name, fingerprints[name])):  # type: ignore[misc]
            say(f"{name}: the same as {other_run} has done")
            continue
        say(f"{name} ...")
        seconds = perform(study, stage, root / name, {"fingerprint": fingerprints[name], "needs": needs})
        say(f"{name}: {seconds:.0f} s")


def reused(root: Path, name: str, mark: str) -> str | None:
    """Reuse a stage that a neighbouring run has done with the same inputs; the name of that run, if there is one."""
    for path in sorted(root.parent.glob(f"*/{name}/{DONE}")):
        if (read_done(path.parent) or {}).get("fingerprint") != mark:
            continue
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
    result = stage.work(study, directory) if stage.trains else processes.alone(lambda: stage.work(study, directory))
    seconds = float(result.pop("seconds", time.perf_counter() - before))
    processes.alone(lambda: finish_stage(directory, {**facts, "seconds": seconds}, result))
    return seconds


def start_stage(directory: Path, mark: str) -> None:
    """Make the directory ready: as an interrupted attempt at the same work left it, or empty.

    Raises:
        InputError: the directory holds files, and no stage was begun in it: they are not segue's to remove.
    """
    with writing(directory / STARTED):
        directory.mkdir(parents=True, exist_ok=True)
    remove_temporaries(directory)
    begun = begun_as(directory)
    if begun is None and any(directory.iterdir()):
        raise InputError(f"{directory}: holds files that segue did not make; move them, or choose another name")
    if begun != mark:
        empty(directory)
        write_text(directory / STARTED, json.dumps({"fingerprint": mark}))
    (directory / DONE).unlink(missing_ok=True)


def begun_as(directory: Path) -> str | None:
    """The fingerprint of the work that was begun in a stage's folder, "" where it cannot be read; None: none was."""
    started = directory / STARTED
    if not started.is_file():
        return "" if (directory / DONE).is_file() else None
    try:
        return str(json.loads(started.read_text())["fingerprint"])
    except (ValueError, KeyError, TypeError):
        return ""


def empty(directory: Path) -> None:
    """Remove what a stage's folder holds, but the marks that it is segue's: a kill meanwhile leaves them."""
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in (STARTED, DONE):
            path.unlink()


def finish_stage(directory: Path, facts: dict[str, Any], result: Result) -> None:
    """Write done.json, and remove the checkpoint."""
    record = {**facts, "version": __version__, "commit": commit(), "command": command(), **result}
    write_text(directory / DONE, json.dumps(record, indent=1))
    (directory / "checkpoint.pt").unlink(missing_ok=True)


def needed(todo: dict[str, Stage], only: str) -> set[str]:
    """The stages called `only` (or under it), and all that they need."""
    wanted = {name for name in todo if name == only or name.startswith(only + "/")}
    frontier = list(wanted)
    while frontier:
        new = set(todo[frontier.pop()].needs) - wanted
        wanted |= new
        frontier += new
    return wanted


def read_done(directory: Path) -> dict[str, Any] | None:
    """done.json of a stage's folder; None where the stage is not done."""
    path = directory / DONE
    return json.loads(path.read_text()) if path.exists() else None
