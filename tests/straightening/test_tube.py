"""Curves, frames and the map around a curve, against closed forms."""

import numpy as np
import pytest
from helix import LENGTH, PITCH, RADIUS, helix

from segue.errors import InputError
from segue.straightening import Centreline, VesselSection
from segue.straightening.curve import fit_curve
from segue.straightening.tube import make_tube


def tube_of(points: np.ndarray, **section: float):
    return make_tube(Centreline(points), VesselSection(**section))


def test_a_helix_has_its_length_and_curvature():
    curve = fit_curve(helix())
    assert curve.length == pytest.approx(LENGTH, rel=1e-6)
    s = np.linspace(2, curve.length - 2, 50)
    curvature = RADIUS / (RADIUS**2 + (PITCH / (2 * np.pi)) ** 2)
    np.testing.assert_allclose(np.linalg.norm(curve.bending(s), axis=1), curvature, rtol=1e-3)


def test_a_smoothed_curve_is_nearer_to_the_truth_than_its_points():
    noise = np.random.default_rng(0).normal(0, 0.3, (300, 3))
    rough = fit_curve(helix() + noise, smoothing=0.3 * np.sqrt(3))
    at = np.linspace(0.05, 0.95, 40)
    off = np.linalg.norm(rough.at(at * rough.length) - helix(20_001)[(at * 20_000).astype(int)], axis=1)
    assert abs(rough.length - LENGTH) < 0.5 and off.mean() < 0.3


def test_frames_are_orthonormal_and_do_not_twist():
    tube = tube_of(helix(), radius=4, step=0.25)
    s = np.linspace(0, tube.curve.length, 2001)
    one, other = tube.frames(s)
    frame = np.stack([one, other, tube.curve.tangents(s)], axis=1)
    np.testing.assert_allclose(frame @ frame.transpose(0, 2, 1), np.tile(np.eye(3), (2001, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(frame), 1, atol=1e-9)
    twist = (np.gradient(one, s, axis=0) * other).sum(1)  # of a rotation-minimising frame, U' has no part along V
    assert np.abs(twist[5:-5]).max() < 1e-4
    torsion = (PITCH / (2 * np.pi)) / (RADIUS**2 + (PITCH / (2 * np.pi)) ** 2)  # what a Frenet frame would turn by
    assert torsion > 0.05


def test_a_plane_curve_keeps_its_plane():
    x = np.linspace(0, 20, 90)
    normal = np.array([0.0, 0.6, 0.8])
    across = np.array([0.0, 0.8, -0.6])
    tube = tube_of(x[:, None] * [1.0, 0, 0] + 3 * np.sin(x / 4)[:, None] * across, radius=2, step=0.5)
    _, other = tube.frames(tube.along)
    np.testing.assert_allclose(np.abs(other @ normal), 1, atol=1e-6)
    assert np.ptp(np.sign(other @ normal)) == 0


def test_the_map_and_its_inverse():
    tube, rng = tube_of(helix(), radius=4, step=0.25), np.random.default_rng(1)
    s = rng.uniform(0.5, tube.curve.length - 0.5, 500)
    u, v = rng.uniform(-2.8, 2.8, (2, 500))
    one, other = tube.frames(s)
    found = tube.coordinates(tube.curve.at(s) + u[:, None] * one + v[:, None] * other)
    for name, truth in (("s", s), ("u", u), ("v", v)):
        np.testing.assert_allclose(getattr(found, name), truth, atol=1e-8)
    assert found.within.all()


def test_beyond_the_ends_there_is_no_tube():
    tube = tube_of(np.array([[0.0, 0, 0], [0, 0, 10]]), radius=2, step=1)
    found = tube.coordinates(np.array([[1.0, 0, -0.5], [1, 0, 0.5], [0, 1, 10.5]]))
    assert found.within.tolist() == [False, True, False]


def test_a_tube_is_narrower_where_it_would_fold():
    turn = np.linspace(0, np.pi, 200)
    bend = 3 * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    tube = tube_of(bend, radius=5, step=0.25)
    np.testing.assert_allclose(tube.radii(tube.along[2:-2]), 2.7, rtol=1e-2)
    straight = tube_of(np.array([[0.0, 0, 0], [0, 0, 10]]), radius=5, step=0.25)
    assert (straight.radii(straight.along) == 5).all()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"radius": 0}, "radius is 0"),
        ({"step": float("nan")}, "step is nan"),
        ({"start": -1}, "start is -1"),
        ({"planes": 48}, "48 samples across"),
        ({"radius": 0.1, "step": 0.25}, "1 samples across"),
    ],
)
def test_sections_that_are_not_possible(section, said):
    with pytest.raises(InputError, match=said):
        VesselSection(**section)


def test_a_section_longer_than_the_vessel():
    with pytest.raises(InputError, match=r"from 30 mm, 20 mm long, does not fit the centreline of 45\.\d mm"):
        _ = tube_of(helix(), start=30.0, length=20.0).along


@pytest.mark.parametrize("more", [{"step": 1e-9}, {"across": 1e-12}, {"planes": 10**9}, {"radius": 1e30}])
def test_a_section_of_very_many_samples_is_refused(more):
    line = Centreline.of([[0, 0, 0], [0, 0, 9], [0, 0, 20]], proximal="first")
    with pytest.raises(InputError, match="samples; "):
        _ = make_tube(line, VesselSection(**{"across": 0.5} | more)).along
