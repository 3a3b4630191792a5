"""Effects of a mechanism that paints exactly what it is asked for, and of ones that err by a known amount."""

import math

import polars as pl
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from segue.causal.mechanism import Abduction, ImageMechanism, Likelihood
from segue.causal.parents import Parents
from segue.evaluation.effect import Asked, act, change, consistency, draw_requests, effects, realism

HEIGHT, WIDTH = SIZE = (8, 16)
NAMES = ("lumen@left", "lumen@right", "plaque@left", "plaque@right")
SD = torch.tensor([2.0, 4, 1, 5])


def paint(pixels: torch.Tensor) -> torch.Tensor:
    """Masks (batch, 2, 8, 16) with so many pixels of lumen and plaque on the left and right, from the top row down.

    Lumen keeps to the upper half of the image and plaque to the lower: 32 pixels of room for each variable.
    """
    order = torch.arange(32).reshape(4, 8)
    image = torch.zeros(len(pixels), 2, HEIGHT, WIDTH)
    for v in range(4):
        rows, columns = slice(4 * (v // 2), 4 * (v // 2) + 4), slice(8 * (v % 2), 8 * (v % 2) + 8)
        image[:, v // 2, rows, columns] = (order < pixels[:, v, None, None]).float()
    return image


class Painter(ImageMechanism):
    """The mechanism x = paint(pa): no noise, and every intervention is met to the pixel."""

    def __init__(self, spill: int = 0) -> None:
        parents = Parents(segmentor=tiny.Channels(), variables=tiny.variables("lumen", "plaque"))
        parents.sd.copy_(SD)
        super().__init__(model=nn.Identity(), parents=parents, conditioning="map")
        self.spill = spill

    def infer(self, x, pa, weights, *, sample):
        self.before, self.x = pa, x
        none = torch.zeros(len(x), 1)
        return Abduction([], none, none)

    def predict(self, abduction, parents, weights):
        """Where anything is changed, `spill` pixels of plaque appear on the right too (location 0, hence u = x)."""
        found = []
        for requested in parents:
            changed = (requested != self.before).any(1)
            spilt = torch.zeros_like(requested)
            spilt[:, 3] = self.spill * changed
            loc = changed[:, None, None, None] * (paint(requested + spilt) - self.x)
            found.append(Likelihood(loc, torch.zeros_like(loc)))
        return found


def asked(pa, values, parents, index=None) -> Asked:
    weights = parents.weights(torch.zeros(len(pa), 0), SIZE)
    index = torch.arange(len(pa)) if index is None else torch.tensor(index)
    return Asked(index, paint(pa), pa, weights, torch.ones(len(pa)), values)


PA = torch.tensor([[3.0, 10, 5, 20], [8.0, 2, 0, 31], [0.0, 0, 7, 9]])
VALUES = torch.tensor([[5.0, 10, 1, 0], [8.0, 30, 4, 11], [2.0, 1, 0, 9]])


def table(mechanism, values=VALUES, particles=1) -> pl.DataFrame:
    first = asked(PA[:2], values[:2], mechanism.parents, [7, 5])
    second = asked(PA[2:], values[2:], mechanism.parents, [9])
    return effects(mechanism, tiny.Channels(), iter([first, second]), particles=particles)


@pytest.mark.parametrize("particles", [1, 3])
def test_a_mechanism_that_obeys_has_no_error_and_no_leakage(particles):
    found = table(Painter(), particles=particles)
    assert len(found) == 12
    for measured in ("judge", "guide"):
        assert (found[measured] - found["requested"]).abs().max() < 1e-4
    assert (found["judge_factual"] - found["factual"]).abs().max() < 1e-4
    assert found["off_target"].max() < 1e-4
    assert found["outside"].max() < 1e-5 and found["change_outside"].max() < 1e-6
    # every pixel painted or wiped changes one of two channels by 1, half of the intensity range
    pixels = (found["requested"] - found["factual"]).abs()
    assert (found["total"] - pixels / 2 / 2).abs().max() < 1e-4
    assert (found["change_inside"] - pixels / 2 / 2 / 64).abs().max() < 1e-5


def test_rows_name_their_image_and_variable():
    found = table(Painter())
    assert set(found["variable"]) == set(NAMES) and set(found["image"]) == {5, 7, 9}
    for i, image in enumerate([7, 5, 9]):
        for v, name in enumerate(NAMES):
            row = found.row(by_predicate=(pl.col("image") == image) & (pl.col("variable") == name), named=True)
            assert (row["factual"], row["requested"]) == (PA[i, v], VALUES[i, v])


def test_a_spill_is_seen_as_leakage_and_off_target_by_hand():
    row = table(Painter(spill=3)).row(
        by_predicate=(pl.col("image") == 7) & (pl.col("variable") == "lumen@left"), named=True
    )
    # asked: 2 more pixels of lumen on the left; spilt: 3 of plaque on the right, whose sd is 5
    assert row["judge"] == row["requested"] == 5
    assert row["off_target"] == pytest.approx((3 / 5) / 3)
    assert row["outside"] == pytest.approx(3 / 4) and row["total"] == pytest.approx(5 / 4)
    assert row["change_outside"] == pytest.approx(3 / 4 / 64) and row["change_inside"] == pytest.approx(2 / 4 / 64)


def test_a_judge_of_its_own_opinion():
    class Doubtful(tiny.Channels):
        def soft(self, image):
            return 0.5 * super().soft(image)

    mechanism = Painter()
    found = effects(mechanism, Doubtful(), iter([asked(PA, VALUES, mechanism.parents)]), particles=1)
    assert (found["judge"] - 0.5 * found["requested"]).abs().max() < 1e-4
    assert (found["guide"] - found["requested"]).abs().max() < 1e-4
    assert (found["judge_factual"] - 0.5 * found["factual"]).abs().max() < 1e-4


def test_areas_are_in_the_unit():
    mechanism = Painter()
    one = asked(PA, VALUES, mechanism.parents)._replace(pixel_area=torch.full((3,), 0.25))
    found = effects(mechanism, tiny.Channels(), iter([one]), particles=1)
    assert (found["judge"] - 0.25 * found["requested"]).abs().max() < 1e-4


def test_change_by_hand():
    # 1 x 4 image of two channels; the region's weights 1, 0.5, 0.4, 0: a pixel is outside below one half
    x = torch.zeros(1, 2, 1, 4)
    after = torch.tensor([[[[1.0, -1.0, 0.5, 0.0]], [[0.0, 1.0, 0.5, 2.0]]]])
    found = change(x, after, torch.tensor([[[1.0, 0.5, 0.4, 0.0]]]))
    by_pixel = [0.25, 0.5, 0.25, 0.5]  # mean over channels, over the range 2
    assert float(found["total"]) == pytest.approx(sum(by_pixel))
    assert float(found["outside"]) == pytest.approx(0.75)
    assert float(found["change_outside"]) == pytest.approx(0.375)
    assert float(found["change_inside"]) == pytest.approx(0.375)


def test_a_region_that_is_everywhere_has_no_outside():
    found = change(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2), torch.ones(1, 2, 2))
    assert float(found["outside"]) == float(found["change_outside"]) == 0
    assert float(found["change_inside"]) == 0.5


# ---- requests ----------------------------------------------------------------------------------------------------


@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 10**6))
def test_requests_are_permutations_without_fixed_points(images, variables, seed):
    measured = torch.arange(images * variables, dtype=torch.float32).reshape(images, variables)
    requests = draw_requests(measured, seed)
    assert torch.equal(requests.sort(dim=0).values, measured)
    assert not (requests == measured).any()
    assert torch.equal(requests, draw_requests(measured, seed))


def test_requests_differ_by_seed_and_by_column_and_leave_the_global_seed_alone():
    measured = torch.arange(50.0)[:, None].expand(50, 2).contiguous()
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    requests = draw_requests(measured, 1)
    assert torch.equal(torch.rand(2), expected)
    assert not torch.equal(requests[:, 0], requests[:, 1])
    assert not torch.equal(requests, draw_requests(measured, 2))


def test_act_sets_one_variable():
    assert act(PA, 2, torch.tensor([7.0, 8, 9])).tolist() == [[3, 10, 7, 20], [8, 2, 8, 31], [0, 0, 9, 9]]
    assert PA[0, 2] == 5


# ---- axioms ------------------------------------------------------------------------------------------------------


def test_an_exact_mechanism_is_consistent():
    mechanism = Painter()
    batches = [asked(PA[rows], VALUES[rows], mechanism.parents) for rows in (slice(0, 1), slice(1, 3))]
    found = consistency(mechanism, iter(batches))
    assert found["composition"] == pytest.approx(0, abs=1e-6)
    assert found["reversibility"] == pytest.approx(0, abs=1e-6)
    # -log N(x; 0, 1) for masks of PA.sum() ones among 2 x 8 x 16 pixels
    expected = 0.5 * math.log(2 * math.pi) + 0.5 * float(PA.sum()) / (3 * 2 * HEIGHT * WIDTH)
    assert found["nelbo"] == pytest.approx(expected, rel=1e-5)


def test_a_mechanism_that_spills_is_not_reversible():
    mechanism = Painter(spill=3)
    values = PA + 1  # each image has one variable set: image i variable i
    found = consistency(mechanism, iter([asked(PA, values.clamp(max=20), mechanism.parents)]))
    assert found["composition"] == pytest.approx(0, abs=1e-6)
    # on the way back 3 pixels of plaque appear on the right; the second image has room for 1
    assert found["reversibility"] == pytest.approx((3 + 1 + 3) / 3 / (2 * HEIGHT * WIDTH) / 2, rel=1e-5)


def test_an_untrained_network_is_consistent_where_it_must_be(mechanism, factual):
    x, pa, weights, area = factual
    found = consistency(mechanism, iter([Asked(torch.arange(6), x, pa, weights, area, pa.roll(1, 0))]))
    assert found["composition"] < 1e-6 < found["reversibility"]


def test_realism_by_hand():
    mechanism = Painter()
    found = realism(mechanism, mechanism, iter([asked(PA, VALUES, mechanism.parents)]))
    changed = PA.clone()
    for i in range(3):
        changed[i, i + 1] = VALUES[i, i + 1]  # one variable an image, in turn
    for name, pixels in (("nelbo_factual", PA), ("nelbo_counterfactual", changed)):
        expected = 0.5 * math.log(2 * math.pi) + 0.5 * float(pixels.sum()) / (3 * 2 * HEIGHT * WIDTH)
        assert found[name] == pytest.approx(expected, rel=1e-5)
