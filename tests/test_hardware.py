import torch

from segue import hardware


def test_auto_is_bf16_or_float32():
    assert hardware.resolve("no") == "no" and hardware.resolve("bf16") == "bf16"
    assert hardware.resolve("auto") in ("no", "bf16")


def test_channels_last_changes_strides_alone():
    net = torch.nn.Conv2d(3, 4, 3)
    before = net.weight.clone()
    assert hardware.channels_last(net, 2).weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(net.weight, before)
    solid = torch.nn.Conv3d(3, 4, 3)
    assert hardware.channels_last(solid, 3).weight.is_contiguous()


def test_keeping_memory_may_be_asked_for_anywhere():
    hardware.keep_memory()
    assert torch.ones(1 << 20).sum() == 1 << 20
