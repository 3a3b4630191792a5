import torch

from segue.tensor_file import read_tensors, save_tensors


def test_tensors_come_back_in_the_order_of_their_names(tmp_path):
    """The library itself gives them in another order each time, and with it files that are made of them."""
    names = [f"n{i:02d}" for i in range(40)]
    save_tensors({name: torch.zeros(1) for name in reversed(names)}, tmp_path / "t.safetensors")
    assert all(list(read_tensors(tmp_path / "t.safetensors")) == names for _ in range(3))
