"""One writer at a time, and results that are named by what they are of."""

import subprocess
import sys
from pathlib import Path

import pytest

from segue.errors import InputError
from segue.files import lock_beside, whole_folder, write_text
from segue.study.derived import named_by

HOLDER = "import sys, filelock; a = filelock.FileLock(sys.argv[1]); a.acquire(); print(flush=True); input()"


def test_a_folder_that_another_command_writes_is_left_to_it(tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-c", HOLDER, str(lock_beside(out))]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    other.stdout.readline()
    with pytest.raises(InputError, match="out: another command is at work in it"), whole_folder(out):
        pytest.fail("it is locked")
    assert not out.exists()
    other.kill()  # a command that died holds nothing
    other.wait()
    with whole_folder(out) as partial:
        write_text(partial / "a.txt", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_folders_of_one_name_have_results_of_two():
    names = {named_by("hospital", [Path(where) / "hospital", []]) for where in "AB"}
    assert len(names) == 2 and all(name.startswith("hospital-") for name in names)
    assert named_by("..", 1) == named_by("", 1) and "/" not in named_by("a/../b", 1)
