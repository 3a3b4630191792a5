import json

import pytest
import several
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from segue import processes


@given(st.integers(1, 60), st.integers(1, 9))
def test_rows_partition_the_batch_evenly(total, world):
    slices = [processes.rows(total, rank, world) for rank in range(world)]
    assert [row for part in slices for row in range(total)[part]] == list(range(total))
    sizes = [part.stop - part.start for part in slices]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 60), st.integers(1, 9))
def test_shares_weight_rows_alike(total, world):
    rows = range(total)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "world", lambda: world)
        means = []
        for rank in range(min(total, world)):
            patch.setattr(processes, "rank", lambda rank=rank: rank)
            mine = rows[processes.rows(total, rank, world)]
            means.append(processes.share(total) * sum(mine) / max(len(mine), 1))
    if total >= world:
        assert sum(means) / world == pytest.approx(sum(rows) / total)


def test_one_process_is_torch_itself():
    x = torch.randn(5, 2, requires_grad=True)
    with processes.sharing(5):
        torch.manual_seed(1)
        drawn = processes.rand(5, 3), processes.randn(5, 3)
        torch.manual_seed(1)
        assert torch.equal(drawn[0], torch.rand(5, 3)) and torch.equal(drawn[1], torch.randn(5, 3))
        assert torch.equal(processes.mean(x), x.mean(0))
        assert processes.gather(x) is x and processes.mine(x) is x
        assert processes.share(5) == 1 and processes.world() == 1 and processes.is_main()
    assert processes.averaged({"a": torch.tensor(2.0)}, 5) == {"a": 2.0}


def test_three_processes_see_the_whole_batch(tmp_path):
    """Seven rows on three processes, against one that holds them all."""
    several.succeed(3, tmp_path, {"task": "draw_and_combine", "total": 7})
    ranks = [load_file(tmp_path / f"{rank}.safetensors") for rank in range(3)]
    assert [len(rank["drawn"]) for rank in ranks] == [2, 2, 3]
    torch.manual_seed(3)
    drawn = torch.cat([torch.rand(7, 2), torch.randn(7, 2)], dim=1)
    assert torch.equal(torch.cat([rank["drawn"] for rank in ranks]), drawn)
    whole = (torch.arange(14.0).reshape(7, 2) ** 2).requires_grad_()
    (gradient,) = torch.autograd.grad((whole.mean(0) ** 3).sum(), whole)
    # DDP divides the sum of gradients by the number of processes; each row is on one of them
    torch.testing.assert_close(torch.cat([rank["gradient"] for rank in ranks]) / 3, gradient)
    for rank in ranks:
        assert torch.equal(rank["gathered"], whole.detach())
        torch.testing.assert_close(rank["mean"][0], whole.detach().mean(0))
        torch.testing.assert_close(rank["averaged"], torch.stack([whole.mean(), whole[:, 0].mean()]).detach())
        assert rank["main"].tolist() == [0]


# ---- one process works, the others wait --------------------------------------------------------------------------


def test_without_torchrun_there_is_one_process():
    with processes.joined():
        assert processes.alone(lambda: {"a": (1, 2)}) == {"a": (1, 2)}
        assert not dist.is_initialized() and processes.world() == 1


def test_a_single_process_of_torchrun(monkeypatch):
    store = dist.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    facts = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "localhost", "MASTER_PORT": store.port}
    for name, value in (facts | {"TORCHELASTIC_USE_AGENT_STORE": True}).items():
        monkeypatch.setenv(name, str(value))
    with processes.joined():
        assert dist.get_world_size() == 1 and processes.alone(lambda: [3]) == [3]
    assert not dist.is_initialized()


def test_waiting_for_the_main_process_may_take_longer_than_a_collective(tmp_path):
    """Two nodes of one process each, by the command for two machines."""
    ended = several.run(2, tmp_path, {"task": "outwait", "seconds": 6}, timeout=3, nodes=2)
    assert ended.returncode == 0, ended.stderr
    assert [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)] == [{"found": [1, 2]}] * 2


@pytest.mark.parametrize(
    ("task", "message", "code"), [("refuse", "one.yaml: wrong here", 2), ("leave", "two.yaml: wrong there", 1)]
)
def test_the_others_end_silently_with_the_main_process(tmp_path, task, message, code):
    ended = several.run(2, tmp_path, {"task": task})
    assert ended.returncode != 0 and ended.stderr.count(f"segue: {message}") == 1
    assert "several.py\", line" not in ended.stderr  # no traceback
    assert (tmp_path / "1.txt").read_text() == f"SystemExit({code})"
