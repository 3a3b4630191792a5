import pytest
import tiny
import torch

from segue.anatomy import Variables, WholePartition
from segue.causal.parents import Parents

# A 2 x 4 image of two structures, one a channel: the left half is the first two columns.
IMAGE = torch.tensor(
    [
        [
            [[1.0, 1.0, 0.0, 1.0], [0.0, 0.5, 0.0, 0.0]],
            [[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.25, 1.0]],
        ]
    ]
)


def make(covariates=()):
    return Parents(segmentor=tiny.Channels(), variables=tiny.variables("lumen", "plaque"), covariates=covariates)


def test_factual_is_what_the_segmentor_measures():
    areas, frames = make().factual(IMAGE, torch.tensor([0.5]))
    # lumen left 1 + 1 + 0.5, right 1; plaque left 0, right 1 + 0.25 + 1; half a unit a pixel
    torch.testing.assert_close(areas, torch.tensor([[1.25, 0.5, 0.0, 1.125]]))
    assert frames.shape == (1, 0)


def test_names_put_covariates_last():
    assert make(("age",)).names == ("lumen@left", "lumen@right", "plaque@left", "plaque@right", "age")


def test_fit_standardises_the_training_split():
    torch.manual_seed(0)
    sample = torch.randn(50, 4) * torch.tensor([1.0, 2.0, 3.0, 4.0]) + 5
    standard = make().fit(sample).standardise(sample)
    torch.testing.assert_close(standard.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(standard.std(0), torch.ones(4))


def test_a_variable_that_never_varies_does_not_divide_by_zero():
    sample = torch.ones(5, 4)
    assert make().fit(sample).standardise(sample).isfinite().all()


def test_context_paints_each_value_on_its_region():
    parents = make(("age",))
    parents.mean.copy_(torch.tensor([1.0, 0, 0, 0, 50]))
    parents.sd.copy_(torch.tensor([2.0, 1, 1, 1, 10]))
    pa = torch.tensor([[5.0, 3.0, -1.0, 4.0, 70.0]])  # standard: 2, 3, -1, 4, 2
    weights = parents.weights(torch.zeros(1, 0), (2, 4))
    painted = parents.context(pa, weights, "map")
    row = torch.tensor([[[2.0, 2, 3, 3]], [[-1.0, -1, 4, 4]], [[2.0, 2, 2, 2]]])
    torch.testing.assert_close(painted, row.expand(3, 2, 4)[None])
    broadcast = parents.context(pa, weights, "broadcast")
    torch.testing.assert_close(broadcast, torch.tensor([2.0, 3, -1, 4, 2]).reshape(1, 5, 1, 1).expand(1, 5, 2, 4))


@pytest.mark.parametrize("conditioning", ["map", "broadcast"])
def test_context_channels(conditioning):
    parents = make(("age", "sex"))
    context = parents.context(torch.zeros(3, 6), parents.weights(torch.zeros(3, 0), (2, 4)), conditioning)
    assert context.shape[1] == parents.context_channels(conditioning)


def test_structures_without_variables_have_no_channel():
    measured = Variables(structures=("a", "b", "c"), partitions={"c": WholePartition(), "a": tiny.HALVES})
    parents = Parents(segmentor=tiny.Channels(), variables=measured)
    assert parents.variables.channel_of.tolist() == [1, 0, 0] and parents.variables.channels == 2
    context = parents.context(torch.tensor([[7.0, 1, 2]]), parents.weights(torch.zeros(1, 0), (1, 2)), "map")
    torch.testing.assert_close(context, torch.tensor([[[[1.0, 2.0]], [[7.0, 7.0]]]]))


def test_what_measures_does_not_learn_but_lets_gradients_through():
    parents = tiny.bar_parents().train()
    assert not parents.training and not parents.segmentor.training
    image = tiny.bars(2, seed=0).requires_grad_()
    parents.factual(image, torch.ones(2)).areas.sum().backward()
    assert image.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in parents.parameters())


def test_mean_and_sd_travel_in_the_state_dict():
    parents = tiny.bar_parents()
    other = Parents(segmentor=tiny.Tones(0.5), variables=tiny.variables("bar"))
    other.load_state_dict(parents.state_dict())
    assert torch.equal(other.mean, parents.mean) and torch.equal(other.sd, parents.sd)


def test_a_third_dimension():
    areas = make().factual(IMAGE[..., None].expand(-1, -1, -1, -1, 3), torch.tensor([0.5])).areas
    torch.testing.assert_close(areas, 3 * torch.tensor([[1.25, 0.5, 0.0, 1.125]]))
