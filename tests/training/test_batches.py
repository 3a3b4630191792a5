import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.cohort.grid import Grid, scaled, unscaled
from segue.cohort.intensity import Intensity
from segue.errors import InputError
from segue.training.batches import Batches

CT = (-200.0, 800.0)


def make(store, **changes):
    grid = Grid(store.size, intensity=Intensity(CT))
    return Batches(**({"store": store, "split": "guide", "batch_size": 5, "seed": 3, "grid": grid} | changes))


def rows(batches, step):
    """The store indices of a step, carried along as an extra."""
    batches.extras["row"] = torch.arange(len(batches.store))
    return batches.at(step)["row"].tolist()


def test_a_step_depends_on_seed_and_step_alone(phantom_store):
    in_order = make(phantom_store)
    expected = {step: in_order.at(step)["image"] for step in range(9)}
    for step in (7, 2, 8, 8, 0):  # a new stream, out of order, one step twice
        assert torch.equal(make(phantom_store).at(step)["image"], expected[step])
    jumping = make(phantom_store)
    for step in (7, 2, 8, 8, 0):
        assert torch.equal(jumping.at(step)["image"], expected[step])


def test_torch_and_numpy_seeds_do_not_matter_and_the_stream_leaves_them_alone(phantom_store):
    torch.manual_seed(1)
    first = rows(make(phantom_store), 4)
    drawn = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), drawn)
    np.random.seed(5)
    assert rows(make(phantom_store), 4) == first


def test_seeds_differ(phantom_store):
    assert rows(make(phantom_store), 0) != rows(make(phantom_store, seed=4), 0)


@pytest.mark.parametrize("batch_size", [1, 5, 12, 17, 30])
def test_each_epoch_is_a_permutation_of_the_split(phantom_store, batch_size):
    batches = make(phantom_store, batch_size=batch_size)
    split = phantom_store.indices("guide").tolist()
    seen = [row for step in range(-(-3 * len(split) // batch_size)) for row in rows(batches, step)]
    epochs = [seen[i * len(split) : (i + 1) * len(split)] for i in range(3)]
    assert all(sorted(epoch) == split for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_large_split_is_mixed_within_windows_of_whole_chunks(phantom_store, monkeypatch):
    monkeypatch.setattr("segue.training.batches.WINDOW", 4)
    store = copy.copy(phantom_store)
    store.chunk = 2
    batches, split = make(store), store.indices("guide")
    orders = [batches.permutation(epoch) for epoch in range(20)]
    for order in orders:
        assert sorted(order) == split.tolist()
        # 4 images from chunks of 1 or 2: none comes back later, but for the chunk that a window's end may cut
        windows = [set(window // 2) for window in np.split(order, range(4, len(order), 4))]
        assert all(len(a & b) <= 1 for a, b in pairwise(windows))
        assert not any(a & b for i, a in enumerate(windows) for b in windows[i + 2 :])
    assert len({tuple(order) for order in orders}) == 20
    assert len({order[0] for order in orders}) > 3
    assert any(sorted(order[:2]) != list(order[:2]) for order in orders)


@pytest.mark.parametrize(("batch_size", "world"), [(6, 2), (6, 3), (5, 2), (7, 3)])
def test_ranks_partition_the_batch_of_one_process(phantom_store, batch_size, world):
    for step in range(4):
        whole = rows(make(phantom_store, batch_size=batch_size), step)
        parts = [rows(make(phantom_store, batch_size=batch_size, rank=r, world=world), step) for r in range(world)]
        assert [row for part in parts for row in part] == whole


def test_more_processes_than_images_are_refused(phantom_store):
    make(phantom_store, batch_size=3, world=3)
    with pytest.raises(InputError, match="batch_size 3 leaves some of 4 processes without an image"):
        make(phantom_store, batch_size=3, world=4)


def test_a_batch_holds_what_the_store_holds(phantom_store):
    extras = {"parents": torch.randn(len(phantom_store), 2)}
    batches = make(phantom_store, with_fractions=True, extras=extras, batch_size=30)  # repeats within the batch
    batch, index = batches.at(1), rows(make(phantom_store, batch_size=30), 1)
    stored = phantom_store.read(np.array(index))
    torch.testing.assert_close(unscaled(batch["image"], CT), stored["image"], atol=1e-3, rtol=0)
    assert torch.equal(batch["fractions"], stored["fractions"])
    assert torch.equal(batch["parents"], extras["parents"][index])


def test_fractions_are_read_only_where_asked_for(phantom_store):
    assert set(make(phantom_store).at(0)) == {"image", "spacing"}


def test_scaled_takes_the_intensities_to_minus_one_and_one_unclipped():
    x = torch.tensor([[-200.0, 300, 800, 1300]])
    torch.testing.assert_close(scaled(x, CT), torch.tensor([[-1.0, 0, 1, 2]]))


@given(st.floats(-1000, 3000), st.floats(-1000, 1000), st.floats(1, 4000))
def test_unscaled_undoes_scaled(value, low, width):
    x = torch.tensor([value], dtype=torch.float64)
    torch.testing.assert_close(unscaled(scaled(x, (low, low + width)), (low, low + width)), x, atol=1e-8, rtol=1e-12)
