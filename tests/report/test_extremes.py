"""The figure of extremes: large and small studies are readable, small files."""

import numpy as np
import pytest
from PIL import Image

from segue.errors import InputError
from segue.report.extremes import ExtremeRow, extremes_figure


@pytest.mark.parametrize(("shape", "count"), [((96, 96), 27), ((256, 256), 27), ((16, 48), 3), ((48, 144), 1)])
def test_a_grey_png_of_sane_size(tmp_path, shape, count):
    noise = np.random.default_rng(0).random((5, *shape))
    rows = [ExtremeRow(f"heart@sector_{i}", "pos_seg_cft", noise, (-2.9, -1.4, 1.5, 2.0)) for i in range(count)]
    extremes_figure(tmp_path / "a.png", rows=rows, levels=(-3.0, -1.5, 1.5, 3.0), intensity=(0.0, 1.0))
    assert (tmp_path / "a.png").stat().st_size < 2e6
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "L" and 300 < image.width < 2500
        pixels = np.asarray(image)
    assert pixels.std() > 10 and (pixels[[0, -1]] == 255).all()


def test_one_grey_scale_for_all(tmp_path):
    images = np.stack([np.full((40, 40), level) for level in (0.0, 0.5, 1.0)])
    row = ExtremeRow("heart", "segue", images, (0.0, 0.0))
    extremes_figure(tmp_path / "a.png", rows=[row], levels=(-1.0, 1.0), intensity=(0.0, 1.0))
    middle = np.asarray(Image.open(tmp_path / "a.png"))[-60]
    runs = [level for level in (0, 127, 128) if (middle == level).sum() > 100]
    assert 0 in runs and len(runs) == 2


def test_nothing_to_draw_is_named(tmp_path):
    with pytest.raises(InputError, match="nothing to draw"):
        extremes_figure(tmp_path / "a.png", rows=[], levels=(1.0,), intensity=(0.0, 1.0))
