import math

import pytest
import torch

from segue.anatomy import (
    AxisPartition,
    ExtentPartition,
    Variables,
    WholePartition,
    elsewhere,
    measure,
    paint,
    structure_sums,
)
from segue.errors import InputError

STRUCTURES = ("lumen", "wall", "plaque")
REGIONS = ("proximal", "mid", "distal")


@pytest.fixture
def variables():
    thirds = AxisPartition(regions=REGIONS, axis=1, softness=0.1)
    own = ExtentPartition(regions=("left", "right"), axis=0, margin=0.1)
    return Variables(structures=STRUCTURES, partitions={"plaque": own, "lumen": thirds})


def soft_masks(*shape, dtype=torch.float32):
    logits = 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    return torch.softmax(logits, dim=1)


def test_names_and_indices_follow_the_partitions(variables):
    assert variables.names == ("plaque@left", "plaque@right", "lumen@proximal", "lumen@mid", "lumen@distal")
    assert variables.structure_of.tolist() == [2, 2, 0, 0, 0]
    assert variables.spans == {"plaque": slice(0, 2), "lumen": slice(2, 5)}
    assert len(variables) == 5


def test_what_is_no_structure_is_not_measured():
    with pytest.raises(InputError, match="'bone' is no structure"):
        Variables(structures=STRUCTURES, partitions={"bone": WholePartition()})


def test_a_discs_area_in_mm2():
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(64.0), indexing="ij")
    distance = ((y + 0.5 - 50) ** 2 + (x + 0.5 - 30) ** 2).sqrt()
    disc = (20 - distance + 0.5).clamp(0, 1)  # an edge one pixel wide: anti-aliased
    parts = {"disc": AxisPartition(regions=("top", "bottom"), axis=0, cuts=(50 / 96,))}
    variables = Variables(structures=("disc",), partitions=parts)
    soft = disc[None, None]
    weights = variables.weights(variables.frames(soft), (96, 64))
    areas = measure(soft, weights, variables.structure_of, torch.tensor([0.25]))
    half = 0.25 * math.pi * 20**2 / 2
    torch.testing.assert_close(areas, torch.tensor([[half, half]]), rtol=1e-3, atol=0)


def test_regions_add_up_to_the_structure(variables):
    soft = soft_masks(4, 3, 16, 24)
    weights = variables.weights(variables.frames(soft), (16, 24))
    areas = measure(soft, weights, variables.structure_of, torch.full((4,), 2.0))
    sums = structure_sums(areas, variables.structure_of, 3)
    torch.testing.assert_close(sums[:, 0], 2 * soft[:, 0].sum((1, 2)))
    assert (sums[:, 1] == 0).all()


def test_no_gradient_outside_the_region():
    parts = {"lumen": AxisPartition(regions=("a", "b"), axis=0, cuts=(0.25,))}
    variables = Variables(structures=STRUCTURES, partitions=parts)
    soft = soft_masks(2, 3, 16, 8).requires_grad_()
    weights = variables.weights(variables.frames(soft), (16, 8))
    assert not weights.requires_grad
    measure(soft, weights, variables.structure_of, torch.ones(2))[:, 0].sum().backward()
    assert (soft.grad[:, 0, :4] == 1).all()
    assert (soft.grad[:, 0, 4:] == 0).all() and (soft.grad[:, 1:] == 0).all()


def test_gradients_of_measure_and_paint(variables):
    soft = soft_masks(2, 3, 6, 8, dtype=torch.float64)
    weights = variables.weights(variables.frames(soft), (6, 8))
    values = torch.rand(2, 5, dtype=torch.float64, requires_grad=True)
    area = torch.tensor([0.5, 2.0], dtype=torch.float64)
    of = variables.structure_of
    assert torch.autograd.gradcheck(lambda s: measure(s, weights, of, area), soft.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda v: paint(v, weights, of, 3), values)


def test_painting_ones_gives_the_partitions_cover(variables):
    soft = soft_masks(2, 3, 12, 10)
    weights = variables.weights(variables.frames(soft), (12, 10))
    painted = paint(torch.ones(2, 5), weights, variables.structure_of, 3)
    torch.testing.assert_close(painted[:, 0], torch.ones(2, 12, 10))
    torch.testing.assert_close(painted[:, 2], weights[:, variables.spans["plaque"]].sum(1))
    assert (painted[:, 1] == 0).all()


def test_painting_is_measurings_adjoint(variables):
    """<measure(s), a> = <s, paint(a)> for any s and a."""
    soft = soft_masks(2, 3, 12, 10, dtype=torch.float64)
    weights = variables.weights(variables.frames(soft), (12, 10))
    values = torch.rand(2, 5, dtype=torch.float64)
    measured = measure(soft, weights, variables.structure_of, torch.ones(2, dtype=torch.float64))
    painted = paint(values, weights, variables.structure_of, 3)
    torch.testing.assert_close((measured * values).sum(), (soft * painted).sum())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_device_and_dtype_are_kept_in_three_dimensions(variables, dtype, device):
    soft = soft_masks(2, 3, 6, 8, 4, dtype=dtype).to(device)
    frames = variables.frames(soft)
    weights = variables.weights(frames, (6, 8, 4))
    areas = measure(soft, weights, variables.structure_of, torch.ones(2, dtype=dtype, device=device))
    painted = paint(areas, weights, variables.structure_of, 3)
    assert frames.shape == (2, 6) and weights.shape == (2, 5, 6, 8, 4) and painted.shape == soft.shape
    assert {t.dtype for t in (frames, weights, areas, painted)} == {dtype}
    assert {t.device.type for t in (frames, weights, areas, painted)} == {device}


def test_a_cohort_wide_map_is_not_copied_per_image():
    parts = {"lumen": AxisPartition(regions=REGIONS, axis=0), "wall": WholePartition()}
    variables = Variables(structures=STRUCTURES, partitions=parts)
    weights = variables.weights(variables.frames(soft_masks(8, 3, 9, 4)), (9, 4))
    assert weights.shape == (8, 4, 9, 4) and weights.stride(0) == 0


def test_elsewhere_is_what_no_changed_region_covers():
    weights = torch.tensor([[[[1.0, 1, 0.25, 0]], [[0, 0, 0.75, 1]], [[1, 1, 1, 1]]]])  # left, right, whole
    none, left, both, whole = ([[bool(int(c)) for c in code]] for code in ("000", "100", "110", "001"))
    for changed, expected in [(none, [1, 1, 1, 1]), (left, [0, 0, 0.75, 1]), (both, [0, 0, 0.25, 0]), (whole, [0] * 4)]:
        found = elsewhere(weights, torch.tensor(changed))
        torch.testing.assert_close(found, torch.tensor([[[expected]]], dtype=torch.float32))
