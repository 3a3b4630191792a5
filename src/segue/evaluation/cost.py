"""What an answer costs: seconds, and floating-point operations, of one image and one request on one thread."""

import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

from segue.engine.method import Method, Questions
from segue.hardware import threads

RUNS = 3


class Untold(ModuleTracker):
    """Does not tell modules apart: the hooks for it do not go with gradients to the image alone."""

    def __enter__(self) -> "Untold":
        return self

    def __exit__(self, *error: object) -> None:
        return None


def cost_of_answer(method: Method, one: Questions) -> dict[str, float]:
    """`seconds_per_image`, the median of three runs after a first one, and `flops_per_image`; {} for images on disk.

    Operations are those of convolutions, matrix products and attention, forward and backward, as PyTorch counts them:
    a multiplication with its addition is two. Interpolation and all that is done element by element are not counted.

    Args:
        one: image, with one request.

    >>> from segue.causal.facts import Facts
    >>> from segue.engine.method import of_function
    >>> facts = Facts(torch.ones(1, 1, 4, 4), torch.ones(1, 2), torch.ones(1, 2, 4, 4), torch.ones(1))
    >>> product = of_function(lambda facts, requested: facts.image @ facts.image)
    >>> cost_of_answer(product, Questions(("a",), facts, [facts.pa + 1]))["flops_per_image"]
    128.0
    """
    if not method.open_ended:
        return {}
    with threads(1):
        counter = FlopCounterMode(display=False)
        counter.mod_tracker = Untold()
        with counter:
            method.respond(one)
        seconds = statistics.median(seconds_of(method, one) for _ in range(RUNS))
    return {"seconds_per_image": seconds, "flops_per_image": float(counter.get_total_flops())}


def seconds_of(method: Method, one: Questions) -> float:
    """How long an answer takes: the processor's own time, which other programs do not make longer, or the GPU's."""
    on_gpu = one.facts.image.is_cuda
    clock = time.perf_counter if on_gpu else time.process_time
    before = clock()
    method.respond(one)
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - before
