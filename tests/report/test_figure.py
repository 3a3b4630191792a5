import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from segue.errors import InputError
from segue.report.figure import (
    DPI,
    Heads,
    colour_limit,
    figure1,
    head_width,
)
from segue.report.figure_row import FigureRow
from segue.report.layout import Layout
from segue.text import typeset

METHODS = ["no_cft", "pos_seg_cft"]


def row(*shape, methods=METHODS, title="do(plaque@mid = 6.1 mm2 (+80%))"):
    rng = np.random.default_rng(0)
    factual = rng.random(shape, dtype=np.float32)
    region = np.zeros(shape, np.float32)
    region[shape[0] // 4 : shape[0] // 2] = 1
    changed = {name: (factual + 0.2 * region).astype(np.float32) for name in methods}
    return FigureRow(title, factual, changed, region, {"plaque": region})


@pytest.mark.parametrize("shape", [(32, 96), (64, 64), (96, 32), (16, 16, 8)])
@pytest.mark.parametrize("count", [1, 8])
def test_a_png_of_sane_size_and_nothing_else(tmp_path, shape, count):
    methods = [f"method_{i}" for i in range(count)]
    figure1(
        tmp_path / "a.png", rows=[row(*shape, methods=methods)] * 2, methods=methods, intensity=(0.0, 1.2)
    )
    assert os.listdir(tmp_path) == ["a.png"]
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        width, height = (side / DPI for side in image.size)
        pixels = np.asarray(image.convert("RGB"))
    assert 5 <= width <= 14 and 1.5 <= height <= 12
    assert pixels.std() > 10 and (pixels[[0, -1]] == 255).all()  # drawn, and nothing cut at top and bottom


def test_names_over_columns_can_be_read_with_ten_methods():
    titles = ["Factual", *(f"segue without {word}" for word in ("shrinkage", "corrections", "blur")), "No-CFT"]
    for shape in ((48, 144), (96, 96), (96, 32)):
        layout = Layout.fit(10, shape)
        heads = Heads.fit(titles, head_width(layout))
        assert heads.size >= 7.5 and [" ".join(text.split()) for text in heads.texts] == titles
        widest = max(len(line) for text in heads.texts for line in text.splitlines())
        assert widest * heads.size * 0.65 / 72 <= head_width(layout) + 0.05  # inches: no name runs into the next


def reds_and_blues(path):
    bar = int(0.75 * DPI)  # the strip below that holds the colour bar, which has both
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)[:-bar]
    excess = pixels[..., 0] - pixels[..., 2]
    return (excess > 60).sum(), (excess < -60).sum()


def test_more_is_red_and_less_is_blue(tmp_path):
    up = replace(row(64, 64, methods=["a"]), outlines={}, region=np.zeros((64, 64), np.float32))
    down = replace(up, factual=up.counterfactuals["a"], counterfactuals={"a": up.factual})
    figure1(tmp_path / "up.png", rows=[up], methods=["a"], intensity=(0.0, 1.0))
    figure1(tmp_path / "down.png", rows=[down], methods=["a"], intensity=(0.0, 1.0))
    reds, blues = reds_and_blues(tmp_path / "up.png")
    assert reds > 1000 and blues == 0
    reds, blues = reds_and_blues(tmp_path / "down.png")
    assert blues > 1000 and reds == 0


def test_titles_are_text_and_typeset(tmp_path):
    dollars = row(32, 32, title="do($a_{ = -3$)")
    figure1(tmp_path / "a.png", rows=[dollars], methods=METHODS, intensity=(0.0, 1.0))
    assert typeset("do(a-b@mid = -3.5 mm2 (-20%))") == "do(a-b@mid = −3.5 mm² (−20%))"


@pytest.mark.parametrize(("largest", "limit"), [(0.0, 1.0), (23.0, 30.0), (0.07, 0.08), (100.0, 100.0)])
def test_a_round_colour_limit(largest, limit):
    image = np.full((8, 8), -largest)
    assert colour_limit([image]) == pytest.approx(limit)


def test_rows_that_do_not_fit_are_refused(tmp_path):
    one = row(16, 16)
    for rows, methods in [([], METHODS), ([one], ["seg_cft"]), ([one, row(16, 8)], METHODS)]:
        with pytest.raises(InputError, match="figure:"):
            figure1(tmp_path / "a.png", rows=rows, methods=methods, intensity=(0.0, 1.0))
