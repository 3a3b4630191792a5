import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.anatomy import Partition, PolarPartition, Variables, make_partition, measure
from segue.errors import InputError

SIZE = (72, 80)
CENTRE = (34.3, 41.6)  # off the middle, and off the grid
QUARTERS = ("septal", "inferior", "lateral", "anterior")
SIXTHS = ("anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral", "anterior")


def polar(size=SIZE, centre=CENTRE, fine=1):
    """Distance and angle (turns, counter-clockwise from rightwards) of each pixel's `fine` x `fine` points."""
    down, right = ((torch.arange(n * fine) + 0.5) / fine - at for n, at in zip(size, centre, strict=True))
    down, right = torch.meshgrid(down, right, indexing="ij")
    return torch.hypot(down, right), torch.atan2(-down, right) / (2 * math.pi)


def coverage(inside, fine):
    """The share of each pixel whose points are inside."""
    return torch.nn.functional.avg_pool2d(inside.float()[None], fine)


def heart(turn, outer=lambda beside: 20.0, width=0.25):
    """Soft masks of a ventricle: a ring (radius 12 to 20 pixels) and a crescent whose first edge is at `turn`.

    `outer` gives the ring's radius by the angle counted from that edge.
    """
    fine = 8
    distance, angle = polar(fine=fine)
    beside = (angle - turn) % 1
    ring = (distance > 12) & (distance < torch.as_tensor(outer(beside)))
    crescent = (beside < width) & (distance > 24) & (distance < 30)
    return coverage(ring, fine), coverage(crescent, fine)


def areas(part, ring, *further):
    weights = part.weights(part.frame(ring, *further), tuple(ring.shape[1:]))
    return (weights * ring[:, None]).flatten(2).sum(2)[0]


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.sampled_from([QUARTERS, SIXTHS]), st.booleans())
def test_a_ring_turned_by_any_angle_has_equal_sectors(turn, regions, clockwise):
    part = PolarPartition(regions=regions, towards="cavity", clockwise=clockwise)
    expected = math.pi * (20**2 - 12**2) / len(regions)
    assert areas(part, *heart(turn)).tolist() == pytest.approx([expected] * len(regions), rel=0.01)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1))
def test_a_thicker_septum_is_found_in_its_sector_wherever_it_is(turn):
    """The AHA's septum, 120 degrees from the crescent's edge: 12 to 23 pixels there, 12 to 20 elsewhere."""
    ring, crescent = heart(turn, outer=lambda beside: torch.where(beside < 1 / 3, 23.0, 20.0))
    inside = coverage(polar(fine=8)[0] < 12, 8)
    thin, thick = math.pi * (20**2 - 12**2), math.pi * (23**2 - 12**2)
    part = PolarPartition(regions=QUARTERS, around=("inside",), towards="cavity", cuts=(1 / 3, 5 / 9, 7 / 9))
    expected = [thick / 3, *[thin * 2 / 9] * 3]
    assert areas(part, ring, inside, crescent).tolist() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("turn", [0.0, 0.13, 0.37, 0.5, 0.62, 0.98])
def test_counting_begins_at_the_edge_seen_from_the_centre(turn):
    ring, crescent = heart(turn, width=0.3)
    *centre, first = PolarPartition(regions=QUARTERS, towards="cavity").frame(ring, crescent)[0].tolist()
    assert centre == pytest.approx([CENTRE[0] / SIZE[0], CENTRE[1] / SIZE[1]], abs=1e-3)
    tolerance = 1 / (2 * math.pi * 24)  # one pixel, as seen from the centre
    assert abs((first - turn + 0.5) % 1 - 0.5) < tolerance
    backwards = PolarPartition(regions=QUARTERS, towards="cavity", clockwise=True)
    last = -backwards.frame(ring, crescent)[0, 2].item()
    assert abs((last - turn - 0.3 + 0.5) % 1 - 0.5) < tolerance


def test_weights_turn_with_the_image():
    part = PolarPartition(regions=SIXTHS, towards="cavity", softness=0.05, rings=())
    ring, crescent = heart(0.21)
    here = part.weights(part.frame(ring, crescent), SIZE)
    turned = [mask.rot90(1, (1, 2)) for mask in (ring, crescent)]
    there = part.weights(part.frame(*turned), SIZE[::-1])
    torch.testing.assert_close(there, here.rot90(1, (2, 3)), atol=1e-3, rtol=0)


def test_clockwise_is_the_mirror_image():
    ring, crescent = heart(0.21)
    here = PolarPartition(regions=SIXTHS, towards="cavity").frame(ring, crescent)
    part = PolarPartition(regions=SIXTHS, towards="cavity", clockwise=True)
    there = part.weights(part.frame(ring.flip(2), crescent.flip(2)), SIZE)
    expected = PolarPartition(regions=SIXTHS, towards="cavity").weights(here, SIZE).flip(3)
    torch.testing.assert_close(there, expected, atol=1e-3, rtol=0)


def test_a_soft_edge_is_a_ramp_in_the_angle():
    part = PolarPartition(regions=QUARTERS, softness=0.1, start=30.0)
    frame = torch.tensor([[CENTRE[0] / SIZE[0], CENTRE[1] / SIZE[1], part.start]])
    weights = part.weights(frame, SIZE)[0]
    distance, angle = polar()
    beside = (angle - 30 / 360 + 0.5) % 1 - 0.5  # from the first edge
    near = (beside.abs() < 0.1) & (distance > 5)
    expected = (beside / 0.1 + 0.5).clamp(0, 1)
    torch.testing.assert_close(weights[0][near], expected[near], atol=1e-4, rtol=0)
    torch.testing.assert_close(weights[3][near], 1 - expected[near], atol=1e-4, rtol=0)


def test_rings_are_cut_at_fractions_of_the_radius():
    disc = coverage(polar(fine=8)[0] < 24, 8)
    part = PolarPartition(regions=("inner", "outer"), rings=(0.5,))
    whole = math.pi * 24**2
    assert areas(part, disc).tolist() == pytest.approx([whole / 4, whole * 3 / 4], rel=0.03)
    both = PolarPartition(regions=tuple("abcdefgh"), rings=(0.5,), start=17.0)
    assert areas(both, disc).tolist() == pytest.approx([whole / 16] * 4 + [whole * 3 / 16] * 4, rel=0.04)
    corner = part.weights(part.frame(disc), SIZE)[0, :, 0, 0]
    assert corner.tolist() == [0, 1]


def test_a_coarse_grid_gives_the_areas_of_a_fine_one():
    part = PolarPartition(regions=SIXTHS, towards="cavity")
    ring, crescent = heart(0.4, outer=lambda beside: 17 + 6 * beside)
    frame = part.frame(ring, crescent)
    fine = (part.weights(frame, SIZE) * ring[:, None]).sum((2, 3))
    coarse = torch.nn.functional.avg_pool2d(ring, 2)
    found = 4 * (part.weights(frame, (36, 40)) * coarse[:, None]).sum((2, 3))
    torch.testing.assert_close(found, fine, rtol=0.01, atol=0)


@st.composite
def partitions(draw):
    rings = draw(st.sampled_from([(), (0.5,), (0.3, 0.8)]))
    sectors = draw(st.integers(1, 7))
    regions = tuple(f"r{i}" for i in range(sectors * (len(rings) + 1)))
    widths = draw(st.lists(st.floats(0.2, 1), min_size=sectors, max_size=sectors))
    cuts = tuple((torch.tensor(widths, dtype=torch.float64).cumsum(0)[:-1] / sum(widths)).tolist())
    softness = draw(st.floats(0, 0.9)) * min([*[w / sum(widths) for w in widths], 0.2])
    towards, around = draw(st.sampled_from([None, "b"])), draw(st.sampled_from([(), ("c",), ("b", "c")]))
    start = draw(st.floats(-400, 400))
    return PolarPartition(
        regions=regions, rings=rings, cuts=cuts, softness=softness, towards=towards, around=around,
        start=start, clockwise=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(partitions(), st.lists(st.integers(1, 20), min_size=2, max_size=3), st.sampled_from([0.02, 0.5, 1.0]))
def test_weights_are_one_in_sum_whatever_the_masks(part, size, density):
    generator = torch.Generator().manual_seed(len(part.regions))
    masks = [(torch.rand(3, *size, generator=generator) < density).float() for _ in range(1 + len(part.reads))]
    for mask in masks:
        mask[0] = 0  # nothing at all in the first image
    frame = part.frame(*masks)
    weights = part.weights(frame, tuple(size))
    assert isinstance(part, Partition) and frame.shape == (3, part.params(len(size)))
    assert weights.shape == (3, len(part.regions), *size)
    torch.testing.assert_close(weights.sum(1), torch.ones(3, *size), atol=1e-4, rtol=0)
    assert weights.min() >= -1e-5
    assert part.missing(*masks)[0]


def test_without_its_direction_an_image_counts_from_start_and_says_so():
    part = PolarPartition(regions=QUARTERS, towards="cavity", start=147.0)
    ring, crescent = heart(0.1)
    speck = torch.zeros_like(crescent)
    speck[:, 3:5, 3:6] = 1  # 6 pixels beside a ring of 804
    rings, others = ring.expand(3, -1, -1), torch.cat([crescent, 0 * crescent, speck])
    frame = part.frame(rings, others)
    assert part.missing(rings, others).tolist() == [False, True, True]
    fixed = PolarPartition(regions=QUARTERS, start=147.0)
    torch.testing.assert_close(frame[1:], fixed.frame(rings[1:]))
    assert not fixed.missing(rings).any()


def test_what_is_not_there_to_turn_around_is_replaced():
    part = PolarPartition(regions=QUARTERS, around=("inside",), towards="cavity", start=90.0)
    (ring, crescent), empty = heart(0.1), torch.zeros(1, *SIZE)
    itself = PolarPartition(regions=QUARTERS, towards="cavity").frame(ring, crescent)
    torch.testing.assert_close(part.frame(ring, empty, crescent), itself)
    assert part.frame(empty, empty, crescent).tolist() == [[0.5, 0.5, 0.25]]
    assert part.missing(ring, empty, crescent).tolist() == part.missing(empty, empty, crescent).tolist() == [True]


def test_of_three_axes_sectors_turn_around_one():
    ring, crescent = heart(0.3)
    flat = PolarPartition(regions=SIXTHS, towards="cavity")
    expected = flat.weights(flat.frame(ring, crescent), SIZE)
    for axis in range(3):
        part = PolarPartition(regions=SIXTHS, towards="cavity", axis=axis)
        # One slice has the ring and another one the crescent: what counts is all of them together.
        volume, other = (torch.stack(pair, dim=1 + axis) for pair in ((ring, 0 * ring), (0 * ring, crescent)))
        weights = part.weights(part.frame(volume, other), tuple(volume.shape[1:]))
        for index in range(2):
            torch.testing.assert_close(weights.select(2 + axis, index), expected)


def test_variables_read_the_masks_that_a_partition_asks_for():
    ring, crescent = heart(0.7)
    soft = torch.stack([crescent, ring], dim=1)
    part = PolarPartition(regions=QUARTERS, towards="cavity")
    variables = Variables(structures=("cavity", "wall"), partitions={"wall": part})
    weights = variables.weights(variables.frames(soft), SIZE)
    found = measure(soft, weights, variables.structure_of, torch.ones(1))[0]
    torch.testing.assert_close(found, areas(part, ring, crescent))
    assert variables.missing(soft).tolist() == [[False]]
    with pytest.raises(InputError, match=r"variables\.wall: its partition reads 'cavity'"):
        Variables(structures=("wall",), partitions={"wall": part})


@pytest.mark.parametrize(
    ("kind", "arguments", "key"),
    [
        ("polar", {"cuts": (0.5,)}, "partition.cuts"),
        ("polar", {"rings": (0.6, 0.4), "regions": tuple("abc")}, "partition.rings"),
        ("polar", {"rings": (0.5,), "regions": tuple("abc")}, "partition.regions"),
        ("polar", {"softness": 0.3}, "partition.softness"),
        ("polar", {"margin": 0.1}, "partition.margin"),
        ("axis", {"towards": "cavity"}, "partition.towards"),
        ("extent", {"around": ("cavity",)}, "partition.around"),
        ("extent", {"rings": (0.5,)}, "partition.rings"),
        ("axis", {"start": 90.0}, "partition.start"),
        ("axis", {"clockwise": True}, "partition.clockwise"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(kind, arguments, key):
    with pytest.raises(InputError) as caught:
        make_partition(kind, **{"regions": QUARTERS, **arguments})
    assert str(caught.value).startswith(f"{key}:") and "\n" not in str(caught.value)


def test_an_image_of_two_axes_has_none_to_turn_around():
    with pytest.raises(InputError, match=r"partition\.axis"):
        make_partition("polar", regions=QUARTERS, axis=1).frame(torch.zeros(1, 8, 8))


def test_a_given_centre_is_the_centre_whatever_the_mask():
    part = make_partition("polar", regions=("right", "upper", "left", "lower"), start=-45.0, centre=(0.5, 0.5))
    mask = torch.zeros(2, 16, 16)
    mask[0, 2:6, 9:15] = 1
    weights = part.weights(part.frame(mask), (16, 16))
    assert torch.equal(weights[0], weights[1]) and not part.missing(mask).any()
    for name, (row, column) in {"right": (8, 15), "upper": (0, 8), "left": (8, 0), "lower": (15, 8)}.items():
        assert weights[0, part.regions.index(name), row, column] > 0.9


@pytest.mark.parametrize(
    "more", [{"centre": (0.5,)}, {"centre": (0.5, 1.5)}, {"centre": (0.5, 0.5), "around": ("lumen",)}]
)
def test_a_wrong_centre_is_named(more):
    with pytest.raises(InputError, match=r"partition\.(centre|around)"):
        make_partition("polar", regions=("a", "b"), **more)
