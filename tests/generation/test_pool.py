"""The pool of actors on a Ray cluster: the same output as in-process, and a worker that dies costs nothing."""

import importlib.util
import os
import signal

import numpy as np
import pytest
import torch
from small_study import trained
from test_generate import FEW, PLAN, cohort, command, made, refused, write

from segue.cli import main
from segue.errors import InputError
from segue.generation import pool
from segue.generation.worker import Tally

pytestmark = pytest.mark.xdist_group("small_study")


@pytest.fixture(scope="module")
def cluster():
    """A local Ray that several tests share: starting one takes seconds."""
    pool.quiet_environment()
    import ray

    ray.init(address="local", num_cpus=2, object_store_memory=100 << 20, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.parametrize(
    ("cores", "workers", "threads"),
    [([2], 1, 2), ([2], 2, 1), ([8], 3, 2), ([8, 8, 8], 4, 4), ([8, 3], 3, 3), ([1], 4, 1), ([], 2, 1)],
)
def test_threads_are_the_most_with_which_all_workers_find_room(cores, workers, threads):
    assert pool.threads_each([{"CPU": float(n)} for n in cores], workers) == threads


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere"])
def test_no_cluster_at_the_address(tmp_path, capsys, address):
    arguments = command(trained()[1], cohort(), write(tmp_path, PLAN), tmp_path / "out", "--address", address)
    assert f"--address {address}: no Ray cluster answers there" in refused(capsys, arguments)


def test_a_cluster_leaves_what_one_process_leaves(tmp_path, cluster):
    plan = write(tmp_path, PLAN)
    for out, options in {"one": [], "ray": ["--workers", "2", "--address", "that of the fixture"]}.items():
        assert main(command(trained()[1], cohort(), plan, tmp_path / out, *FEW, *options)) == 0
    (one, one_sums), (two, two_sums) = made(tmp_path / "one"), made(tmp_path / "ray")
    assert one.equals(two) and one_sums == two_sums and len(one) == 3 * 18
    assert {p.name for p in (tmp_path / "one").iterdir()} == {p.name for p in (tmp_path / "ray").iterdir()}


def test_a_worker_that_dies_is_replaced_and_its_shard_done_once_more(tmp_path, cluster):
    def opened():
        def work(number: int) -> Tally:
            marker = tmp_path / "died"
            if number == 3 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            (tmp_path / f"{number}.done").touch()
            return Tally(number, 0)

        return work

    tallies = list(pool.on_ray(opened, range(8), workers=1, address="here", log=tmp_path / "log"))
    assert (tmp_path / "died").exists()
    assert sorted(tally.counterfactuals for tally in tallies) == list(range(8))
    assert len(list(tmp_path.glob("*.done"))) == 8


def refused_by(work):
    def refuse(number: int = 0) -> Tally:
        raise InputError("out: cannot be written; mend that")

    return (lambda: refuse) if work else refuse


def test_what_only_an_actor_sees_reaches_the_user_in_one_line(tmp_path, cluster):
    with pytest.raises(InputError) as raised:
        list(pool.on_ray(refused_by(work=True), range(2), workers=1, address="here", log=tmp_path / "log"))
    assert str(raised.value) == "out: cannot be written; mend that"


def test_a_worker_that_cannot_be_opened_says_so_with_its_first_shard():
    answered = pool.Actor(refused_by(work=False), torch.get_num_threads())({"item": np.array([0])})
    assert answered["problem"] == ["out: cannot be written; mend that"]


def test_without_ray_the_extra_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    arguments = command(trained()[1], cohort(), write(tmp_path, PLAN), tmp_path / "out", "--address", "head:6379")
    assert "segue-counterfactual[ray]" in refused(capsys, arguments)
    assert not (tmp_path / "out").exists()
