"""Products within `Rounded` are bfloat16's: float64 products of the same rounded factors, rounded once."""

import pytest
import torch
from torch import nn

from benchmarks.rounded import Rounded

ULP = 2.0**-8  # half a unit of bfloat16's last place, relative


def closest(found: torch.Tensor, exact: torch.Tensor) -> None:
    """`found` is bfloat16 and within one rounding of `exact`, sums in float32 allowed for."""
    assert found.dtype is torch.bfloat16
    torch.testing.assert_close(found.double(), exact, rtol=ULP * 1.01, atol=1e-5)


@pytest.mark.parametrize("inference", [False, True])
def test_layers_under_autocast_round_factors_and_sums(inference):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 9).to(memory_format=torch.channels_last)
    for layer, given in ((nn.Conv2d(3, 4, 3, padding=1), x), (nn.Linear(9, 5), torch.randn(7, 9))):
        with torch.inference_mode(inference), Rounded(), torch.autocast("cpu", torch.bfloat16):
            found = layer(given)
        weight, bias = (one.detach().bfloat16().double() for one in (layer.weight, layer.bias))
        rounded = given.bfloat16().double()
        function = nn.functional.linear if isinstance(layer, nn.Linear) else nn.functional.conv2d
        closest(found, function(rounded, weight, bias, **({} if isinstance(layer, nn.Linear) else {"padding": 1})))


def test_gradients_are_rounded_too():
    torch.manual_seed(0)
    x, weight, up = (torch.randn(*size).bfloat16() for size in ((2, 3, 6, 6), (4, 3, 3, 3), (2, 4, 4, 4)))
    given, kernel = x.requires_grad_(), weight.requires_grad_()
    with Rounded():
        nn.functional.conv2d(given, kernel).backward(up)
    exact_given, exact_kernel = (one.detach().double().requires_grad_() for one in (x, weight))
    nn.functional.conv2d(exact_given, exact_kernel).backward(up.double())
    closest(given.grad, exact_given.grad)
    closest(kernel.grad, exact_kernel.grad)


def test_float32_is_left_alone():
    torch.manual_seed(0)
    a, b = torch.randn(5, 6), torch.randn(6, 7)
    with Rounded():
        assert torch.equal(a @ b, torch.mm(a, b))
