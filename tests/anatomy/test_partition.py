from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.anatomy import (
    PARTITIONS,
    AxisPartition,
    ExtentPartition,
    Partition,
    WholePartition,
    make_partition,
    partition_settings,
)
from segue.anatomy.cohort_wide import CohortWide
from segue.errors import InputError

THIRDS = ("upper", "mid", "lower")


def rectangle(size, *spans):
    mask = torch.zeros(size)
    mask[tuple(slice(a, b) for a, b in spans)] = 1
    return mask[None]


def test_a_third_of_64_pixels_is_64_thirds():
    weights = AxisPartition(regions=THIRDS, axis=0).weights(torch.zeros(1, 0, dtype=torch.float64), (64, 5))
    torch.testing.assert_close(weights.sum((2, 3)), torch.full((1, 3), 5 * 64 / 3, dtype=torch.float64))
    # The pixel that the first cut crosses, 64/3 = 21 + 1/3: one third of it is above.
    assert weights[0, 0, 21, 0].item() == pytest.approx(1 / 3, abs=1e-12)
    assert weights[0, 0, 20, 0].item() == 1 and weights[0, 0, 22, 0].item() == 0


def test_a_soft_edge_is_the_ramps_mean_over_each_pixel():
    part = AxisPartition(regions=("a", "b"), axis=0, cuts=(0.4,), softness=0.25)
    weights = part.weights(torch.zeros(1, 0, dtype=torch.float64), (16,))[0, 1]
    t = (torch.arange(160_000, dtype=torch.float64) + 0.5) / 160_000  # a fine quadrature of the same ramp
    ramp = ((t - 0.4) / 0.25 + 0.5).clamp(0, 1).reshape(16, -1).mean(1)
    torch.testing.assert_close(weights, ramp, atol=1e-8, rtol=0)


@st.composite
def partitions(draw):
    count = draw(st.integers(1, 5))
    widths = draw(st.lists(st.floats(0.1, 1), min_size=count, max_size=count))
    edges = torch.tensor(widths, dtype=torch.float64).cumsum(0)
    cuts = tuple((edges[:-1] / edges[-1]).tolist())
    softness = draw(st.floats(0, 0.9)) * min(widths) / sum(widths)
    kind = draw(st.sampled_from([AxisPartition, ExtentPartition]))
    axis = draw(st.integers(0, 1))
    regions = tuple(f"r{i}" for i in range(count))
    return kind, {"regions": regions, "axis": axis, "cuts": cuts, "softness": softness}


@settings(max_examples=60, deadline=None)
@given(partitions(), st.tuples(st.integers(1, 40), st.integers(1, 40)), st.integers(0, 2**31))
def test_a_partition_is_one_in_sum_and_never_negative(drawn, size, seed):
    part = drawn[0](**drawn[1])
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.rand(3, *size, generator=generator) > 0.7).float()
    weights = part.weights(part.frame(mask), size)
    assert isinstance(part, Partition) and weights.shape == (3, len(part.regions), *size)
    torch.testing.assert_close(weights.sum(1), torch.ones(3, *size), atol=1e-5, rtol=0)
    assert weights.min() >= -1e-6


@settings(max_examples=30, deadline=None)
@given(partitions(), st.sampled_from([2, 4, 8]))
def test_weights_of_a_coarse_grid_are_the_means_of_a_fine_one(drawn, factor):
    part = drawn[0](**drawn[1])
    fine, coarse = (32, 16), (32 // factor, 16 // factor)
    frame = part.frame(rectangle(fine, (4, 23), (2, 13)))
    pooled = torch.nn.functional.avg_pool2d(part.weights(frame, fine), factor)
    torch.testing.assert_close(part.weights(frame, coarse), pooled, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extent_meets_a_rectangles_thirds(dtype):
    mask = rectangle((60, 40), (7, 37), (10, 20)).to(dtype)
    part = ExtentPartition(regions=THIRDS, axis=0)
    frame = part.frame(mask)
    torch.testing.assert_close(frame, torch.tensor([[7 / 60, 37 / 60]], dtype=dtype))
    areas = (part.weights(frame, (60, 40)) * mask[:, None]).sum((2, 3))
    torch.testing.assert_close(areas, torch.full((1, 3), 100.0, dtype=dtype), rtol=1e-5, atol=0)


def test_extent_moves_with_the_mask():
    part = ExtentPartition(regions=THIRDS, axis=1, softness=0.1, margin=0.05)
    mask = (torch.rand(2, 48, 64, generator=torch.Generator().manual_seed(0)) > 0.4).float()
    mask[:, :10] = mask[:, 30:] = mask[..., :12] = mask[..., 40:] = 0
    moved = mask.roll((5, 9), (1, 2))
    here, there = part.weights(part.frame(mask), (48, 64)), part.weights(part.frame(moved), (48, 64))
    inside = mask[:, None].bool().expand_as(here)
    torch.testing.assert_close(here[inside], there.roll((-5, -9), (2, 3))[inside], atol=1e-5, rtol=0)


def test_a_speck_does_not_move_the_extent():
    mask = rectangle((80, 60), (20, 60), (10, 40))
    specked = mask.clone()
    specked[0, 2:4, 50:52] = 1  # 4 pixels beside 1200
    part = ExtentPartition(regions=THIRDS, axis=0, margin=0.1)
    torch.testing.assert_close(part.frame(specked), part.frame(mask))


def test_first_and_last_region_reach_the_border():
    part = ExtentPartition(regions=THIRDS, axis=0)
    weights = part.weights(part.frame(rectangle((30, 8), (12, 18), (2, 5))), (30, 8))
    assert (weights[0, 0, :12] == 1).all() and (weights[0, 2, 18:] == 1).all()


def test_a_margin_bounds_the_partition_across():
    part = ExtentPartition(regions=THIRDS, axis=0, margin=0.05)
    frame = part.frame(rectangle((30, 50), (5, 20), (10, 20)))
    cover = part.weights(frame, (30, 50)).sum(1)[0, 0]
    expected = torch.zeros(50)
    expected[8:22] = 1  # columns 10 to 19, grown by 0.05 * 50 = 2.5 pixels
    expected[7] = expected[22] = 0.5
    torch.testing.assert_close(cover, expected, atol=1e-5, rtol=0)


def test_an_empty_mask_has_the_whole_image_for_extent():
    part = ExtentPartition(regions=THIRDS, axis=1, margin=0.2)
    frame = part.frame(torch.full((2, 12, 9), 0.4))
    assert frame.tolist() == [[0, 1, 0, 1]] * 2
    whole = AxisPartition(regions=THIRDS, axis=1).weights(torch.zeros(2, 0), (12, 9))
    torch.testing.assert_close(part.weights(frame, (12, 9)), whole)


def test_three_dimensions():
    mask = rectangle((12, 20, 16), (2, 10), (3, 15), (4, 8))
    part = ExtentPartition(regions=THIRDS, axis=1, margin=0.0)
    frame = part.frame(mask)
    torch.testing.assert_close(frame, torch.tensor([[3 / 20, 15 / 20, 2 / 12, 10 / 12, 4 / 16, 8 / 16]]))
    assert frame.shape[1] == part.params(3)
    weights = part.weights(frame, (12, 20, 16))
    torch.testing.assert_close((weights * mask[:, None]).sum((2, 3, 4)), torch.full((1, 3), 8 * 4 * 4.0))
    assert weights[:, :, :2].sum() == 0


def test_whole():
    part = WholePartition()
    assert part.regions == ("whole",)
    assert part.weights(part.frame(torch.zeros(2, 3, 4)), (3, 4)).sum() == 2 * 12


@pytest.mark.parametrize(
    ("kind", "arguments", "key"),
    [
        ("axis", {"cuts": (0.5,)}, "partition.cuts"),
        ("axis", {"cuts": (0.6, 0.4)}, "partition.cuts"),
        ("axis", {"cuts": (0.0, 0.4)}, "partition.cuts"),
        ("extent", {"cuts": (0.1, 0.5), "softness": 0.2}, "partition.softness"),
        ("extent", {"softness": -0.1}, "partition.softness"),
        ("extent", {"margin": -0.1}, "partition.margin"),
        ("axis", {"margin": 0.1}, "partition.margin"),
        ("axis", {"axis": 3}, "partition.axis"),
        ("whole", {"cuts": (0.5,)}, "partition.cuts"),
        ("whole", {}, "partition.regions"),
        ("label_map", {}, "partition.file"),
        ("label_map", {"softness": 0.1}, "partition.softness"),
        ("axis", {"regions": ("a", "a")}, "partition.regions"),
        ("axis", {"regions": ("a", "")}, "partition.regions"),
        ("axis", {"regions": ("a", "b@c")}, "partition.regions"),
        ("axis", {"regions": ()}, "partition.regions"),
        ("axis", {"regions": "ab"}, "partition.regions"),
        ("axis", {"regions": (1, 2, 3)}, "partition.regions"),
        ("axis", {"axis": True}, "partition.axis"),
        ("axis", {"axis": 0.5}, "partition.axis"),
        ("axis", {"cuts": (0.3, float("nan"))}, "partition.cuts"),
        ("axis", {"softness": "wide"}, "partition.softness"),
        ("axes", {}, "partition.kind"),
        ("axis", {"cut": (0.3, 0.6)}, "partition.cut"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(kind, arguments, key):
    with pytest.raises(InputError) as caught:
        make_partition(kind, **{"regions": THIRDS, **arguments})
    assert str(caught.value).startswith(f"{key}:") and "\n" not in str(caught.value)


def test_an_axis_that_the_image_lacks():
    with pytest.raises(InputError, match=r"partition\.axis"):
        make_partition("axis", regions=THIRDS, axis=2).weights(torch.zeros(1, 0), (8, 8))


def test_settings_are_the_same_however_a_partition_is_written():
    short = {"kind": "extent", "regions": ["a", "b"], "margin": 0}
    long = {"cuts": None, "margin": 0.0, "softness": 0, "axis": 0, "rings": [], "file": None} | short
    assert partition_settings(short) == partition_settings(long)
    assert list(partition_settings(short)) == list(partition_settings(long)) == ["kind", "regions", "margin"]
    assert partition_settings(partition_settings(short)) == partition_settings(short)
    assert partition_settings(short) != partition_settings(short | {"margin": None})


def test_a_new_kind_is_one_class_and_one_line(monkeypatch, tmp_path):
    class Checkers(CohortWide):
        def __init__(self, *, regions: tuple[str, ...] = ("black", "white"), width: int, picture: Path | None = None):
            self.regions, self.width = regions, width

        def weights(self, frame, size):
            black = (torch.arange(size[0])[:, None] // self.width + torch.arange(size[1]) // self.width) % 2
            return torch.stack([black, 1 - black]).to(frame).expand(len(frame), -1, *size)

    monkeypatch.setitem(PARTITIONS, "checkers", Checkers)
    part = make_partition("checkers", width=2)
    assert isinstance(part, Partition) and part.weights(torch.zeros(1, 0), (4, 4)).sum() == 16
    settings = partition_settings({"kind": "checkers", "width": 2, "picture": "a.png"})
    assert settings == {"kind": "checkers", "regions": ("black", "white"), "width": 2, "picture": Path("a.png")}
    with pytest.raises(InputError, match=r"partition\.width: is missing; kind 'checkers' needs a whole number"):
        make_partition("checkers")
    with pytest.raises(InputError, match=r"partition\.with: kind 'checkers' does not take it; did you mean width"):
        make_partition("checkers", **{"with": 2})
