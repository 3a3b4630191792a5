import json

import pytest
import several
import torch.distributed as dist

from segue import rendezvous
from segue.errors import RanksLost


@pytest.fixture
def invited(monkeypatch):
    """What torchrun tells a process, with nobody else there."""
    store = dist.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)

    def invited(rank: int, world: int) -> None:
        facts = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "localhost"}
        for name, value in (facts | {"MASTER_PORT": store.port, "TORCHELASTIC_USE_AGENT_STORE": True}).items():
            monkeypatch.setenv(name, str(value))

    return invited


def test_without_torchrun_there_is_nobody_to_wait_for():
    with rendezvous.joined(strategy="fsdp"):
        assert rendezvous.alone(lambda: {"a": (1, 2)}) == {"a": (1, 2)}
        rendezvous.note("somewhere")
        assert rendezvous.strategy() == "ddp" and not dist.is_initialized()


def test_one_process_of_torchruns_does_all_by_itself(invited):
    invited(0, 1)
    with rendezvous.joined(strategy="fsdp"):
        assert rendezvous.strategy() == "fsdp" and dist.get_world_size() == 1
        rendezvous.note("somewhere")
        assert rendezvous.alone(lambda: [3]) == [3]
    assert not dist.is_initialized() and rendezvous.strategy() == "ddp"


def test_who_does_not_come_is_named(invited):
    invited(0, 3)
    with pytest.raises(RanksLost, match="ranks 1, 2 did not come within 1 s"), rendezvous.joined(timeout=1.0):
        pass


def test_waiting_for_the_main_process_outlasts_the_time_out_of_collectives(tmp_path):
    several.run(2, tmp_path, {"task": "outwait", "seconds": 10}, timeout=8)
    assert [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)] == [{"found": [1, 2]}] * 2


def test_a_process_that_hangs_is_named_when_the_time_is_out(phantom_path, tmp_path):
    task = {"task": "train", "store": phantom_path, "hang": "1:3"}
    line = several.last_word(2, tmp_path, task, timeout=8)
    assert "rank 1 missing (rank 1 last seen at step 3 of elbo; rank 0 is at step 3 of elbo)" in line


def test_one_mistake_is_one_line_whoever_finds_it(tmp_path):
    assert several.last_word(2, tmp_path, {"task": "refuse"}) == "segue: one.yaml: wrong here"
