"""The test of crops: it finds what is there, and nothing where nothing is; where crops are, by hand."""

import numpy as np
import pytest
import tiny
import torch
from monai.metrics import compute_roc_auc
from painter import PA, VALUES, Painter, asked
from scipy.ndimage import gaussian_filter

from segue.evaluation.crops import centre, crop_shape, crops_of, cut
from segue.evaluation.judge import factual_crops
from segue.evaluation.local_realism import LocalTest, by_subject, draw_pairs, subject_folds

IMAGES, VARIABLES, SIDE = 60, 3, 24


def crops(seed: int) -> np.ndarray:
    """Discs of random size on smooth noise, with the noise of a detector."""
    random = np.random.default_rng(seed)
    shape = (IMAGES * VARIABLES, SIDE, SIDE)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    disc = (y**2 + x**2)[None] < random.uniform(3, 8, (shape[0], 1, 1)) ** 2
    return 2 * disc + 3 * gaussian_filter(random.normal(size=shape), (0, 1, 1)) + 0.3 * random.normal(size=shape)


def auc(changed: np.ndarray) -> dict:
    donors = np.stack([np.roll(np.arange(IMAGES), v + 1) for v in range(VARIABLES)], axis=1)
    pairs = draw_pairs(donors, np.arange(IMAGES), np.arange(IMAGES) // 2, seed=0)
    number = {(i, v): i * VARIABLES + v for i in range(IMAGES) for v in range(VARIABLES)}
    facts, answers = (
        {edit: torch.tensor(images[k, None], dtype=torch.float32) for edit, k in number.items()}
        for images in (crops(seed=0), changed)
    )
    test = LocalTest(pairs, facts, seed=0)
    found = test.summary(test(answers), ("a", "b", "c"), bootstrap=200)
    assert list(found) == ["auc", "ci95", "by_variable"] and list(found["by_variable"]) == ["a", "b", "c"]
    return found


def test_images_of_one_distribution_are_not_told_apart():
    found = auc(crops(seed=1))
    assert found["ci95"][0] <= 0.5 <= found["ci95"][1] and found["ci95"][1] - found["ci95"][0] < 0.3


def test_noise_in_a_box_is_seen():
    changed = crops(seed=1)
    changed[:, 8:16, 8:16] = np.random.default_rng(2).normal(size=(len(changed), 8, 8))
    found = auc(changed)
    assert found["auc"] > 0.9 and found["ci95"][0] <= found["auc"] <= found["ci95"][1]
    assert min(one["auc"] for one in found["by_variable"].values()) > 0.85


def test_a_smooth_blur_is_seen():
    assert auc(gaussian_filter(crops(seed=1), (0, 0.7, 0.7)))["auc"] > 0.8


def test_volumes_are_tested_too():
    random = np.random.default_rng(0)
    pairs = draw_pairs(np.roll(np.arange(24), 1)[:, None], np.arange(24), np.arange(24), seed=0)
    facts = {(i, 0): torch.tensor(random.normal(size=(1, 8, 8, 8)), dtype=torch.float32) for i in range(24)}
    test = LocalTest(pairs, facts, seed=0)
    changed = {edit: 0.2 * crop for edit, crop in facts.items()}
    scores = test(changed)
    assert test.auc(scores, np.full(24, True), 20)["auc"] > 0.9
    np.testing.assert_array_equal(scores, test(changed))  # the same again


# ---- who is compared with whom -----------------------------------------------------------------------------------


def test_donors_are_other_subjects_and_a_subject_is_in_one_fold():
    subjects = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    donors = np.stack([np.roll(np.arange(8), 1), np.roll(np.arange(8), 3)], axis=1)
    pairs = draw_pairs(donors, np.arange(8) + 10, subjects, seed=0)
    assert (pairs.subject != pairs.donor_subject).all() and len(pairs.edit) == 4 + 8
    for (place, v), (given, w) in zip(pairs.edit, pairs.donor, strict=True):
        assert v == w and donors[place - 10, v] == given - 10
    folds = subject_folds(pairs, seed=0)
    together = {(s, f) for s, f in zip([*pairs.subject, *pairs.donor_subject], folds.ravel().tolist(), strict=True)}
    assert len(together) == 4 and len({fold for _, fold in together}) == 3


def test_the_area_is_monais_where_all_are_compared():
    scores = np.random.default_rng(0).integers(0, 9, (2, 40)).astype(float)  # with ties
    subjects = np.stack([np.arange(40), 40 + np.arange(40)])
    wins, compared = by_subject(scores, subjects, np.zeros((2, 40), int), 80)
    label = torch.tensor([1] * 40 + [0] * 40)
    assert wins.sum() / compared.sum() == pytest.approx(compute_roc_auc(torch.tensor(scores.ravel()), label))


# ---- where crops are ---------------------------------------------------------------------------------------------


def test_a_crop_is_a_third_of_the_image_and_stays_inside():
    assert [crop_shape(size) for size in ((90, 200), (40, 30), (96, 20, 12))] == [(30, 30), (24, 24), (16, 16, 12)]
    image = torch.arange(100.0).reshape(1, 1, 10, 10)
    for where, first in (([4.5, 4.5], (3, 3)), ([0.0, 9.0], (0, 6)), ([5.5, 2.5], (4, 1))):
        crop = cut(image, torch.tensor([where]), (4, 4))
        assert torch.equal(crop[0, 0], image[0, 0, first[0] : first[0] + 4, first[1] : first[1] + 4])


def test_the_part_of_the_structure_in_its_region_is_the_centre():
    mask, region = torch.zeros(1, 8, 8), torch.zeros(1, 8, 8)
    mask[0, 2:4, :] = 1
    region[0, :, 4:] = 1
    assert centre(mask, region).tolist() == [[2.5, 5.5]]
    assert centre(torch.zeros(1, 8, 8), region).tolist() == [[3.5, 5.5]]


def test_crops_are_of_the_images_that_were_judged():
    parents = Painter().parents
    one = asked(PA, VALUES, parents, [7, 5, 9])
    wanted = {(5, 0), (9, 3)}
    found = factual_crops(wanted, [one], parents, tiny.Channels())
    assert set(found) == wanted and found[5, 0].shape == (2, 8, 16)  # a small image is its own crop
    assert torch.equal(found[5, 0], one.facts.image[1])
    answers = [one.facts.image + v for v in range(4)]
    assert torch.equal(crops_of(one, answers, parents, tiny.Channels(), wanted)[9, 3], one.facts.image[2] + 3)
