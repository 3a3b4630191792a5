"""The stages of a study, what each needs, and when it is done: a stage stands with the fingerprint of its inputs."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from segue import __version__, processes
from segue.cohort.folder import list_folder
from segue.cohort.io import stamp
from segue.errors import InputError
from segue.files import write_text
from segue.nets.weights import NETWORK
from segue.pipeline import folds
from segue.pipeline.common import Result, command, commit
from segue.pipeline.image import finetune, pretrain
from segue.pipeline.judging import evaluate, evaluate_elsewhere, report_study
from segue.pipeline.predictors import measure_cohort, train_regressor, train_segmentor
from segue.pipeline.prepare import prepare
from segue.pipeline.recipes import recipes
from segue.pipeline.scm import fit_graph
from segue.study.derived import asked, consulted, folds_of, plain, to_yaml
from segue.study.schema import SegmentorSettings, Study
from segue.training.guides import GUIDES

__all__ = ["Stage", "evaluate_elsewhere", "run", "stages"]
Work = Callable[[Study, Path], Result]


@dataclass(frozen=True)
class Stage:
    """One piece of work: its `settings` and the fingerprints of what it `needs` decide whether it is done.

    Where several processes do a study, what `trains` is done by all of them, the rest by the main one.
    """

    name: str
    needs: tuple[str, ...]
    settings: Any
    work: Work
    trains: bool = False


def stages(study: Study) -> dict[str, Stage]:
    """Every stage of a study, in an order in which they can run."""
    cohort, hvae, tuning = study.cohort, study.hvae, study.finetune
    training = {"precision": study.precision}
    maps, judged_maps = maps_of(study.partitions), maps_of(study.evaluate.partitions)
    listed = [
        Stage("prepare", (), [asked(cohort), source(study)], prepare),
        segmentor("segmentor", study.segmentor, training),
        segmentor("judge", study.judge, training, split="judge"),
        *(segmentor(f"panel/{name}", one, training) for name, one in consulted(study).items()),
        Stage("measure", ("segmentor",), [asked(study.partitions), study.variables, maps], measure_cohort),
    ]
    if study.graph:  # before what takes long: a graph that is wrong is seen early
        listed.append(Stage("scm", ("measure",), [asked(study.graph), asked(study.scm)], fit_graph))
    all_methods = recipes(study)
    tuned = {m.directory: (m, m.tuning.trained) for m in all_methods.values() if m.tuning}
    if any("regressor" in GUIDES[variant.guide].needs for _, variant in tuned.values()):
        listed.append(Stage("regressor", ("measure",), [asked(study.regressor), training], train_regressor, True))
    shape = {k: v for k, v in asked(hvae).items() if k not in ("conditioning", "start")}
    if hvae.start is not None:
        shape["start"] = stamp(hvae.start / NETWORK)
    for conditioning in hvae.conditioning:
        listed.append(Stage(f"pretrain/{conditioning}", ("measure",), [shape, training], pretrain(conditioning), True))
    common = {k: v for k, v in asked(tuning).items() if k not in ("guides", "variants")}
    for directory, (method, variant) in tuned.items():
        needs = (f"pretrain/{method.conditioning}", *GUIDES[variant.guide].needs)
        settings = [common, asked(variant), training]
        listed.append(Stage(f"finetune/{directory.name}", needs, settings, finetune(method), True))
    trained = tuple(s.name for s in listed if s.name not in ("prepare", "scm"))  # judged whatever the graph says
    judging = [study.name, asked(study.evaluate), list(all_methods), *judged_maps]
    judging += [{"baselines": study.baselines}] if study.baselines else []
    judging += [{n: asked(m.tuning)} for n, m in all_methods.items() if m.tuning and m.tuning != m.tuning.trained]
    listed.append(Stage("evaluate", trained, judging, evaluate))
    shown = ("evaluate", *(["scm"] if study.graph else []))
    listed.append(Stage("report", shown, study.notes, report_study))
    return {stage.name: stage for stage in listed}


def segmentor(name: str, settings: SegmentorSettings, training: Any, **more: Any) -> Stage:
    """The stage that trains a segmentor."""
    work = partial(train_segmentor, settings, title=name, **more)
    return Stage(name, ("prepare",), [asked(settings), training], work, True)


def run(study: Study, only: str | None = None, say: Callable[[str], None] = lambda line: None) -> Path:
    """Do what is missing of a study, or of the stage `only` and what it needs; return the run's folder.

    Each finished stage leaves done.json. One that was cut short goes on from its checkpoint; one whose inputs or
    settings changed starts anew; one that another run in the same folder has done alike is taken from there. Of a
    cross-validation this holds for each fold, in a folder of its own; `evaluate` and `report` then pool them.
    """
    root = study.directory
    with held(root):
        processes.alone(lambda: write_text(root / "study.yaml", to_yaml(study)))
        parts = folds_of(study)
        if not parts:
            work_through(study, only, say)
        for fold in parts:
            run(fold, only, lambda line, name=fold.name: say(f"{name}: {line}"))  # type: ignore[misc]
        if parts and only in (None, "evaluate", "report"):
            processes.alone(lambda: folds.pool_folds(study))
    return root


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Make a run's folder, and keep every other command out of it; a command that dies lets go of it."""
    if not processes.is_main():
        yield
        return
    root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / ".lock", timeout=0):
            yield
    except Timeout:
        raise InputError(f"{root}: another command is at work in it: wait for it, or choose another --runs") from None


def work_through(study: Study, only: str | None, say: Callable[[str], None]) -> None:
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
        if other_run := processes.alone(lambda name=name: borrowed(root, name, fingerprints[name])):  # type: ignore[misc]
            say(f"{name}: the same as {other_run} has done")
            continue
        say(f"{name} ...")
        seconds = perform(study, stage, root / name, {"fingerprint": fingerprints[name], "needs": needs})
        say(f"{name}: {seconds:.0f} s")


def borrowed(root: Path, name: str, mark: str) -> str | None:
    """Take a stage from a neighbouring run that did the same with the same; the name of that run, if there is one."""
    for path in sorted(root.parent.glob(f"*/{name}/done.json")):
        if (read_done(path.parent) or {}).get("fingerprint") != mark:
            continue
        taken = root / f"{name}.tmp"
        shutil.rmtree(taken, ignore_errors=True)
        shutil.copytree(path.parent, taken, copy_function=link)
        shutil.rmtree(root / name, ignore_errors=True)
        taken.rename(root / name)
        return path.relative_to(root.parent).parts[0]
    return None


def link(source: str, target: str) -> None:
    """The same file under another name, or a copy where the file system knows no links: no stage writes into a file."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def perform(study: Study, stage: Stage, directory: Path, facts: dict[str, Any]) -> float:
    """Run one stage in `directory`, keeping what an interrupted try at the same thing left there.

    Args:
        facts: of done.json: the stage's fingerprint, and those of what it needs.
    """
    processes.alone(lambda: begin(directory, facts["fingerprint"]))
    before = time.perf_counter()
    result = stage.work(study, directory) if stage.trains else processes.alone(lambda: stage.work(study, directory))
    seconds = float(result.pop("seconds", time.perf_counter() - before))
    processes.alone(lambda: conclude(directory, {**facts, "seconds": seconds}, result))
    return seconds


def begin(directory: Path, mark: str) -> None:
    """Make the directory ready: as it was left by the same work cut short, or empty."""
    started = directory / "started.json"
    if not started.exists() or json.loads(started.read_text())["fingerprint"] != mark:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        write_text(started, json.dumps({"fingerprint": mark}))
    (directory / "done.json").unlink(missing_ok=True)


def conclude(directory: Path, facts: dict[str, Any], result: Result) -> None:
    """Leave done.json."""
    record = {**facts, "version": __version__, "commit": commit(), "command": command(), **result}
    write_text(directory / "done.json", json.dumps(record, indent=1))
    (directory / "checkpoint.pt").unlink(missing_ok=True)  # until then, an interruption goes on from it


def needed(todo: dict[str, Stage], only: str) -> set[str]:
    """The stages called `only` (or under it), and all that they need."""
    wanted = {name for name in todo if name == only or name.startswith(only + "/")}
    frontier = list(wanted)
    while frontier:
        new = set(todo[frontier.pop()].needs) - wanted
        wanted |= new
        frontier += new
    return wanted


def source(study: Study) -> Any:
    """What identifies a folder's content without reading it: names, sizes and times of its files."""
    cohort = study.cohort
    if cohort.folder is None:
        return None
    cases = list_folder(
        cohort.folder, size=cohort.size, subject_pattern=cohort.subject_pattern, covariates=cohort.covariates
    )
    paths = [path for case in cases for path in (case.image, case.mask)]
    table = cohort.folder / "table.csv"
    return [stamp(path) for path in [*paths, *([table] if table.exists() else [])]]


def maps_of(partitions: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """What identifies the files that partitions are drawn in."""
    return [stamp(path) for part in partitions.values() for path in part.values() if isinstance(path, Path)]


def fingerprint(content: Any) -> str:
    return hashlib.sha256(json.dumps(plain(content), sort_keys=True, default=str).encode()).hexdigest()


def read_done(directory: Path) -> dict[str, Any] | None:
    path = directory / "done.json"
    return json.loads(path.read_text()) if path.exists() else None
