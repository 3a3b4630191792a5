"""What moves says so, wrapped or not; what does not move claims nothing."""

import pytest
import tiny
import torch
from torch import nn

from segue.causal.facts import Facts
from segue.engine.method import Questions, of_function, of_mechanism
from segue.mechanisms.base import Moved, Moves, offered
from segue.mechanisms.refined import Refined


class Stretch(nn.Module):
    """Moves everything along the last axis, by the sd that the first variable changes."""

    def __init__(self, parents):
        super().__init__()
        self.parents = parents

    def abduct(self, facts, *, sample=False):
        return None

    def moved(self, facts, posterior, requests):
        self.aims = requests
        zero = torch.zeros(len(facts.image), 2, *facts.image.shape[2:])
        shifts = [zero + self.parents.standardise(pa)[:, :1, None, None] for pa in requests]
        return [Moved(facts.image, shift) for shift in shifts]

    def predict(self, facts, posterior, requests):
        return [facts.image for _ in requests]


def asked(parents) -> Questions:
    x, area = tiny.bars(3, seed=1), torch.ones(3)
    pa, frames = parents.factual(x, area)
    facts = Facts(x, pa, parents.weights(frames, tiny.SIZE), area)
    return Questions(("a", "b", "c"), facts, [pa, pa + parents.sd])


def test_a_method_hands_on_what_its_mechanism_moves_and_nothing_where_nothing_is_asked(parents):
    questions = asked(parents)
    null, moved = (one.displacement for one in of_mechanism(Stretch(parents)).moved(questions))
    assert not null.any()
    expected = parents.standardise(questions.requests[1])[:, 0]
    torch.testing.assert_close(moved[:, 0, 0, 0], expected)


@pytest.mark.parametrize("corrections", [0, 2])
def test_a_refined_mechanism_moves_for_the_aims_of_its_answers(parents, corrections):
    questions = asked(parents)
    stretch = Stretch(parents)
    refined = Refined(stretch, corrections=corrections)
    assert isinstance(refined, Moves) and offered(refined, Moves) is refined
    found = refined.moved(questions.facts, None, questions.requests)
    aims = stretch.aims
    torch.testing.assert_close(found[1].displacement[:, 0, 0, 0], parents.standardise(aims[1])[:, 0])
    assert torch.equal(aims[1], questions.requests[1]) == (corrections == 0)  # it never moves the image: aims go on


def test_what_does_not_move_claims_nothing(mechanism):
    refined = Refined(mechanism)
    assert not isinstance(refined, Moves) and offered(refined, Moves) is None
    for method in (of_mechanism(refined), of_function(lambda facts, requested: facts.image)):
        assert all(one.displacement is None for one in method.moved(asked(refined.parents)))
