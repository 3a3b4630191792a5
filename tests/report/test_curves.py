"""Training curves: what is read of logs, and what is drawn."""

import numpy as np
import pytest
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from segue.report.curves import Panel, curves_of, draw_curves, logged, smooth


def write(folder, tag, values, first=0):
    with SummaryWriter(str(folder / "logs"), purge_step=first) as writer:
        for step, value in enumerate(values, start=first):
            writer.add_scalar(tag, value, step)


@pytest.mark.parametrize("names", [("1", "2"), ("9", "10")], ids=["in-order", "names-out-of-order"])
def test_a_resumed_training_is_one_curve(tmp_path, names):
    write(tmp_path, "dice", [4.0, 3.0, 99.0])
    (first,) = (tmp_path / "logs").iterdir()
    write(tmp_path, "dice", [2.0, 1.0], first=2)
    (second,) = set((tmp_path / "logs").iterdir()) - {first}
    for log, name in zip((first, second), names, strict=True):
        log.rename(log.with_name(f"events.out.tfevents.0.{name}"))
    steps, values = logged(tmp_path / "logs", "dice")
    assert steps.tolist() == [0, 1, 2, 3] and values.tolist() == [4, 3, 2, 1]


def test_what_was_not_logged_is_left_out(tmp_path):
    write(tmp_path / "a", "dice", [1.0, 0.5])
    panel = Panel("dice", "Dice", {"a": tmp_path / "a", "never": tmp_path / "never"})
    assert list(curves_of(panel)) == ["a"]
    assert curves_of(Panel("mse", "error", {"a": tmp_path / "a"})) == {}
    draw_curves(tmp_path / "none.png", [Panel("mse", "error", {"a": tmp_path / "a"})])
    assert not (tmp_path / "none.png").exists()


def test_a_figure_grows_with_its_panels(tmp_path):
    write(tmp_path / "a", "dice", np.linspace(1, 0, 30).tolist())
    panel = Panel("dice", "Dice", {"a": tmp_path / "a"}, level=0.2)
    for count in (1, 4):
        draw_curves(tmp_path / f"{count}.png", [panel] * count)
    one, four = (Image.open(tmp_path / f"{count}.png") for count in (1, 4))
    assert np.array(one.convert("L")).std() > 5
    assert four.width == 3 * one.width and four.height == 2 * one.height


def test_smoothing_keeps_a_level_and_averages_noise():
    assert np.allclose(smooth(np.full(5, 3.0)), 3)
    noise = np.random.default_rng(0).normal(size=400)
    assert smooth(noise).shape == (400,) and smooth(noise).std() < 0.5
