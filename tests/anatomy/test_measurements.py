"""Every measurement of the registry against a case that can be computed by hand, and its gradient."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from segue.anatomy import (
    MEASUREMENTS,
    AxisPartition,
    PolarPartition,
    Variables,
    WholePartition,
    variable_unit,
)
from segue.anatomy.measurement import make_measures, measurement_of
from segue.errors import InputError

THIRDS = AxisPartition(regions=("proximal", "mid", "distal"), axis=1)
SETTINGS = {name: {} for name in MEASUREMENTS} | {
    "ratio": {"to": ["tube", "other"], "axis": 0},
    "agatston": {"window": [150.0, 160.0]},  # near a threshold, and where a peak is shared by pixels
}


def of(measures, partition=THIRDS, structures=("tube", "other")):
    return Variables(structures=structures, partitions={"tube": partition}, measures={"tube": measures})


def values(variables, mask, *, image=None, spacing=None, other=None):
    """What is measured of one image, by variable; `mask` is (*space)."""
    masks = torch.stack([mask, torch.zeros_like(mask) if other is None else other])[None]
    image = torch.zeros(1, 1, *mask.shape, dtype=mask.dtype) if image is None else image[None, None]
    mm = torch.tensor([spacing or (1.0,) * mask.ndim], dtype=mask.dtype)
    weights = variables.weights(variables.frames(masks), tuple(mask.shape)).to(mask)
    found = variables.measure(masks, image, weights, mm.prod(1), mm)
    return dict(zip(variables.names, found[0].tolist(), strict=True))


def tube(diameters, rows=40):
    """A straight vessel of given diameters, in pixels, one a column, with exact shares of the pixels at its edges."""
    edges = torch.as_tensor(diameters, dtype=torch.float64)[None, :] / 2
    row = torch.arange(rows, dtype=torch.float64)[:, None] - rows / 2
    return (torch.minimum(row + 1, edges) - torch.maximum(row, -edges)).clamp(0, 1)


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_the_gradient_to_masks_and_image_is_that_of_differences(name):
    generator = torch.Generator().manual_seed(0)
    variables = of({"area": {}, name: SETTINGS[name]})
    soft = torch.rand(2, 2, 5, 9, dtype=torch.float64, generator=generator) / 2
    image = torch.rand(2, 1, 5, 9, dtype=torch.float64, generator=generator)
    weights = variables.weights(torch.zeros(2, 0), (5, 9)).double()
    mm = torch.tensor([[0.5, 2.0], [1.0, 1.0]], dtype=torch.float64)

    def measured(soft, image):
        return variables.measure(soft, image, weights, mm.prod(1), mm)

    assert torch.autograd.gradcheck(measured, (soft.requires_grad_(), image.requires_grad_()))


def test_widths_are_in_mm_across_the_axis_whatever_the_spacing_along_it():
    """A tube of 8 px that narrows to 3 px, rows of 0.5 mm: 4 mm and 1.5 mm, also where columns are 2 mm long."""
    diameters = np.full(36, 8.0)
    diameters[16:20] = 3.0
    found = values(of({"mean_width": {}, "min_width": {}}), tube(diameters), spacing=(0.5, 2.0))
    assert found["tube@proximal:mean_width"] == pytest.approx(4.0)
    assert found["tube@mid:mean_width"] == pytest.approx((8 * 8 + 4 * 3) / 12 / 2)
    assert found["tube@proximal:min_width"] == pytest.approx(4.0)
    assert found["tube@mid:min_width"] == pytest.approx(1.5, abs=1e-3)


@pytest.mark.parametrize("curvature", [0.02, 0.05, 0.2])
def test_the_smallest_width_of_a_smooth_neck(curvature):
    """A vessel of 4 px at its neck, which is wide enough elsewhere for widths of 0 beside the region to matter."""
    x = np.arange(120) - 59.3
    diameters = np.minimum(4 + curvature * x**2, 60)
    found = values(of({"min_width": {"regions": ["mid"]}}), tube(diameters, rows=64))
    assert found["tube@mid:min_width"] == pytest.approx(4, abs=0.03)
    everywhere = values(of({"min_width": {"regions": ["mid"]}}), tube(np.full(36, 50.0), rows=64))
    assert everywhere["tube@mid:min_width"] == pytest.approx(50)


def test_stenosis_is_of_the_mean_of_the_neighbours():
    """Neighbours of 10 and 6 px, so a reference of 8; the middle narrows to 2: a stenosis of 75%."""
    diameters = np.concatenate([np.full(12, 10.0), np.full(12, 7.0), np.full(12, 6.0)])
    diameters[17:19] = 2.0
    found = values(of({"area": {}, "stenosis": {"regions": ["mid"]}}), tube(diameters))
    assert list(found) == ["tube@proximal", "tube@mid", "tube@distal", "tube@mid:stenosis"]
    assert found["tube@mid:stenosis"] == pytest.approx(0.75, abs=1e-3)
    assert found["tube@proximal"] == pytest.approx(120)


def test_stenosis_is_all_where_the_lumen_is_closed_and_below_0_where_it_is_wider():
    variables = of({"area": {}, "stenosis": {}})
    closed, wide = np.full(36, 8.0), np.full(36, 8.0)
    closed[18], wide[12:24] = 0.0, 10.0
    assert values(variables, tube(closed))["tube@mid:stenosis"] == pytest.approx(1.0, abs=1e-6)
    assert values(variables, tube(wide))["tube@mid:stenosis"] == pytest.approx(-0.25, abs=1e-6)
    assert values(variables, tube(np.zeros(36)))["tube@mid:stenosis"] == pytest.approx(1.0)


def test_a_cut_inside_a_pixel_does_not_narrow_the_vessel():
    """Seven columns in thirds: the cuts are inside pixels 2 and 4."""
    found = values(of({"area": {}, "min_width": {}, "stenosis": {}}), tube(np.full(7, 6.0), rows=12))
    assert found["tube@mid:min_width"] == pytest.approx(6.0)
    assert found["tube@mid:stenosis"] == pytest.approx(0.0, abs=1e-9)


def test_in_three_dimensions_a_width_is_the_diameter_of_a_disc():
    y, x = torch.meshgrid(torch.arange(41.0) - 20, torch.arange(41.0) - 20, indexing="ij")
    disc = ((x**2 + y**2) <= 12**2).double()
    cylinder = disc[:, :, None].expand(41, 41, 9).contiguous()
    part = AxisPartition(regions=("a", "b", "c"), axis=2)
    found = values(of({"area": {}, "mean_width": {}, "min_width": {}, "stenosis": {}}, part), cylinder)
    diameter = 2 * math.sqrt(float(disc.sum()) / math.pi)
    assert found["tube@b:mean_width"] == pytest.approx(diameter) == pytest.approx(24, abs=0.4)
    assert found["tube@b:min_width"] == pytest.approx(diameter)
    assert found["tube@b:stenosis"] == pytest.approx(0, abs=1e-9)


def test_length_is_the_projection_in_mm():
    mask = torch.zeros(10, 36, dtype=torch.float64)
    mask[2, 13:16], mask[6, 15:20], mask[5, 20] = 1, 1, 0.5  # columns 13 to 19, and half of 20
    found = values(of({"length": {}}), mask, spacing=(3.0, 0.5))
    assert found == {"tube@proximal:length": 0, "tube@mid:length": pytest.approx(3.75), "tube@distal:length": 0}


@pytest.mark.parametrize(("thick", "radius"), [(8, 20), (5, 14), (12, 24)])
def test_thickness_of_a_ring(thick, radius):
    y, x = torch.meshgrid(torch.arange(80.0) - 39.5, torch.arange(80.0) - 39.5, indexing="ij")
    far = (x**2 + y**2).sqrt().double()
    ring = ((far - radius + thick / 2).clamp(-0.5, 0.5) - (far - radius - thick / 2).clamp(-0.5, 0.5)).double()
    sectors = PolarPartition(regions=("a", "b", "c", "d"))
    for part in (WholePartition(), sectors):
        for value in values(of({"thickness": {}}, part), ring, spacing=(0.5, 0.5)).values():
            assert value == pytest.approx(thick / 2, rel=0.035)


def test_mean_intensity_is_a_share_of_the_range():
    mask, image = torch.zeros(4, 6, dtype=torch.float64), torch.full((4, 6), -1.0, dtype=torch.float64)
    mask[:, 2:4], image[:2] = 1, 0.6
    found = values(of({"mean_intensity": {"regions": ["mid"]}}), mask, image=image)
    assert found == {"tube@mid:mean_intensity": pytest.approx((0.8 + 0.0) / 2)}


def test_agatston_is_what_is_counted_by_hand():
    """Three lesions, pixels of 0.5 x 0.5 mm, slices of 3 mm. In the proximal third 8 pixels from 130 HU on with a peak
    of 450 HU: 2 mm2 x 4 = 8. In the middle 12 pixels, a peak of 180 HU: 3 mm2 x 1 = 3. Distal, nothing above 130 HU."""
    mask, hu = torch.zeros(10, 36, dtype=torch.float64), torch.full((10, 36), 60.0, dtype=torch.float64)
    mask[2:6, 3:6], hu[2:6, 3:5], hu[3, 4] = 1, 350.0, 450.0  # the last column is in the mask, but no calcium
    mask[4:7, 14:18], hu[4:7, 14:18], hu[5, 15] = 1, 160.0, 180.0
    mask[1:4, 30:33], hu[1:4, 30:33] = 1, 90.0
    hu[8] = 900.0  # outside the mask
    image = (hu + 200) / 700 - 1
    found = values(of({"agatston": {"window": [-200, 1200]}}), mask, image=image, spacing=(0.5, 0.5))
    expected = {"tube@proximal:agatston": 8, "tube@mid:agatston": 3, "tube@distal:agatston": 0}
    assert found == {name: pytest.approx(value, abs=0.05) for name, value in expected.items()}
    thin = values(of({"agatston": {"window": [-200, 1200], "slice": 1.5}}), mask, image=image, spacing=(0.5, 0.5))
    assert thin["tube@proximal:agatston"] == pytest.approx(4, abs=0.02)


@pytest.mark.parametrize(("peak", "factor"), [(100, 0), (150, 1), (180, 1), (220, 2), (330, 3), (420, 4), (1100, 4)])
def test_the_density_factor_of_a_volume(peak, factor):
    """12 voxels of 1 x 1 x 1.5 mm are 18 mm3: two slices of 3 mm have 6 of them each, of 3 mm2."""
    mask = torch.zeros(6, 6, 8, dtype=torch.float64)
    mask[1:3, 1:4, 3:5] = 1
    image = (torch.where(mask > 0, float(peak), 0.0) + 200) / 700 - 1
    found = values(of({"agatston": {"window": [-200, 1200]}}, WholePartition()), mask, image=image, spacing=(1, 1, 1.5))
    assert found["tube@whole:agatston"] == pytest.approx(18 / 3 * factor, rel=0.03, abs=0.02)


def test_ratio_is_of_the_lengths_or_areas_of_both():
    heart, lungs = torch.zeros(8, 20, dtype=torch.float64), torch.zeros(8, 20, dtype=torch.float64)
    heart[5:7, 6:12], lungs[1:7, 2:6], lungs[1:7, 12:18] = 1, 1, 1
    whole = WholePartition()
    to = ["tube", "other"]
    across = values(of({"ratio": {"to": to, "axis": 1}}, whole), heart, other=lungs, spacing=(2.0, 0.7))
    assert across == {"tube@whole:ratio": pytest.approx(6 / 16)}
    assert values(of({"ratio": {"to": to}}, whole), heart, other=lungs)["tube@whole:ratio"] == pytest.approx(12 / 72)


def test_each_measurement_of_a_structure_has_a_painted_channel_of_its_own():
    variables = Variables(
        structures=("wall", "tube"),
        partitions={"tube": THIRDS, "wall": THIRDS},
        measures={"tube": {"stenosis": {"regions": ["mid"]}, "area": {}}},
    )
    assert variables.names[:4] == ("tube@mid:stenosis", "tube@proximal", "tube@mid", "tube@distal")
    assert variables.channel_of.tolist() == [2, 1, 1, 1, 0, 0, 0] and variables.channels == 3
    assert variables.least.tolist() == [-math.inf, *[0.0] * 6]
    assert variables.spans == {"tube": slice(0, 4), "wall": slice(4, 7)}


def test_names_say_units():
    units = [variable_unit(f"a@b:{name}", "mm3") for name in ("volume", *MEASUREMENTS)]
    assert units == ["mm3", "mm3", "mm", "mm", "mm", "mm", "", "", "", ""]
    assert variable_unit("a@b:length", "px") == "px" and variable_unit("age", "mm2") == ""
    assert measurement_of("a@b:c:stenosis").key == "stenosis" and measurement_of("a@x:y").key == "area"


@pytest.mark.parametrize(
    ("given", "partition", "said"),
    [
        ({"stenoses": {}}, THIRDS, "did you mean stenosis"),
        ({"stenosis": {"regions": ["middle"]}}, THIRDS, "not regions"),
        ({"stenosis": {"regions": ["mid"]}}, THIRDS, "nothing is measured; measure its area"),
        ({"stenosis": {}}, AxisPartition(regions=("all",), axis=1), "the partition several"),
        ({"stenosis": {"softness": 1}}, THIRDS, "stenosis.softness: kind 'stenosis' does not take it"),
        ({"length": {}}, WholePartition(), "length.axis: is missing; kind 'length' needs a whole number"),
        ({"length": {"axis": "rows"}}, THIRDS, "length.axis: is 'rows'; give a whole number"),
        ({"ratio": {}}, THIRDS, "ratio.to: is missing; kind 'ratio' needs a list, each entry text"),
        ({"ratio": {"to": "other"}}, THIRDS, "give a list, each entry text"),
        ({"ratio": {"to": ["chest"]}}, THIRDS, "choose from tube, other"),
        ({"agatston": {}}, THIRDS, "agatston.window: is missing"),
        ({"agatston": {"window": [3, 1]}}, THIRDS, "is no range"),
        ({"agatston": {"window": [0, 1], "slice": 0}}, THIRDS, "no thickness"),
        ({}, THIRDS, "nothing is measured"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_mend(given, partition, said):
    with pytest.raises(InputError, match=said) as found:
        of(given, partition)
    assert str(found.value).startswith("measures.tube: ")


def test_a_region_is_not_named_like_a_measurement():
    with pytest.raises(InputError, match="rename it"):
        AxisPartition(regions=("a:stenosis", "b"))


def test_settings_are_those_of_the_dataclass():
    (found,) = make_measures({"ratio": {"to": ["a"], "regions": ["x"]}}, ("x", "y"), axis=None)
    assert found.measurement.to == ("a",) and found.measurement.axis is None and found.regions == ("x",)


def test_the_cardiothoracic_ratio_is_that_of_counted_columns():
    """Discs as heart and lungs: the extents of their columns, counted."""
    y, x = np.mgrid[:64, :96]
    heart = ((y - 40) / 12) ** 2 + ((x - 52) / 17) ** 2 <= 1
    lungs = (((y - 30) / 25) ** 2 + ((x - 25) / 15) ** 2 <= 1) | (((y - 30) / 25) ** 2 + ((x - 72) / 16) ** 2 <= 1)
    lungs &= ~heart
    found = values(
        of({"ratio": {"to": ["tube", "other"], "axis": 1}}, WholePartition()),
        torch.from_numpy(heart).double(),
        other=torch.from_numpy(lungs).double(),
    )
    both = np.flatnonzero((heart | lungs).any(0))
    assert found["tube@whole:ratio"] == pytest.approx(heart.any(0).sum() / (both[-1] - both[0] + 1))


def test_a_septum_that_is_thicker_is_measured_as_the_distance_transform_has_it():
    """A ring whose left half is thicker: twice the largest distance to the outside, which is counted between pixels."""
    y, x = np.mgrid[:90, :90] - 44.5
    far, thick = np.hypot(x, y), np.where(x < 0, 12, 8)
    wall = np.abs(far - 26) <= thick / 2
    halves = AxisPartition(regions=("septal", "lateral"), axis=1)
    found = values(of({"thickness": {}}, halves), torch.from_numpy(wall).double())
    inside = distance_transform_edt(wall)
    for name, side in (("septal", x < -8), ("lateral", x > 8)):
        assert found[f"tube@{name}:thickness"] == pytest.approx(2 * inside[side].max() - 1, rel=0.06)
