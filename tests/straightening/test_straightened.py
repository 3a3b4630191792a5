"""A tortuous tube there and back, against what is true of it in closed form."""

import numpy as np
import pytest
import torch
from helix import AFFINE, BRIGHT, LUMEN, VOXEL, blurred_tube, foot_points, helix, pixels_of

from segue.cohort.io import Pixels
from segue.errors import InputError
from segue.straightening import Centreline, VesselSection, straighten

SECTION = VesselSection(radius=5, step=0.25)
DISTANCE, SHARE = foot_points()
MIDDLE = np.abs(SHARE - 0.5) < 1 / 6
BUMP = np.where(MIDDLE, 0.6 * np.cos(3 * np.pi * (SHARE - 0.5)) ** 2, 0.0)
HEALTHY, WIDENED = blurred_tube(DISTANCE, LUMEN), blurred_tube(DISTANCE, LUMEN + BUMP)


@pytest.fixture(scope="module")
def healthy():
    return straighten(pixels_of(HEALTHY), Centreline(helix()), SECTION)


@pytest.fixture(scope="module")
def widened():
    return straighten(pixels_of(WIDENED), Centreline(helix()), SECTION)


def voxels(found, least: float) -> np.ndarray:
    """The voxels that take at least so much of an edit."""
    mask = np.zeros(found.pixels.array.shape, dtype=bool)
    mask[tuple(found.reached.voxels[found.reached.weight >= least].T)] = True
    return mask


def test_the_straightened_tube_is_the_straight_tube(healthy):
    offsets = SECTION.offsets
    truth = blurred_tube(np.hypot(offsets[:, None], offsets), LUMEN)[..., None]
    assert np.abs(healthy.volume - truth)[..., 8:-8].max() < 0.01 * BRIGHT
    assert np.abs(healthy.slices[0] - blurred_tube(np.abs(offsets), LUMEN)[:, None])[:, 8:-8].max() < 0.01 * BRIGHT


@pytest.mark.parametrize("kind", ["volume", "slices"])
def test_there_and_back_is_within_one_percent(healthy, widened, kind):
    back, inside = healthy.back(getattr(widened, kind)), voxels(healthy, 1.0)
    assert np.abs(HEALTHY - WIDENED)[inside].max() > 0.25 * BRIGHT  # what was asked of it
    assert np.abs(back - WIDENED)[inside].max() < 0.01 * BRIGHT
    assert back.dtype == HEALTHY.dtype and inside.sum() > 5000


def test_what_is_not_reached_or_not_edited_stays_to_the_bit(healthy, widened):
    back = healthy.back(widened.volume)
    outside = ~voxels(healthy, 0.0)
    assert np.array_equal(back[outside], HEALTHY[outside])
    assert np.array_equal(healthy.back(healthy.volume), HEALTHY)
    assert np.array_equal(healthy.back(healthy.slices), HEALTHY)
    edited = healthy.slices.copy()
    edited[..., : edited.shape[-1] // 3] += 40  # the proximal third
    far = SHARE > 1 / 3 + 0.02
    back = healthy.back(edited)
    assert np.array_equal(back[far], HEALTHY[far]) and not np.array_equal(back[~far], HEALTHY[~far])


def lumen(volume: np.ndarray, inside: np.ndarray) -> float:
    """The mean cross-section within a stretch of the helix, by counting voxels beyond half of the brightness."""
    return float((volume[inside] > BRIGHT / 2).sum())


@pytest.mark.parametrize("factor", [0.6, 1.3])
def test_the_area_of_the_edited_third_changes_as_asked(healthy, factor):
    edited, count = healthy.volume.copy(), healthy.volume.shape[-1]
    third = slice(count // 3, count - count // 3)
    across = np.hypot(SECTION.offsets[:, None], SECTION.offsets)
    edited[..., third] = blurred_tube(across, LUMEN * np.sqrt(factor))[..., None]
    back = healthy.back(edited)
    middle = np.abs(SHARE - 0.5) < 1 / 6 - 0.01
    assert lumen(back, middle) / lumen(HEALTHY, middle) == pytest.approx(factor, rel=0.02)
    others = np.abs(SHARE - 0.5) > 1 / 6 + 0.01
    assert lumen(back, others) == lumen(HEALTHY, others)


def test_slices_over_half_a_turn_describe_an_eccentric_lesion(healthy):
    section = VesselSection(radius=5, step=0.25, planes=12)
    found = straighten(pixels_of(HEALTHY), Centreline(helix()), section)
    offsets = SECTION.offsets

    def lesion(u, v):
        return 200 * np.exp(-((u - 1.5) ** 2 + (v + 0.5) ** 2) / 2)

    by_slice = lesion(*(side(section.angles)[:, None] * offsets for side in (np.cos, np.sin)))[..., None]
    by_volume = lesion(offsets[:, None], offsets[None])[..., None]
    one, other = found.back(found.slices + by_slice), found.back(found.volume + by_volume)
    assert np.abs(one - other).max() < 0.03 * 200 and np.abs(one - HEALTHY).max() > 150


def test_rigid_motion_of_patient_and_centreline_changes_nothing():
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = np.eye(4)
    moved[:3, :3], moved[:3, 3] = turn, [40, -7, 12]
    pixels = Pixels(WIDENED, affine=moved @ AFFINE)
    section = VesselSection(radius=4, step=0.5, planes=3)
    one = straighten(pixels_of(WIDENED), Centreline(helix()), section)
    other = straighten(pixels, Centreline(helix() @ turn.T + moved[:3, 3]), section)
    np.testing.assert_allclose(one.slices, other.slices, atol=1e-3)
    edit = one.slices + 10
    np.testing.assert_allclose(one.back(edit), other.back(edit), atol=1e-3)


def test_the_other_end_first_gives_the_mirrored_vessel():
    section = VesselSection(radius=4, step=0.5)
    one, other = (straighten(pixels_of(WIDENED), Centreline(line), section) for line in (helix(), helix()[::-1]))
    profile, turned = (found.volume[6:-6, 6:-6].mean((0, 1)) for found in (one, other))
    np.testing.assert_allclose(profile, turned[::-1], atol=0.05 * BRIGHT)


def test_integers_stay_integers_and_tensors_are_taken():
    ct = np.rint(HEALTHY - 1000).astype(np.int16)
    found = straighten(pixels_of(ct), Centreline(helix()), VesselSection(radius=4, step=0.5))
    back = found.back(torch.from_numpy(found.slices)[:, None] + 1e6)  # beyond what the type holds
    assert back.dtype == np.int16 and back.max() == 32767
    outside = ~voxels(found, 0.0)
    assert np.array_equal(back[outside], ct[outside])
    assert np.array_equal(found.back(found.slices[0]), ct)


def test_a_fold_is_said_and_not_reached():
    turn = np.linspace(0, np.pi, 100)
    bend = 3 * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1) + 9
    pixels = Pixels(np.zeros((40, 40, 40), np.float32), affine=np.diag([0.5, 0.5, 0.5, 1.0]))
    found = straighten(pixels, Centreline(bend), VesselSection(radius=5, step=0.25))
    assert "would fold" in found.notes[0] and "2.7 mm" in found.notes[0]
    assert np.hypot(found.reached.u, found.reached.v).max() < 2.75
    assert len(np.unique(found.reached.voxels, axis=0)) == len(found.reached.voxels)


def test_refusals(healthy):
    with pytest.raises(InputError, match=r"the edit has shape \(3, 3\)"):
        healthy.back(np.zeros((3, 3)))
    with pytest.raises(InputError, match="not finite"):
        healthy.back(np.full(healthy.slices.shape, np.nan))
    with pytest.raises(InputError, match="no geometry"):
        straighten(Pixels(HEALTHY), Centreline(helix()))
    with pytest.raises(InputError, match="0% of the centreline's points lie in the volume; check both"):
        straighten(pixels_of(HEALTHY), Centreline(helix() + 500))
    with pytest.raises(InputError, match="space were the other of RAS and LPS"):
        straighten(pixels_of(HEALTHY), Centreline(helix() * [-1, -1, 1]))
    assert SECTION.step < VOXEL
