"""The network of the velocity: still where nothing changes, local, and of the stated resolution."""

import pytest
import torch

from segue.nets.velocity import VelocityNet


def make(size=(32, 64), **changes):
    torch.manual_seed(0)
    return VelocityNet(size=size, inputs=3, context=2, **({"widths": (8, 8, 8)} | changes))


@pytest.mark.parametrize("size", [(32, 64), (16, 16, 24)])
@pytest.mark.parametrize("resolution", [2, 4, 8])
def test_one_vector_a_pixel_and_none_without_a_change(size, resolution):
    net = make(size, resolution=resolution)
    gates = net.gates(torch.randn(2, 3, *size))
    change = torch.zeros(2, 2, *size)
    assert not net(gates, change).any()
    change[0] = 1.0
    velocity = net(gates, change)
    assert velocity.shape == (2, len(size), *size)
    assert velocity[0].any() and not velocity[1].any()


def test_what_is_far_from_the_change_does_not_move():
    net = make((32, 128), resolution=2)
    change = torch.zeros(1, 2, 32, 128)
    change[..., :8] = 1.0
    velocity = net(net.gates(torch.randn(1, 3, 32, 128)), change)
    assert velocity[..., :32].any() and not velocity[..., 80:].any()


def test_the_field_is_as_smooth_as_is_said():
    def roughness(smoothing):
        net = make(smoothing=smoothing)
        gates, change = net.gates(torch.randn(1, 3, 32, 64)), torch.randn(1, 2, 32, 64)
        torch.manual_seed(1)
        velocity = net(gates, change)
        return float((velocity.diff(dim=3).square().mean() / velocity.square().mean()).detach())

    assert roughness(4.0) < 0.7 * roughness(0.0)


def test_shifted_inputs_give_a_shifted_field():
    net = make((64, 64), widths=(8, 8))
    x, change = torch.zeros(1, 3, 64, 64), torch.zeros(1, 2, 64, 64)
    x[..., 24:40, 24:40], change[..., 28:36, 28:36] = torch.randn(16, 16), 1.0

    def field(by):
        return net(net.gates(x.roll(by, (2, 3))), change.roll(by, (2, 3)))

    torch.testing.assert_close(field((4, -4)), field((0, 0)).roll((4, -4), (2, 3)), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("changes", "said"), [({"resolution": 3}, "choose from 2, 4, 8"), ({"size": (20, 64)}, "a multiple of 8")]
)
def test_what_does_not_fit_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        make(**changes)
