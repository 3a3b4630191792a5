"""A disk that is full, read only or forbidden, at every stage: one line, no temporaries, and afterwards all goes on."""

import errno
import os
import shutil
from functools import cache
from pathlib import Path

import pytest
from children import Ended, How, in_child, outcome_of, temporaries, write_figures
from small_study import scratch, trained

from segue.cli import main
from segue.disk import in_bytes

pytestmark = pytest.mark.xdist_group("small_study")
STAGES = [
    "prepare", "segmentor", "judge", "panel/second", "measure", "regressor", "pretrain/map", "pretrain/broadcast",
    "finetune/pos_seg_cft", "finetune/segue_broadcast", "inputs", "evaluate", "report",
]  # fmt: skip
FULL = [(stage, when) for stage in STAGES for when in ("early", "late")]
REFUSED = [(stage, error) for stage in STAGES for error in (errno.EROFS, errno.EACCES)]
LITTLE = 8  # bytes; what `tempfile` tries a folder with fits in
FEW = (("prepare", "late"), ("segmentor", "early"), ("measure", "late"), ("report", "late"))


@cache
def undisturbed() -> dict[str, str]:
    return outcome_of(trained()[1])


def without(stage: str, folder: Path) -> Path:
    """A copy of the trained run in which a stage is not done."""
    run = Path(shutil.copytree(trained()[1], folder / "runs" / "small"))
    shutil.rmtree(run / stage)
    return run


def command(run: Path) -> list[str]:
    return ["run", str(trained()[0]), "--runs", str(run.parent)]


def largest_of(stage: str) -> int:
    return max(path.stat().st_size for path in (trained()[1] / stage).rglob("*") if path.is_file())


def check_one_line(ended: Ended, folder: Path) -> None:
    assert ended.code == 2, ended.err[-2000:]
    (line,) = ended.lines
    assert "Traceback" not in ended.err and str(folder) in line and "cannot be written" in line, ended.err[-2000:]


def check_goes_on(run: Path) -> None:
    """The same command, once the disk is well, ends as if nothing had been."""
    ended = in_child(command(run), How(run))
    assert ended.code == 0, ended.err[-2000:]
    assert outcome_of(run) == undisturbed() and not temporaries(run)


def disk_is_full(stage: str, when: str, folder: Path) -> None:
    run = without(stage, folder)
    largest = LITTLE if when == "early" else largest_of(stage) - 1
    ended = in_child(command(run), How(run, largest=largest))
    check_one_line(ended, run)
    assert "it needs" in ended.err and "make room" in ended.err and not temporaries(run)
    check_goes_on(run)


def writes_are_refused(stage: str, error: int, folder: Path) -> None:
    run = without(stage, folder)
    first = 1 if error == errno.EROFS else 6  # nothing may be written, not even the lock; or not what comes after it
    ended = in_child(command(run), How(run, refuse_from=first, refuse_with=error))
    check_one_line(ended, run)
    assert os.strerror(error) in ended.err
    check_goes_on(run)


@pytest.mark.parametrize(("stage", "when"), FEW)
def test_a_full_disk_is_one_line_and_the_same_command_ends_the_same(tmp_path, stage, when):
    disk_is_full(stage, when, tmp_path)


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES])
def test_a_refused_write_is_one_line_and_the_same_command_ends_the_same(tmp_path, error):
    writes_are_refused("measure", error, tmp_path)


@pytest.mark.slow
def test_26_full_disks(tmp_path):
    for number, (stage, when) in enumerate(FULL):
        disk_is_full(stage, when, tmp_path / str(number))
        shutil.rmtree(tmp_path / str(number))
    write_figures("full_disks", {"disks": len(FULL), "one_line": len(FULL), "identical_afterwards": len(FULL)})


@pytest.mark.slow
def test_28_refused_writes(tmp_path):
    for number, (stage, error) in enumerate(REFUSED):
        writes_are_refused(stage, error, tmp_path / str(number))
        shutil.rmtree(tmp_path / str(number))
    for error in (errno.EROFS, errno.EACCES):
        answers_are_refused(tmp_path / str(error), refuse_from=1, refuse_with=error)
    count = len(REFUSED) + 2
    write_figures("refused_writes", {"writes": count, "one_line": count, "identical_afterwards": count})


@cache
def question() -> Path:
    """Two images of a phantom."""
    folder = scratch() / "cohort"
    assert main(["phantom", str(folder), "--images", "2", "--size", "[32,96]"]) == 0
    return folder / "images"


def answers_are_refused(folder: Path, **how: int) -> None:
    """Counterfactuals of two files: all of them are written, or none."""
    folder.mkdir(parents=True)
    images, do = [str(path) for path in sorted(question().iterdir())], ["--do", "lumen@mid=+10%"]
    ask = ["counterfactual", "coronary-phantom", *images, *do, "--out", str(folder / "answers")]
    ended = in_child(ask, How(folder, **how))
    check_one_line(ended, folder)
    assert not list(folder.iterdir())
    assert in_child(ask, How(folder)).code == 0
    assert len(list((folder / "answers").iterdir())) == 4


@pytest.mark.parametrize("how", [{"largest": LITTLE}, {"largest": 2000}, {"refuse_from": 1}, {"refuse_from": 2}])
def test_answers_are_written_all_or_none(tmp_path, how):
    if "refuse_from" in how:
        how = how | {"refuse_with": errno.ENOSPC}
    answers_are_refused(tmp_path / "here", **how)


def test_a_place_that_is_a_file_is_one_line(tmp_path, capsys):
    (tmp_path / "runs").write_text("in the way")
    assert main(["run", str(trained()[0]), "--runs", str(tmp_path / "runs")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be written" in line and (tmp_path / "runs").read_text() == "in the way"


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said(tmp_path, capsys, monkeypatch, error):
    import filelock

    def refuse(self, *given, **more):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    assert main(["phantom", str(tmp_path / "out"), "--images", "1", "--size", "[16,48]"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ") and "gives no locks" in line
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_room_that_is_needed_is_said(tmp_path):
    run = without("measure", tmp_path)
    size = (trained()[1] / "measure" / "measured.safetensors").stat().st_size
    ended = in_child(command(run), How(run, largest=size - 1))
    assert f"it needs {in_bytes(size)}" in ended.err and str(run / "measure") in ended.err
