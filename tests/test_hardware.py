import platform
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
import torch

from segue import hardware


@pytest.mark.parametrize("supported", [True, False])
@pytest.mark.parametrize("cuda", [True, False])
def test_auto_asks_the_device_that_will_be_used(monkeypatch, cuda, supported):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported if cuda else not supported)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: not supported if cuda else supported)
    assert hardware.resolve_precision("auto") == ("bf16" if supported else "no")
    assert hardware.resolve_precision("no") == "no" and hardware.resolve_precision("bf16") == "bf16"


def test_channels_last_changes_strides_alone():
    net = torch.nn.Conv2d(3, 4, 3)
    before = net.weight.clone()
    assert hardware.channels_last(net, 2).weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(net.weight, before)
    solid = torch.nn.Conv3d(3, 4, 3)
    assert hardware.channels_last(solid, 3).weight.is_contiguous()


MEMORY = """
import torch
from segue import hardware

def megabytes():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * 4096 / 2**20

def left_by_a_freed_tensor():
    before = megabytes()
    tensor = torch.ones(100 * 2**18)  # 100 MB
    del tensor
    return megabytes() - before

returned = left_by_a_freed_tensor()
hardware.keep_memory()
kept = left_by_a_freed_tensor()
print(returned, kept)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_freed_memory_stays_in_the_process():
    ended = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    returned, kept = map(float, ended.stdout.split())
    assert returned < 20 and kept > 80


def test_works_are_shared_with_a_helper_and_keep_their_order():
    threads = []

    def work(i):
        threads.append(threading.current_thread().name)
        time.sleep(0.02)
        return i, torch.is_inference_mode_enabled()

    works = [partial(work, i) for i in range(5)]
    assert hardware.side_by_side(works) == [(i, False) for i in range(5)] and len(set(threads)) == 1
    with hardware.helper() as second, hardware.helped(second), torch.inference_mode():
        assert hardware.side_by_side(works) == [(i, True) for i in range(5)] and len(set(threads)) == 2
        assert hardware.side_by_side([]) == []
    assert hardware.side_by_side(works[:1]) == [(0, False)]


def test_an_error_of_the_helper_is_the_callers():
    with hardware.helper() as second, hardware.helped(second), pytest.raises(ZeroDivisionError):
        hardware.side_by_side([lambda: time.sleep(0.05), lambda: 1 // 0])
