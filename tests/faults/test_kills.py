"""A command that is killed (SIGKILL) at any of its file operations, and given again, ends as if it had not been."""

import random
import shutil
from pathlib import Path

import pytest
from children import How, in_child, outcome_of, temporaries, write_figures
from small_study import STUDY, write_study

CHANGES = ["--hvae.conditioning", "[map]", "--finetune.guides", "[none, region]"]
KILLS = 50


def killed_again_and_again(command: list[str], run: Path, kills: int, seed: int) -> int:
    """Kill a command at random operations until it was killed `kills` times or is done; the number of kills."""
    draw, done = random.Random(seed), 0
    while done < kills:
        at = draw.randint(1, 40)
        ended = in_child(command, How(run, kill_at=at))
        if ended.code == 0:
            break
        assert ended.code == -9, ended.err[-2000:]
        done += 1
    ended = in_child(command, How(run))
    assert ended.code == 0, ended.err[-2000:]
    return done


def compare(tmp_path: Path, name: str, changes: list[str], kills: int) -> int:
    """A study that is killed and one that is not."""
    tmp_path.mkdir(exist_ok=True)
    study = write_study(tmp_path, STUDY)
    for runs in ("whole", "killed"):
        command = [name, str(study), "--runs", str(tmp_path / runs), *changes]
        if runs == "whole":
            assert in_child(command, How(tmp_path / runs)).code == 0
        else:
            done = killed_again_and_again(command, tmp_path / runs, kills, seed=kills)
    assert outcome_of(tmp_path / "killed") == outcome_of(tmp_path / "whole")
    assert not temporaries(tmp_path) and {path.name for path in tmp_path.iterdir()} == {"study.yaml", "whole", "killed"}
    return done


def test_three_kills(tmp_path):
    assert compare(tmp_path, "measure", ["--segmentor.budget.steps", "4"], kills=3) == 3


@pytest.mark.slow
def test_50_kills(tmp_path):
    done = 0
    for number in range(5):
        done += compare(tmp_path / str(number), "run", CHANGES, kills=8 + number)
        shutil.rmtree(tmp_path / str(number))
    assert done >= KILLS
    write_figures("kills", {"kills": done, "identical": done})
