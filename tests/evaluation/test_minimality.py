"""Counterfactual latent divergence on images on a line, where it is counted by hand."""

import math

import numpy as np
import pytest

from segue.evaluation import minimality
from segue.evaluation.minimality import latent_divergence

LINE = np.arange(9.0)[:, None]  # thirds: 0 1 2, 3 4 5, 6 7 8
EACH = list("abcdefghi")


def cld(counterfactual: np.ndarray, requested: float, subjects: list[str] = EACH) -> float | None:
    """Every image is asked for the same value."""
    wanted = np.full((9, 1), requested)
    return latent_divergence(
        LINE, counterfactual, values=LINE, requested=wanted, turns=np.zeros(9, int), subjects=subjects
    )


def by_hand(near: float, far: float) -> float:
    return math.log(0.8 * math.exp(near) + 0.2 * math.exp(far))


def test_of_one_image_by_hand(monkeypatch):
    """x at 0 is asked for the last third, 6 to 8; 1 and 2 have its own value."""
    whole = minimality.divergence_of
    monkeypatch.setattr(minimality, "divergence_of", lambda i, *rest: whole(i, *rest) if i == 0 else None)
    assert cld(LINE + 7, 7.0) == pytest.approx(by_hand(2 / 3, 0))  # farther than 6 and as far as 7; than 1 and 2
    assert cld(LINE + 1.5, 7.0) == pytest.approx(by_hand(0, 1 / 2))  # nearer than all wanted, and than 2
    assert cld(LINE + 3, 7.0) == pytest.approx(0)  # beyond its own, and nearer than the wanted: the best
    assert cld(LINE + 9, 7.0) == pytest.approx(by_hand(1, 0))  # farther than all that was wanted
    assert cld(LINE + 9, 7.0, ["a", "a", "a", *"defghi"]) is None  # no other subject has its own value


def test_scale_of_a_feature_does_not_matter():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 30, 4))
    values, requested = random.normal(size=(2, 30, 3))
    subjects = [str(i) for i in range(30)]
    more = {"values": values, "requested": requested, "turns": np.arange(30) % 3, "subjects": subjects}
    scale = np.array([1.0, 10.0, 100.0, 0.1])
    first, second = latent_divergence(x, y, **more), latent_divergence(x * scale, y * scale, **more)
    assert first == pytest.approx(second) and 0 <= first <= 1
