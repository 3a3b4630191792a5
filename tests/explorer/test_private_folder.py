"""Uploads are deleted by age, when the server ends, and by the next server after a kill."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from segue.explorer import private_folder
from segue.explorer.private_folder import PrivateFolder, remove_abandoned, scratch

HOLDER = """import sys, time
from segue.explorer.private_folder import PrivateFolder
print(PrivateFolder().path, flush=True)
time.sleep(60)"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def aged(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_nobody_else_can_read_it_and_it_ends(temporary):
    folder = PrivateFolder()
    assert folder.path.stat().st_mode & 0o077 == 0 and os.environ["GRADIO_TEMP_DIR"] == str(folder.path)
    with scratch() as inside:
        assert Path(inside).parent == folder.path
    folder.remove()
    folder.remove()
    assert not folder.path.exists() and os.environ.get("GRADIO_TEMP_DIR") != str(folder.path)


def test_old_files_go_and_young_ones_stay_whatever_they_are_called(temporary):
    folder = PrivateFolder()
    for name in ("a/scan.png", "a/upload.nii.gz", "b/scan.png", "left-over"):
        (folder.path / name).parent.mkdir(exist_ok=True)
        (folder.path / name).write_text("x")
    for name in ("a/scan.png", "a/upload.nii.gz", "left-over", "a"):
        aged(folder.path / name, 4000)
    folder.forget(3600)
    assert [path.name for path in folder.path.iterdir() if path.name != ".lock"] == ["b"]
    folder.remove()


def test_what_a_killed_server_left_is_deleted_by_the_next_and_a_running_one_keeps_its_own(temporary, monkeypatch):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    left = Path(holder.stdout.readline().strip())
    (left / "scan.png").write_text("x")
    aged(left, 3600)
    remove_abandoned(temporary)
    assert (left / "scan.png").exists()  # it runs
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    remove_abandoned(temporary)
    assert not left.exists()


def test_a_link_in_the_place_of_a_folder_is_left_alone(temporary, tmp_path_factory):
    kept = tmp_path_factory.mktemp("kept")
    (kept / "own").write_text("x")
    link = temporary / f"{private_folder.PREFIX}evil"
    link.symlink_to(kept)
    aged(kept, 3600)
    remove_abandoned(temporary)
    assert (kept / "own").exists()
