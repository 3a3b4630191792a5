"""The studies of use: who is trained on what, and that masks go with their images. Nothing is trained here."""

import json

import numpy as np
import pytest
import tiny
import torch
from scipy import stats

from benchmarks.use import augmentation, bias, progression
from benchmarks.use.record import Rows, interval, paired, settings_of
from segue.engine.method import Method, of_function
from segue.mechanisms.base import Moved
from segue.phantom import VARIABLES, areas

SETTINGS = {"counterfactuals": 3, "variables": 1, "change": 1.5, "share": 0.5, "size": list(tiny.SIZE)}


def test_intervals_are_those_of_students_t():
    values = [0.2, 0.5, 0.9, 0.4, 0.7]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert interval(values)["ci95"] == pytest.approx([expected.low, expected.high])
    one, other = ([{"seed": s, "dice": v + d} for s, v in enumerate(values)] for d in (0.0, 0.25))
    assert paired(other[::-1], one, "dice")["ci95"] == pytest.approx([0.25, 0.25])


def test_a_row_is_made_once_also_after_a_kill(tmp_path):
    path = tmp_path / "rows.jsonl"
    Rows(path, ("seed",)).add({"seed": 0}, lambda: {"value": 1})
    path.write_text(path.read_text() + '{"seed": 1, "va')
    again = Rows(path, ("seed",))
    again.add({"seed": 0}, lambda: pytest.fail("was made before"))
    again.add({"seed": 1}, lambda: {"value": 2})
    assert [json.loads(line)["value"] for line in path.read_text().splitlines()] == [1, 2]


def test_requests_change_so_many_variables_by_no_more_than_said():
    pa, sd = torch.full((6, 4), 100.0), torch.tensor([1.0, 2.0, 3.0, 4.0])
    found = augmentation.requests(pa, sd, SETTINGS | {"variables": 2}, seed=0)
    assert len(found) == 3 and not torch.equal(found[0], found[1])
    for one in found:
        assert ((one != pa).sum(1) == 2).all() and ((one - pa).abs() <= 1.5 * sd).all()


def test_masks_of_a_moved_image_are_the_moved_masks():
    parents, image = tiny.bar_parents(), tiny.bars(3, seed=0)
    down = torch.zeros(3, 2, *tiny.SIZE)
    down[:, 0] = -2.0  # x* at p shows x at p - 2
    moved = Method(lambda questions: [Moved(image.roll(2, dims=2), down)] * len(questions.requests))
    fractions = (image > 0).float()
    made = augmentation.made_by(moved, parents, augmentation.Pairs(image, fractions), SETTINGS, seed=0)
    assert made.image.shape == (3, 3, 1, *tiny.SIZE)
    assert torch.allclose(made.fractions[:, 1, :, 2:], fractions[:, :, :-2], atol=1e-5)


def test_masks_of_a_painted_image_are_what_the_guide_sees_there():
    parents, image = tiny.bar_parents(), tiny.bars(2, seed=0)
    painted = of_function(lambda facts, requested: torch.full_like(facts.image, 0.5))
    made = augmentation.made_by(painted, parents, augmentation.Pairs(image, image * 0), SETTINGS, seed=0)
    assert made.fractions.min() > 0.9  # all of the image has the structure's tone


def test_a_batch_has_counterfactuals_of_the_same_subjects_only():
    real = augmentation.Pairs(torch.arange(5.0).reshape(5, 1, 1, 1), torch.zeros(5, 1, 1, 1))
    two = real.image[:, None] + torch.tensor([0.25, 0.5]).reshape(1, 2, 1, 1, 1)
    made = augmentation.Pairs(two, torch.ones_like(two))
    settings = SETTINGS | {"training": {"batch_size": 400}}
    batch = augmentation.Stream(real, made, settings, seed=0).at(0)
    part, is_made = batch["image"].flatten() % 1, batch["fractions"].flatten() == 1
    assert set(part[is_made].tolist()) == {0.25, 0.5} and not part[~is_made].any()
    assert 0.4 < float(is_made.double().mean()) < 0.6
    assert batch["image"].flatten().floor().unique().tolist() == [0, 1, 2, 3, 4]
    none = augmentation.Stream(real, None, settings, seed=0).at(0)
    assert torch.equal(none["image"].flatten(), batch["image"].flatten().floor())


@pytest.fixture(scope="module")
def small():
    return settings_of("bias") | {"drawn": 1500, "images": {"train": 40, "test": 8}}


@pytest.mark.parametrize("confounder", ["calibre", "brightness"])
def test_the_confounder_is_as_the_label_in_the_stated_share(small, confounder):
    chosen = bias.choose(small, confounder, "train", 0.9, seed=0)
    assert chosen.label.tolist() == [0] * 20 + [1] * 20
    assert int((chosen.label == chosen.confounder).sum()) == 36
    plaque = areas(chosen.noise)[:, VARIABLES.index("calcified_plaque@distal")]
    assert (plaque[:20] < 2.5).all() and (plaque[20:] > 4.5).all()
    calibre = areas(chosen.noise)[:, VARIABLES.index("lumen@distal")]
    value = calibre if confounder == "calibre" else chosen.noise.lumen_hu
    assert value[chosen.confounder == 1].min() > value[chosen.confounder == 0].max()
    weights = bias.inverse(chosen)
    groups = [weights[(chosen.label == a) & (chosen.confounder == b)].sum() for a in (0, 1) for b in (0, 1)]
    assert groups == pytest.approx([1.0] * 4)


def test_counterfactuals_turn_the_label_or_the_confounder_and_not_both(small):
    chosen = bias.choose(small, "calibre", "train", 0.9, seed=0)
    (plaque, donor, turned), (lumen, wider, kept) = bias.swaps(chosen, small, "calibre", seed=0)
    assert plaque == "calcified_plaque@distal" and torch.equal(chosen.label[donor], turned)
    assert torch.equal(turned, 1 - chosen.label) and torch.equal(kept, chosen.label) and lumen == "lumen@distal"
    assert torch.equal(chosen.confounder[wider], 1 - chosen.confounder)
    assert [name for name, _, _ in bias.swaps(chosen, small, "brightness", seed=0)] == ["calcified_plaque@distal"]
    few = chosen._replace(noise=bias.draw_images([0, 1], seed=3001, law="independent"))
    made = bias.true_answers(few, [("lumen@distal", torch.tensor([1, 0]), torch.tensor([0, 1]))])
    assert made.raw.shape == (2, 1, 1, 48, 144)


def test_a_progression_is_told_from_a_plateau():
    settings = {"variable": VARIABLES[0], "factors": [1.0, 1.5, 2.0]}
    values = np.ones((4, 3, 9))
    values[:, :, 0] = [2.0, 3.0, 4.0]
    values[0, 2, 0] = 3.0  # one image stops
    values[:, 2, 5] = 1.5
    found = progression.summary(values, settings, np.ones(9))
    assert found["monotone"] == 0.75 and found["ratio"] == pytest.approx([1, 1.5, 1.875])
    assert found["others_drift_sd"] == pytest.approx([0, 0, 0.5 / 8])
    assert found["others_drift_sd_worst_variable"] == pytest.approx([0, 0, 0.5])
