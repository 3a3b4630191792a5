"""What an answer costs, of methods whose operations can be counted by hand."""

import torch
from torch import nn

from segue.causal.facts import Facts
from segue.engine.method import Method, Questions, of_function, still
from segue.evaluation.cost import cost_of_answer

FACTS = Facts(torch.zeros(1, 1, 8, 16), torch.ones(1, 2), torch.ones(1, 2, 8, 16), torch.ones(1))
QUESTION = Questions(("a",), FACTS, [FACTS.pa + 1])


def test_operations_of_a_convolution_forward_and_backward():
    net = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    forward = 2 * 9 * 8 * 16  # a multiplication and an addition for each weight and pixel

    def optimised(facts: Facts, requested: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            image = facts.image.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(net(image).sum(), image)
        return gradient

    with torch.inference_mode():
        plain = cost_of_answer(of_function(lambda facts, requested: net(facts.image)), QUESTION)
        both = cost_of_answer(of_function(optimised), QUESTION)
    assert plain["flops_per_image"] == forward and both["flops_per_image"] == 2 * forward
    assert plain["seconds_per_image"] > 0


def test_threads_are_as_before_and_images_on_disk_cost_nothing_here():
    before = torch.get_num_threads()
    seen = []
    cost_of_answer(of_function(lambda facts, requested: seen.append(torch.get_num_threads()) or facts.image), QUESTION)
    assert set(seen) == {1} and torch.get_num_threads() == before
    assert cost_of_answer(Method(still(lambda questions: []), open_ended=False), QUESTION) == {}
