"""The input check: false alarms at the stated rate, statistics in closed form, and the mend where there is one."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

import segue
from segue.cohort.grid import Grid
from segue.engine.answer import abduct_images, check_inputs
from segue.engine.image_statistics import image_statistics
from segue.engine.poses import poses
from segue.engine.thumbnails import fit_thumbnails, thumbnails_of
from segue.engine.typical import Typical, calibrate
from segue.phantom import render_cohort

GRID = Grid((12, 16))
MODEL = segue.load("coronary-phantom")


@pytest.fixture(scope="module")
def phantoms() -> torch.Tensor:
    """Images of the shipped model's cohort that it has not seen."""
    records = render_cohort(8, size=(48, 144), seed=4242)
    return torch.from_numpy(np.stack([record.image for record in records]))


def layout_of(images: torch.Tensor, grid: Grid = GRID):
    wrong = {name: thumbnails_of(pose.taken(images)) for name, pose in poses(grid).items()}
    return fit_thumbnails(thumbnails_of(images), wrong)


def doubts(raw: torch.Tensor) -> list[tuple[str, ...]]:
    return MODEL.input_check.doubts(abduct_images(MODEL, check_inputs(MODEL, raw)))


# ---- calibration -------------------------------------------------------------------------------------------------


def drawn(count: int, seed: int) -> dict[str, torch.Tensor]:
    """Correlated, skewed and heavy-tailed statistics."""
    random = np.random.default_rng(seed)
    common = random.normal(size=count)
    found = {"dark": common, "bright": common + 0.1 * random.normal(size=count), "even": random.exponential(size=count)}
    found |= {"likelihood": random.standard_t(3, size=count)}
    found |= {f"area {i}": random.normal(size=count) for i in range(8)}
    return {name: torch.from_numpy(values).float() for name, values in found.items()}


@pytest.mark.parametrize("count", [20, 60, 400])
def test_the_whole_check_has_the_false_alarm_rate_that_it_states(count):
    layout, rates = layout_of(torch.rand(8, 1, 12, 16)), []
    for seed in range(12):
        typical = calibrate(layout, drawn(count, seed))
        worst = torch.stack(list(typical.excess(drawn(1000, 100 + seed)).values())).amax(0)
        rates.append(float((worst > 1).double().mean()))
    assert typical.images == count and typical.false_alarm == max(1, int(0.02 * (count + 1))) / (count + 1)
    assert 0.4 * typical.false_alarm < np.mean(rates) < 1.8 * typical.false_alarm


def test_saved_and_read_it_is_the_same():
    typical = calibrate(layout_of(torch.rand(20, 1, 12, 16)), drawn(30, 0))
    tensors = dict(sorted(typical.tensors().items()))  # safetensors sorts names
    again, new = Typical.of(tensors), drawn(5, 1)
    assert (again.limit, again.false_alarm, again.images) == (typical.limit, typical.false_alarm, 30)
    for name, excess in typical.excess(new).items():
        assert torch.equal(again.excess(new)[name], excess)
    thumbs = torch.rand(3, 192)
    for pose, odds in typical.layout.log_odds(thumbs).items():
        assert torch.equal(again.layout.log_odds(thumbs)[pose], odds)
    assert Typical.of({"mean": torch.zeros(1)}) is None


def test_a_low_value_is_no_reason_for_doubt_where_only_high_ones_are():
    typical = calibrate(layout_of(torch.rand(8, 1, 12, 16)), drawn(60, 0))
    low = {name: torch.tensor([-100.0]) for name in ("even", "dark")}
    excess = typical.excess(low)
    assert excess["even"] < 0 and excess["dark"] > 1


# ---- statistics --------------------------------------------------------------------------------------------------


def test_the_distance_is_that_of_a_gaussian_with_the_models_covariance():
    layout = layout_of(torch.rand(30, 1, 12, 16, generator=torch.Generator().manual_seed(0)))
    others = torch.cat([layout.axes.T, torch.eye(len(layout.mean))], dim=1).double()
    basis, _ = torch.linalg.qr(others)
    spread = torch.full((len(layout.mean),), float(layout.rest), dtype=torch.float64)
    spread[: len(layout.variances)] = layout.variances.double()
    covariance = basis @ torch.diag(spread) @ basis.T
    apart = (thumbnails_of(torch.rand(4, 1, 12, 16)) - layout.mean).double()
    expected = torch.einsum("bi,ij,bj->b", apart, torch.linalg.inv(covariance), apart).log10()
    thumbs = (apart + layout.mean.double()).float()
    torch.testing.assert_close(layout.distance(thumbs).double(), expected, rtol=1e-3, atol=1e-3)


def test_texture_in_closed_form():
    random = torch.Generator().manual_seed(0)
    grid, layout = Grid((64, 64)), layout_of(torch.rand(8, 1, 64, 64), Grid((64, 64)))
    noise = 255 * torch.rand(1, 1, 64, 64, generator=random)
    ramp = torch.arange(64.0).expand(1, 1, 64, 64)
    half = noise.clone()
    half[..., :32] = 7
    found = image_statistics(torch.cat([noise, ramp, half, torch.full_like(noise, 51)]), grid, layout)
    assert abs(float(found["grain"][0])) < 0.05  # neighbours differ as much as far pixels
    torch.testing.assert_close(found["grain"][1], torch.tensor(-2 * np.log10(4)).float(), atol=1e-4, rtol=0)
    step = np.log10((2 / 255) ** 2 / 2)  # along one axis of two, in a range of 2
    torch.testing.assert_close(found["sharpness"][1], torch.tensor(step).float(), atol=1e-4, rtol=0)
    torch.testing.assert_close(found["even"][2], torch.tensor((31 / 63 + 0.5) / 2), atol=1e-4, rtol=0)
    assert found["dark"][3] == found["bright"][3] == 0.2 and found["contrast"][3] == -6 and found["even"][3] == 1


@pytest.mark.parametrize("grid", [Grid((12, 12)), Grid((6, 6, 6))])
def test_a_mend_undoes_its_pose(grid):
    raw = 255 * torch.rand(2, 1, *grid.size)
    for name, pose in poses(grid).items():
        assert not torch.equal(pose.taken(raw), raw), name
        torch.testing.assert_close(pose.mended(pose.taken(raw)), raw, atol=1e-3, rtol=0)


def test_poses_of_other_shapes_stay_on_the_grid():
    for grid in (GRID, Grid((4, 6, 8))):
        raw = torch.rand(2, 1, *grid.size)
        assert all(pose.taken(raw).shape == pose.mended(raw).shape == raw.shape for pose in poses(grid).values())


def test_an_asymmetric_cohort_tells_its_poses_and_a_symmetric_one_does_not():
    random = torch.Generator().manual_seed(1)
    images = torch.rand(200, 1, 12, 16, generator=random)
    images[:, :, :4, 6:10] += 2  # above the middle, symmetric about the vertical
    layout = layout_of(images[:100])
    for name, told in (("flipped 0", True), ("flipped 1", False)):
        odds = layout.log_odds(thumbnails_of(images[100:]))[name]
        posed = layout.log_odds(thumbnails_of(poses(GRID)[name].taken(images[100:])))[name]
        assert ((posed > odds.amax()).float().mean() > 0.95) == told


# ---- of a trained model ------------------------------------------------------------------------------------------


def test_images_of_the_cohort_pass(phantoms):
    assert sum(map(bool, doubts(phantoms))) <= 1


@pytest.mark.parametrize(
    ("corrupt", "said"),
    [
        (lambda raw: 0 * raw - 1000, "the image is nearly constant (all pixels are -1000): is it empty?"),
        (lambda raw: 1000 - raw, "brightness looks inverted: swap bright and dark"),
        (lambda raw: raw.flip(3), "left and right look swapped (flipped along axis 1): flip it back"),
        (lambda raw: raw + 1024, ": subtract 1024"),
        (lambda raw: raw * 257, ": divide by 257"),
    ],
)
def test_the_mend_is_all_that_is_said(phantoms, corrupt, said):
    found = doubts(corrupt(phantoms[:6]))
    assert sum(len(one) == 1 and one[0].endswith(said) for one in found) >= 5


def test_what_has_no_mend_has_reasons(phantoms):
    order = torch.randperm(48 * 144, generator=torch.Generator().manual_seed(0))
    shuffled = phantoms[:3].flatten(2)[:, :, order].reshape(3, 1, 48, 144)
    for texts in doubts(shuffled):
        assert any("noisier or sharper" in text for text in texts) and len(texts) <= 4
        assert all(": " in text and not text.endswith(".") for text in texts)
    blank = phantoms[:3].clone()
    blank[..., 48:] = -200
    assert all(any("blank or clipped" in text for text in texts) for texts in doubts(blank))


def test_an_area_out_of_range_is_said_in_its_unit(phantoms):
    check, known = MODEL.input_check, abduct_images(MODEL, check_inputs(MODEL, phantoms[:1]))
    pa = known.facts.pa.clone()
    pa[0, 1] = 500.0
    ((text,),) = check.doubts(dataclasses.replace(known, facts=known.facts._replace(pa=pa)))
    assert text.startswith("the guide measures lumen@mid as 500 mm2, and ")


def test_a_drawing_is_not_a_radiograph():
    chest = segue.load("chest")
    image = torch.full((1, 1, 96, 96), 170.0)
    image[..., 20:70, 15:40] = image[..., 20:70, 55:80] = 70.0
    assert chest.input_check.doubts(abduct_images(chest, check_inputs(chest, image)))[0]


def test_the_number_of_images_at_once_changes_nothing(phantoms):
    raw = torch.cat([phantoms[:2], phantoms[:2].flip(3)])
    assert doubts(raw) == list(itertools.chain.from_iterable(doubts(one) for one in raw.split(1)))
