"""Helpers on one machine: the same output as one process, and a helper that dies costs nothing."""

import multiprocessing
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from small_study import trained
from test_generate import FEW, PLAN, cohort, command, made, write

from segue.cli import main
from segue.errors import InputError
from segue.generation import helpers
from segue.generation.helpers import with_helpers
from segue.generation.worker import Tally
from segue.hardware import threads

pytestmark = pytest.mark.xdist_group("small_study")


def test_two_workers_leave_what_one_leaves(tmp_path):
    plan = write(tmp_path, PLAN)
    for workers in ("1", "2"):
        assert main(command(trained()[1], cohort(), plan, tmp_path / workers, *FEW, "--workers", workers)) == 0
    (one, one_sums), (two, two_sums) = made(tmp_path / "1"), made(tmp_path / "2")
    assert one.equals(two) and one_sums == two_sums and len(one) == 3 * 18
    assert {p.name for p in (tmp_path / "1").iterdir()} == {p.name for p in (tmp_path / "2").iterdir()}


def work(folder: Path, first: int, number: int) -> Tally:
    """Note who did a shard. The first process waits until the other has begun."""
    (folder / f"{number}-{os.getpid()}").touch()
    give_up = time.monotonic() + 60
    while os.getpid() == first and not others(folder, first) and time.monotonic() < give_up:
        time.sleep(0.01)
    return Tally(number, torch.get_num_threads())


def others(folder: Path, first: int) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.endswith(f"-{first}")]


def die(folder: Path, first: int, number: int) -> Tally:
    """A helper dies once one of them has done a shard."""
    if os.getpid() != first and others(folder, first):
        os.kill(os.getpid(), signal.SIGKILL)
    return work(folder, first, number)


def refuse(number: int) -> Tally:
    raise InputError("out: cannot be written; mend that")


def opened(what, *given):
    return partial(what, *given)


def opened_by_none():
    raise InputError("run: is another one; give one folder")


def test_all_work_and_share_the_threads(tmp_path):
    before, first = torch.get_num_threads(), os.getpid()
    here, there = partial(work, tmp_path, first), partial(opened, work, tmp_path, first)
    done = list(with_helpers(here, there, range(8), workers=3))
    assert sorted(tally.counterfactuals for tally in done) == list(range(8))
    assert sorted(int(path.name.split("-")[0]) for path in tmp_path.iterdir()) == list(range(8))
    assert others(tmp_path, first) and len(others(tmp_path, first)) < 8
    assert {tally.quarantined for tally in done} == {max(1, before // 3)} and torch.get_num_threads() == before


def test_what_a_helper_that_died_had_is_done_by_those_that_remain(tmp_path):
    first = os.getpid()
    done = with_helpers(partial(die, tmp_path, first), partial(opened, die, tmp_path, first), range(8), workers=3)
    assert sorted(tally.counterfactuals for tally in done) == list(range(8))
    assert 1 <= len(others(tmp_path, first)) <= 2  # what helpers did before they died


@pytest.mark.parametrize("opening", [True, False])
def test_what_only_a_helper_sees_reaches_the_user_in_one_line(opening):
    there = opened_by_none if opening else partial(opened, refuse)
    with pytest.raises(InputError, match="^run: is another" if opening else "^out: cannot be"):
        list(with_helpers(lambda number: Tally(1, 0), there, range(4), workers=3))


def test_workers_take_the_cards_in_turns(monkeypatch):
    """Three helpers beside the first process, which has card 0, on a machine with two cards."""
    given, cards = [], []

    class Noted(helpers.BaseProcess):
        def __init__(self, *, target, args, daemon):
            given.append((target, args))

        start = terminate = join = lambda self: None

    context = multiprocessing.get_context("spawn")
    monkeypatch.setattr(context, "Process", Noted)
    monkeypatch.setattr(helpers, "context_for", lambda count: context)
    with helpers.running(opened_by_none, 1, 3):
        pass
    monkeypatch.setattr(helpers.signal, "signal", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", cards.append)
    for target, (_, *rest) in given:
        with threads(1):
            target(multiprocessing.Pipe()[1], *rest)
    assert cards == [1, 0, 1]


def test_none_is_left_when_the_caller_stops(tmp_path):
    first = os.getpid()
    tallies = with_helpers(partial(work, tmp_path, first), partial(opened, work, tmp_path, first), range(50), workers=3)
    next(tallies)
    tallies.close()
    assert others(tmp_path, first)
    for pid in {int(name.split("-")[1]) for name in others(tmp_path, first)}:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
