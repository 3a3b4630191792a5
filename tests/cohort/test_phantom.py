"""The phantom against what does not come from it: quadrature, published ranges, the folder reader."""

from dataclasses import fields, replace

import nibabel as nib
import numpy as np
import pytest

from segue.cohort.folder import read_folder
from segue.cohort.phantom import STRUCTURES, draw, render, render_cohort, write_folder
from segue.errors import InputError

SIZE = (32, 96)
SPACING = (12 / 32, 36 / 96)


def areas(fractions: np.ndarray) -> np.ndarray:
    """(n, 3, H, W) fractions to (n, 9) areas in mm2: structure by structure, proximal to distal."""
    n, k, height, width = fractions.shape
    pixel = (12 / height) * (36 / width)
    return pixel * fractions.reshape(n, k, height, 3, width // 3).sum(axis=(2, 4), dtype=np.float64).reshape(
        n, 9
    )


@pytest.fixture(scope="module")
def cohort() -> tuple[np.ndarray, np.ndarray]:
    records = list(render_cohort(600, size=SIZE, seed=3))
    return np.stack([r.image[0] for r in records]), np.stack([r.fractions for r in records])


def test_an_image_depends_on_seed_and_index_alone() -> None:
    whole = list(render_cohort(70, size=SIZE, seed=5))
    part = list(render_cohort(7, size=SIZE, seed=5, start=61))
    for expected, found in zip(whole[61:68], part, strict=True):
        assert found.id == expected.id
        np.testing.assert_array_equal(found.image, expected.image)
        np.testing.assert_array_equal(found.fractions, expected.fractions)


def test_seeds_and_indices_give_different_images() -> None:
    a, b = render_cohort(2, size=SIZE, seed=0)
    (c,) = render_cohort(1, size=SIZE, seed=1)
    assert not np.allclose(a.image, b.image)
    assert not np.allclose(a.image, c.image)


def test_render_is_deterministic_and_noise_is_all_in_the_anatomy() -> None:
    anatomy = draw(2, seed=0)
    for first, second in zip(render(anatomy, SIZE), render(anatomy, SIZE), strict=True):
        np.testing.assert_array_equal(first, second)


def test_record() -> None:
    *_, record = render_cohort(13, size=SIZE, seed=0)
    assert record.id == record.subject == "phantom_000012"
    assert record.spacing == SPACING
    assert record.image.shape == (1, *SIZE) and record.image.dtype == np.float32
    assert record.fractions.shape == (len(STRUCTURES), *SIZE) and record.fractions.dtype == np.float32


def test_fractions_are_shares(cohort: tuple[np.ndarray, np.ndarray]) -> None:
    _, fractions = cohort
    assert fractions.min() >= 0
    assert fractions.sum(axis=1).max() <= 1 + 1e-6


def test_areas_do_not_depend_on_the_grid() -> None:
    anatomy = draw(50, seed=0)
    coarse, fine = (areas(render(anatomy, size)[1]) for size in ((32, 96), (64, 192)))
    np.testing.assert_allclose(coarse, fine, rtol=0.02, atol=0.02)


def test_plaque_area_is_the_integral_of_its_profile() -> None:
    anatomy = draw(40, seed=1)
    measured = areas(render(anatomy, (64, 384))[1])
    u = np.linspace(-1, 1, 200_001)
    for plaques, found in ((anatomy.calcified, measured[:, 3:6]), (anatomy.noncalcified, measured[:, 6:9])):
        profile = np.array([[np.trapezoid((1 - u**2) ** b, u) / 2 for b in row] for row in plaques.bluntness])
        np.testing.assert_allclose(found, plaques.thickness * plaques.length * profile, rtol=0.01, atol=0.01)


def test_a_straight_bare_lumen_is_a_rectangle() -> None:
    anatomy = draw(3, seed=2)
    still = {name: np.zeros_like(getattr(anatomy, name)) for name in ("ripple", "course")}
    bare = {
        name: replace(getattr(anatomy, name), thickness=np.zeros((3, 3)))
        for name in ("calcified", "noncalcified")
    }
    anatomy = replace(anatomy, diameter=np.full((3, 3), 3.0), **still, **bare)
    np.testing.assert_allclose(areas(render(anatomy, SIZE)[1])[:, :3], 3.0 * 12.0, rtol=1e-5)


def test_tissues_have_their_attenuation(cohort: tuple[np.ndarray, np.ndarray]) -> None:
    """Means over pixels deep inside a tissue: published ranges, unharmed by blur and noise."""
    images, fractions = cohort
    lumen = np.array(
        [image[deep].mean() for image, deep in zip(images, inside(fractions[:, 0]), strict=True)]
    )
    assert lumen.min() > 320 and lumen.max() < 500
    hard = images[fractions[:, 1] == 1]
    soft = images[fractions[:, 2] == 1]
    assert 600 < hard.mean() < 1300
    assert 0 < soft.mean() < 110
    assert images.min() > -300


def inside(fraction: np.ndarray) -> np.ndarray:
    """Pixels that are pure, as are two neighbours on either side across the vessel."""
    pure = np.pad(fraction >= 1, ((0, 0), (2, 2), (0, 0)))
    return np.all([np.roll(pure, shift, axis=1) for shift in range(-2, 3)], axis=0)[:, 2:-2]


def test_noise_has_its_standard_deviation_and_is_correlated() -> None:
    anatomy = draw(200, seed=4)
    silent = replace(anatomy, noise=np.zeros(200))
    noise = (render(anatomy, SIZE)[0] - render(silent, SIZE)[0])[:, 0]
    np.testing.assert_allclose(noise.std(axis=(1, 2)), anatomy.noise, rtol=0.15)
    neighbours = np.corrcoef(noise[..., :-1].ravel(), noise[..., 1:].ravel())[0, 1]
    assert 0.3 < neighbours < 0.8


def test_blur_keeps_the_mean_and_leaves_the_labels_alone() -> None:
    anatomy = replace(draw(5, seed=0), noise=np.zeros(5))
    sharp, blurred = (replace(anatomy, blur=np.full(5, width)) for width in (1e-6, 0.7))
    (sharp_image, labels), (image, same_labels) = render(sharp, SIZE), render(blurred, SIZE)
    np.testing.assert_allclose(image.mean(axis=(1, 2, 3)), sharp_image.mean(axis=(1, 2, 3)), rtol=1e-4)
    np.testing.assert_array_equal(labels, same_labels)
    assert np.ptp(image) < np.ptp(sharp_image)


def test_the_vessel_tapers_within_published_calibres(cohort: tuple[np.ndarray, np.ndarray]) -> None:
    calibre = areas(cohort[1])[:, :3] / 12  # mean lumen diameter of each third, mm
    proximal, mid, distal = calibre.mean(axis=0)
    assert 1.5 < distal < 2.5 < mid < proximal < 4.5


def test_plaques_are_common_and_their_areas_spread(cohort: tuple[np.ndarray, np.ndarray]) -> None:
    plaques = areas(cohort[1])[:, 3:]
    present = plaques > 0
    np.testing.assert_allclose(present.mean(axis=0), 0.75, atol=0.06)
    for column in plaques.T:
        low, middle, high = np.percentile(column[column > 0], (5, 50, 95))
        assert 1.5 < low < middle < 6.5 and 2 * low < high < 10.5
        assert len(np.unique(column[column > 0])) == (column > 0).sum()  # continuous: no two alike


def test_areas_are_weakly_correlated(cohort: tuple[np.ndarray, np.ndarray]) -> None:
    correlation = np.corrcoef(areas(cohort[1]).T) - np.eye(9)
    assert np.abs(correlation).max() < 0.35
    assert np.mean(np.abs(correlation) > 0.2) < 0.15


def test_plaque_narrows_the_lumen_of_its_third_alone() -> None:
    anatomy = draw(30, seed=6)
    grown = anatomy.calcified.thickness.copy()
    grown[:, 1] += 0.5
    more = replace(anatomy, calcified=replace(anatomy.calcified, thickness=grown))
    change = areas(render(more, SIZE)[1]) - areas(render(anatomy, SIZE)[1])
    assert (change[:, 4] > 0.5).all()
    assert (change[:, 1] < 0).all() and (-change[:, 1] < change[:, 4]).all()
    np.testing.assert_allclose(np.delete(change, (1, 4), axis=1), 0, atol=1e-3)


def test_every_random_number_reaches_the_image() -> None:
    anatomy, other = draw(3, seed=0), draw(3, seed=9)
    image, _ = render(anatomy, SIZE)
    for field in fields(anatomy):
        changed, _ = render(replace(anatomy, **{field.name: getattr(other, field.name)}), SIZE)
        assert not np.array_equal(image, changed), field.name


def test_folder_round_trip(tmp_path) -> None:
    out = tmp_path / "deep" / "cohort"
    write_folder(out, 3, size=SIZE, seed=7)
    assert [p.name for p in out.parent.iterdir()] == ["cohort"]
    for record in render_cohort(3, size=SIZE, seed=7):
        image = nib.load(out / "images" / f"{record.id}.nii.gz")
        mask = nib.load(out / "masks" / f"{record.id}.nii.gz")
        np.testing.assert_array_equal(np.asarray(image.dataobj), record.image[0])
        np.testing.assert_allclose(np.diag(image.affine)[:2], SPACING)
        np.testing.assert_allclose(mask.affine, image.affine)
        labels = np.asarray(mask.dataobj)
        assert labels.dtype == np.uint8
        for k, fraction in enumerate(record.fractions, start=1):
            assert (labels[fraction > 0.5] == k).all()
            assert (labels[fraction == 0] != k).all()
    with pytest.raises(InputError, match="already exists"):
        write_folder(out, 1)


def test_folder_reader_takes_what_was_written(tmp_path) -> None:
    write_folder(tmp_path / "cohort", 4, size=SIZE, seed=7)
    labels = {name: k for k, name in enumerate(STRUCTURES, start=1)}
    read = read_folder(tmp_path / "cohort", structures=labels, size=SIZE)
    for found, expected in zip(read, render_cohort(4, size=SIZE, seed=7), strict=True):
        assert (found.id, found.subject) == (expected.id, expected.subject)
        np.testing.assert_allclose(found.spacing, expected.spacing)
        np.testing.assert_allclose(found.image, expected.image, rtol=1e-5)
        assert (
            np.abs(found.fractions - expected.fractions).mean() < 0.03
        )  # labels are rounded to whole pixels


def test_failed_write_leaves_nothing(tmp_path) -> None:
    with pytest.raises(InputError, match="at least 1"):
        write_folder(tmp_path / "cohort", 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 1, "size": (0, 96)}, {"n": 1, "start": -1}])
def test_impossible_cohorts_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match="phantom"):
        render_cohort(**wrong)
