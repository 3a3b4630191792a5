"""Lines and colours against what can be counted by hand."""

import io
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from segue.explorer.pictures import display_grey, outline, png, sides, signed


def drawn(path: str) -> set[tuple[str, int, int]]:
    """The unit sides of an SVG path: direction, line, place."""
    found = set()
    for x, y, direction, length in re.findall(r"M(\d+) (\d+)([hv])(\d+)", path):
        for step in range(int(length)):
            side = (direction, int(x), int(y) + step) if direction == "v" else (direction, int(x) + step, int(y))
            assert side not in found
            found.add(side)
    return found


@given(arrays(bool, (4, 5)))
def test_sides_are_those_between_pixels_that_differ(inside):
    vertical = {("v", c + 1, r) for r in range(4) for c in range(4) if inside[r, c] != inside[r, c + 1]}
    horizontal = {("h", c, r + 1) for r in range(3) for c in range(5) if inside[r, c] != inside[r + 1, c]}
    assert drawn(sides(inside)) == vertical | horizontal


def test_an_outline_encloses_its_mask():
    mask = np.zeros((8, 10))
    mask[2:5, 3:9] = 1.0
    (ring,) = outline(mask)[1:].split("M")
    points = np.array([[float(n) for n in point.split()] for point in ring.split("L")])
    x, y = points.T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert 3 * 6 - 2 <= area <= 3 * 6  # the corners are cut
    assert (x.min(), x.max(), y.min(), y.max()) == (3, 9, 2, 5)


def test_grey_runs_from_black_to_white():
    assert display_grey(np.array([[-300.0, -200.0, 500.0, 1200.0, 1300.0]]), (-200.0, 1200.0)).tolist() == [
        [0, 0, 128, 255, 255]
    ]


@given(st.floats(0.01, 1.0))
def test_more_is_red_less_is_blue_and_nothing_is_white(share):
    (less, none, more) = signed(np.array([[-share, 0.0, share]]), 1.0)[0].astype(int)
    assert none.min() > 240
    assert more[0] >= more[2] and less[2] >= less[0]


def test_a_picture_survives_its_file():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)
