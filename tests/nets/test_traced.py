"""A traced network against the network itself: the same bits, or the network's own answer."""

import tiny
import torch
from torch import nn

from segue.nets.segmentor import Segmentor
from segue.nets.traced import Traced, traceable
from segue.nets.velocity import VelocityNet


@torch.inference_mode()
def test_a_traced_network_gives_the_same_bits_for_other_values_of_the_same_sizes():
    segmentor = Segmentor(arch="unet", spatial_dims=2, structures=2, width=8).eval()
    hvae = tiny.hvae(context=1)
    velocity = VelocityNet(size=(32, 32), inputs=2, context=1, widths=(8, 8))
    nn.init.normal_(velocity.out.weight, std=0.1)
    images = [torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(i)) for i in range(4)]
    context = [torch.ones(1, 1, *tiny.SIZE) * i for i in range(4)]
    states = hvae.abduct(torch.rand(1, 1, *tiny.SIZE), context[0], sample=False).states
    gates = velocity.gates(torch.rand(1, 2, 32, 32))
    asked = {
        (segmentor, "soft"): [(image,) for image in images],
        (hvae, "predict"): [(states, one) for one in context],
        (velocity, "forward"): [(gates, image) for image in images],
    }
    for (net, name), each in asked.items():
        before = [getattr(net, name)(*given) for given in each]
        work = traceable(net, name)
        work(*each[0])
        work.trace()
        assert work.fast, name
        for given, expected in zip(each, before, strict=True):
            found = getattr(net, name)(*given)
            assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True)), name


def test_other_sizes_and_training_go_to_the_network_itself():
    net = nn.Conv2d(1, 1, 3)
    work, seen = Traced(net, net.forward), []
    with torch.inference_mode():
        work(torch.zeros(1, 1, 8, 8))
        work.trace()
        work.quick = lambda given: seen.append(given) or given
        assert work(torch.zeros(2, 1, 8, 8)).shape == (2, 1, 6, 6) and not seen
        work(torch.zeros(1, 1, 8, 8))
        assert len(seen) == 1
    assert work(torch.zeros(1, 1, 8, 8)).requires_grad and len(seen) == 1


def test_what_a_trace_cannot_hold_stays_as_it_is():
    """Python's own numbers: a trace would keep those of the first arguments."""
    net = nn.Identity()
    work = Traced(net, lambda given: given * float(given.sum()))
    with torch.inference_mode():
        work(torch.ones(16))
        work.trace()
        assert not work.fast and not work.waits
        assert torch.equal(work(torch.ones(16) / 2), torch.full((16,), 4.0))


def test_no_values_of_an_image_are_kept():
    work = Traced(nn.Identity(), lambda given: given * 1)
    with torch.inference_mode():
        work(image := torch.full((1, 1, 8, 8), 0.5))
    assert work.like[0].shape == image.shape and not torch.equal(work.like[0], image)
