"""Effects of a mechanism that paints exactly what it is asked for, and of ones that err by a known amount."""

import polars as pl
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from painter import NAMES, PA, VALUES, Painter, asked, paint

from segue.anatomy import AxisPartition, Variables
from segue.causal.parents import Parents
from segue.engine.method import Method, of_function, of_mechanism, set_one, still
from segue.evaluation.asked import Asked, draw_requests, translated
from segue.evaluation.effect import change, distance_rows, effect_rows
from segue.evaluation.truth import Truth


def effects(mechanism, judge, batches, *, particles=1) -> pl.DataFrame:
    method = of_mechanism(mechanism, particles=particles)
    return pl.concat(effect_rows(method.moved(one.questions), mechanism.parents, judge, one) for one in batches)


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
    moved = {name: row[f"moved/{name}"] for name in NAMES}
    sd = float(Painter().parents.sd[0])
    assert moved.pop("lumen@left") == pytest.approx((row["judge"] - row["judge_factual"]) / sd)
    assert sorted(moved.values()) == pytest.approx([0, 0, 3 / 5], abs=1e-5)
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
    one = asked(PA, VALUES, mechanism.parents)
    one = one._replace(facts=one.facts._replace(pixel_area=torch.full((3,), 0.25)))
    found = effects(mechanism, tiny.Channels(), iter([one]), particles=1)
    assert (found["judge"] - 0.25 * found["requested"]).abs().max() < 1e-4


def test_other_regions_are_asked_for_the_same_change():
    """A painter that takes the left quarter for the left half: the judge in halves sees its edits, in other regions."""
    quarter = AxisPartition(regions=("left", "right"), axis=1, cuts=(0.25,))
    own = Parents(segmentor=tiny.Channels(), variables=Variables(
        structures=("lumen", "plaque"), partitions=dict.fromkeys(("lumen", "plaque"), quarter)
    ))  # fmt: skip
    one = asked(PA, VALUES, Painter().parents)
    put = translated(one, own)
    columns = one.facts.image.sum(2)  # of each structure, pixels in each of the 16 columns
    areas = torch.stack([columns[:, :, :4].sum(2), columns[:, :, 4:].sum(2)], dim=2).flatten(1)
    torch.testing.assert_close(put.facts.pa, areas)
    torch.testing.assert_close(put.values, (areas + VALUES - PA).clamp_min(0))
    assert (put.values == 0).any() and put.facts.weights[0, 0].sum() == 4 * 8
    assert translated(one, Painter().parents).values.equal(VALUES)  # its own regions: nothing is translated


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


def test_set_one_sets_one_variable():
    assert set_one(PA, 2, torch.tensor([7.0, 8, 9])).tolist() == [[3, 10, 7, 20], [8, 2, 8, 31], [0, 0, 9, 9]]
    assert PA[0, 2] == 5


# ---- the truth ---------------------------------------------------------------------------------------------------


def knowing(parents, well_posed) -> Asked:
    """`asked`, and the true answer to each request."""
    images = torch.stack([paint(set_one(PA, v, VALUES[:, v])) for v in range(4)], dim=1)
    return asked(PA, VALUES, parents)._replace(truth=Truth(images, torch.tensor(well_posed)))


WELL_POSED = [[True, True, True, True], [True, False, True, True], [False, True, True, True]]


def test_an_oracle_meets_every_request_and_goes_nowhere_else():
    parents = Painter().parents
    one = knowing(parents, WELL_POSED)
    oracle = Method(still(lambda _: list(one.truth.image.unbind(1))), open_ended=False)
    found = effect_rows(oracle.moved(one.questions), parents, tiny.Channels(), one)
    for measured in ("judge", "guide"):
        assert (found[measured] - found["requested"]).abs().max() < 1e-4
    assert found["off_target"].max() < 1e-4 and found["outside"].max() < 1e-5
    assert found["truth_mae"].max() == found["truth_mse"].max() == 0
    assert found["truth_ssim"].min() == pytest.approx(1)
    for i, v in ((0, 0), (1, 1), (2, 0)):
        row = found.row(by_predicate=(pl.col("image") == i) & (pl.col("variable") == NAMES[v]), named=True)
        assert row["well_posed"] == WELL_POSED[i][v]


def test_a_method_that_gives_the_truth_is_at_no_distance_and_one_that_spills_is_by_hand():
    parents = Painter().parents
    batch = knowing(parents, WELL_POSED)
    exact = effects(Painter(), tiny.Channels(), iter([batch]), particles=1)
    assert exact["truth_mae"].max() < 1e-6
    spilt = effects(Painter(spill=3), tiny.Channels(), iter([batch]), particles=1)
    row = spilt.row(by_predicate=(pl.col("image") == 0) & (pl.col("variable") == "lumen@left"), named=True)
    # 3 pixels in one of two channels, by 1 of the range 2, all of them on the right
    assert row["truth_mae"] == pytest.approx(3 / 2 / 2 / 128)
    assert row["truth_mae_outside"] == pytest.approx(3 / 2 / 2 / 64) and row["truth_mae_inside"] < 1e-6
    assert row["truth_mse"] == pytest.approx(3 / 4 / 2 / 128)


def test_doing_nothing_is_as_far_from_the_truth_as_the_truth_is_from_the_fact():
    parents = Painter().parents
    one = knowing(parents, WELL_POSED)
    nothing = of_function(lambda facts, requested: facts.image)
    found = distance_rows(nothing.answer(one.questions), one)
    pixels = (VALUES - PA).abs().T.flatten()  # by variable, then image
    assert found["truth_mae"].to_list() == pytest.approx((pixels / 2 / 2 / 128).tolist(), abs=1e-6)
    assert "judge" not in found.columns


def test_nothing_is_said_of_a_truth_that_is_not_known():
    assert not [name for name in table(Painter()).columns if "truth" in name or name == "well_posed"]
