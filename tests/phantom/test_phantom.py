"""The phantom against what does not come from it: quadrature, closed forms, published ranges, the folder reader."""

import os
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn

from segue.cohort import FolderSettings, read_folder
from segue.errors import InputError
from segue.phantom import (
    ACROSS,
    ALONG,
    STRUCTURES,
    VARIABLES,
    areas,
    counterfactual,
    draw,
    noise_of,
    render,
    render_cohort,
    write_folder,
)
from segue.phantom.geometry import Lumen, lesion
from segue.phantom.render import VISIBLE

SIZE = (32, 96)
SPACING = (ACROSS / 32, ALONG / 96)


def measured(fractions: np.ndarray) -> np.ndarray:
    """(n, 3, H, W) fractions to (n, 9) areas in mm2: structure by structure, proximal to distal."""
    n, k, height, width = fractions.shape
    pixel = (ACROSS / height) * (ALONG / width)
    thirds = fractions.reshape(n, k, height, 3, width // 3)
    return pixel * thirds.sum(axis=(2, 4), dtype=np.float64).reshape(n, 9)


@pytest.fixture(scope="module")
def cohort():
    records = list(render_cohort(400, size=SIZE, seed=3))
    return np.stack([r.image[0] for r in records]), np.stack([r.fractions for r in records])


def still(noise, **changes):
    """No noise, texture, motion or blooming."""
    zero = np.zeros(len(noise))
    return replace(noise, **({"noise_hu": zero, "texture_hu": zero, "motion": zero, "blooming": zero} | changes))


# ---- areas are what was asked for --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(32, 96), (48, 144), (64, 192)])
@pytest.mark.parametrize("law", ["independent", "coupled"])
def test_every_structure_has_its_area_in_every_third(size, law):
    noise = draw(60, seed=0, law=law)
    wanted = areas(noise)
    np.testing.assert_allclose(measured(render(noise, size)[1]), wanted, atol=1e-4)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_counterfactual_changes_one_area_and_no_other(name):
    noise = draw(40, seed=2)
    before, v = areas(noise), VARIABLES.index(name)
    asked = np.roll(before[:, v], 1)
    truth = counterfactual(noise, {name: asked}, SIZE)
    after = measured(truth.fractions)
    np.testing.assert_allclose(after[:, v], asked, atol=1e-3)
    np.testing.assert_allclose(np.delete(after, v, axis=1), np.delete(before, v, axis=1), atol=1e-3)
    np.testing.assert_allclose(truth.areas, after, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(VARIABLES), st.floats(0, 60), st.floats(0, 60), st.integers(0, 500))
def test_who_asks_for_more_gets_no_less(name, a, b, index):
    noise, v = draw(1, seed=5, start=index), VARIABLES.index(name)
    low, high = (measured(counterfactual(noise, {name: x}, SIZE).fractions)[0, v] for x in sorted((a, b)))
    assert low <= high + 1e-3


def test_a_lesions_area_is_the_integral_of_its_profile():
    noise = draw(50, seed=1)
    u = np.linspace(-1, 1, 200_001)
    for kind, columns in ((0, slice(3, 6)), (1, slice(6, 9))):
        length, thickness = lesion(areas(noise)[:, columns], noise, kind)
        blunt = noise.lesions.bluntness[:, kind]
        profile = np.array([[np.trapezoid((1 - u**2) ** b, u) / 2 for b in row] for row in blunt])
        np.testing.assert_allclose(length * thickness * profile, areas(noise)[:, columns], rtol=1e-3, atol=1e-6)
        ends = np.abs(noise.lesions.centre[:, kind] - np.arange(3) * 12 - 6) + length / 2
        assert (ends < 6).all()  # a plaque keeps to its third


def test_the_lumens_border_is_continuous_also_where_thirds_meet():
    noise = draw(60, seed=4)
    truth = counterfactual(noise, {"lumen@mid": 1.3 * areas(noise)[:, 1]}, (32, 192))
    width = truth.fractions[:, 0].sum(1) * ACROSS / 32  # mm, by column
    slope = np.abs(np.diff(width, axis=1)) / (ALONG / 192)
    assert slope.max() < 1.2 and slope[:, [63, 127]].max() < 0.3  # mm a mm; a jump would be many times that
    x = (np.arange(192) + 0.5) * ALONG / 192
    np.testing.assert_allclose(Lumen(noise, x).of(truth.areas[:, :3]), width, atol=0.02)


# ---- nothing else changes ----------------------------------------------------------------------------------------


def test_doing_nothing_returns_the_factual_image():
    noise = draw(5, seed=0)
    image, fractions = render(noise, SIZE)
    truth = counterfactual(noise, {name: areas(noise)[:, v] for v, name in enumerate(VARIABLES)}, SIZE)
    np.testing.assert_array_equal(truth.image, image)
    np.testing.assert_array_equal(truth.fractions, fractions)
    assert truth.well_posed.all()


@pytest.mark.parametrize(
    ("structure", "area", "least"),
    [("lumen", 44.0, 50), ("calcified_plaque", 8.0, 50), ("noncalcified_plaque", 9.0, 10)],
)
def test_outside_its_third_nothing_changes_beyond_the_blurs_reach(structure, area, least):
    noise = draw(30, seed=7)
    image, _ = render(noise, SIZE)
    changed = counterfactual(noise, {f"{structure}@mid": area}, SIZE).image
    difference = np.abs(changed - image)[:, 0]
    reach = int(np.ceil(4.5 * np.hypot(0.7 / 2.355, 0.35) / SPACING[1]))  # of point spread function and blooming
    outside = np.concatenate([difference[..., : 32 - reach], difference[..., 64 + reach :]], axis=2)
    assert outside.max() < 0.2  # HU
    assert np.median(difference[..., 32:64].max(axis=(1, 2))) > least


@pytest.mark.parametrize("scale", [0.7, 1.3])
def test_a_lumen_that_changes_leaves_its_neighbours_as_they_were(scale):
    noise = draw(40, seed=11)
    _, before = render(noise, SIZE)
    after = counterfactual(noise, {"lumen@mid": scale * areas(noise)[:, 1]}, SIZE).fractions
    np.testing.assert_array_equal(np.delete(after, range(32, 64), axis=3), np.delete(before, range(32, 64), axis=3))


def test_a_lesion_of_any_size_has_its_area():
    noise = draw(8, seed=0)
    for size in ((16, 48), (30, 93)):
        for area in (1e-3, 0.02, 0.3, 1.0, 4.0):
            wanted = np.hstack([areas(noise)[:, :3], np.full((8, 6), area)])
            np.testing.assert_allclose(measured(render(noise, size, wanted)[1]), wanted, rtol=1e-4, atol=1e-5)


def test_the_grain_of_the_scan_is_kept():
    noise = draw(10, seed=8)
    silent = replace(noise, noise_hu=np.zeros(10))
    do = {"lumen@mid": 30.0}
    grain = counterfactual(noise, do, SIZE).image - counterfactual(silent, do, SIZE).image
    np.testing.assert_allclose(grain, render(noise, SIZE)[0] - render(silent, SIZE)[0], atol=0.01)


# ---- what is ill-posed is flagged --------------------------------------------------------------------------------


def test_the_calibre_between_thirds_is_tied_to_no_area():
    noise = draw(4000, seed=11)
    correlation = np.corrcoef(np.concatenate([noise.borders, areas(noise)], axis=1).T)[:2, 2:]
    assert np.abs(correlation).max() < 4.5 / 4000**0.5


def test_a_finer_grid_shows_the_same_noise():
    noise = draw(3, seed=8)
    loud, quiet = replace(noise, texture_hu=np.zeros(3)), still(noise, motion=noise.motion, blooming=noise.blooming)
    coarse, fine = (
        dctn(render(loud, size)[0][:, 0] - render(quiet, size)[0][:, 0], axes=(1, 2), norm="ortho")
        for size in ((32, 96), (64, 192))
    )
    np.testing.assert_allclose(fine[:, :32, :96] / 2, coarse, atol=0.02)  # HU; float32 of images of 1000 HU
    assert coarse.std() > 5


def test_growing_what_is_not_there_is_ill_posed():
    noise = draw(200, seed=9)
    absent = areas(noise)[:, 4] == 0
    assert 0 < absent.sum() < 200
    grown, tiny = (counterfactual(noise, {VARIABLES[4]: x}, (16, 48)).well_posed for x in (4.0, VISIBLE / 2))
    np.testing.assert_array_equal(grown, ~absent)
    assert tiny.all()


@pytest.mark.parametrize(("name", "value"), [("lumen@mid", 3.0), ("lumen@mid", 90.0), ("calcified_plaque@mid", -1.0)])
def test_what_the_geometry_cannot_hold_is_clamped_and_flagged(name, value):
    noise = draw(4, seed=0)
    truth = counterfactual(noise, {name: value}, SIZE)
    v = VARIABLES.index(name)
    assert not truth.well_posed.any() and (np.abs(truth.areas[:, v] - value) > 0.5).all()
    np.testing.assert_allclose(measured(truth.fractions), truth.areas, atol=2e-3)


def test_unknown_variables_are_refused_by_name():
    with pytest.raises(InputError, match=r"unknown variable 'lumen@middle'; did you mean lumen@mid"):
        counterfactual(draw(1, seed=0), {"lumen@middle": 1.0}, SIZE)


@pytest.mark.parametrize("value", [np.nan, np.ones(3)])
def test_values_that_are_none_are_refused(value):
    with pytest.raises(InputError, match=r"lumen@mid: .* give a number, or one for each of the 2 images"):
        counterfactual(draw(2, seed=0), {"lumen@mid": value}, SIZE)


def test_plaque_that_leaves_the_field_of_view_is_flagged():
    noise = draw(200, seed=1)
    do = {"lumen@mid": 42.0, "calcified_plaque@mid": 12.0, "noncalcified_plaque@mid": 12.0}
    truth = counterfactual(noise, do, SIZE)
    cut = np.abs(measured(truth.fractions) - truth.areas).max(axis=1) > 1e-3
    assert cut.any() and truth.well_posed.any() and not (cut & truth.well_posed).any()


# ---- the cohort --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(32, 96), (31, 97)])
@pytest.mark.parametrize("law", ["independent", "coupled"])
def test_no_bit_depends_on_the_batch(law, size):
    image, fractions = render(draw(12, seed=3, law=law), size)
    for first, count in ((0, 1), (3, 2), (5, 7)):
        one = render(draw(count, seed=3, start=first, law=law), size)
        assert one[0].tobytes() == image[first : first + count].tobytes()
        assert one[1].tobytes() == fractions[first : first + count].tobytes()


@pytest.mark.parametrize("law", ["independent", "coupled"])
def test_an_image_depends_on_seed_index_and_law_alone(law):
    whole = list(render_cohort(70, size=SIZE, seed=5, law=law))
    part = list(render_cohort(7, size=SIZE, seed=5, start=61, law=law))
    for expected, found in zip(whole[61:68], part, strict=True):
        assert (found.id, found.covariates) == (expected.id, expected.covariates)
        assert found.image.tobytes() == expected.image.tobytes()
        assert found.fractions.tobytes() == expected.fractions.tobytes()


def test_no_bit_depends_on_the_number_of_threads():
    code = (
        "import hashlib, numpy; from segue.phantom import render_cohort as cohort;"
        "records = cohort(20, size=(48, 144));"
        "print(hashlib.sha256(b''.join(r.image.tobytes() + r.fractions.tobytes() for r in records)).hexdigest())"
    )
    found = set()
    for threads in "12":
        env = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        found.add(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout)
    assert len(found) == 1


def test_the_noise_of_a_record_renders_the_record():
    records = list(render_cohort(9, size=SIZE, seed=6))
    chosen = [records[i] for i in (7, 0, 3)]
    image, fractions = render(noise_of([one.id for one in chosen], seed=6), SIZE)
    for one, x, parts in zip(chosen, image, fractions, strict=True):
        assert x.tobytes() == one.image.tobytes() and parts.tobytes() == one.fractions.tobytes()
    with pytest.raises(InputError, match="patient_1: not the id of a phantom"):
        noise_of(["patient_1"], seed=0)


def test_seeds_and_indices_give_different_images():
    a, b = render_cohort(2, size=SIZE, seed=0)
    (c,) = render_cohort(1, size=SIZE, seed=1)
    assert not np.allclose(a.image, b.image)
    assert not np.allclose(a.image, c.image)


def test_record():
    *_, record = render_cohort(13, size=SIZE, seed=0)
    assert record.id == record.subject == "phantom_000012"
    assert record.spacing == SPACING and record.covariates == {}
    assert record.image.shape == (1, *SIZE) and record.image.dtype == np.float32
    assert record.fractions.shape == (len(STRUCTURES), *SIZE) and record.fractions.dtype == np.float32


def test_fractions_are_shares(cohort):
    _, fractions = cohort
    assert fractions.min() >= 0
    assert fractions.sum(axis=1).max() <= 1 + 1e-5


def test_every_random_number_reaches_the_image():
    noise, other = draw(12, seed=0, law="coupled"), draw(12, seed=9, law="coupled")
    image, _ = render(noise, SIZE)

    def swaps(record, source):
        for field in fields(record):
            mine, theirs = getattr(record, field.name), getattr(source, field.name)
            if is_dataclass(mine):
                for name, inner in swaps(mine, theirs):
                    yield f"{field.name}.{name}", replace(record, **{field.name: inner})
            elif not isinstance(mine, str):
                yield field.name, replace(record, **{field.name: theirs})

    idle = {name for name, changed in swaps(noise, other) if np.array_equal(image, render(changed, SIZE)[0])}
    assert idle == {"scalars.present"}  # the coupled law's zeros come from its score


# ---- tissues and scan --------------------------------------------------------------------------------------------


def test_tissues_have_their_attenuation(cohort):
    """Means over pixels deep inside a tissue: published ranges, unharmed by blur and noise."""
    images, fractions = cohort
    lumen = np.array([image[deep].mean() for image, deep in zip(images, inside(fractions[:, 0]), strict=True)])
    assert lumen.min() > 320 and lumen.max() < 500
    hard = images[fractions[:, 1] == 1]
    soft = images[fractions[:, 2] == 1]
    assert 600 < hard.mean() < 1300
    assert 0 < soft.mean() < 110
    assert images.min() > -300


def inside(fraction):
    """Pixels that are pure, as are two neighbours on either side across the vessel."""
    pure = np.pad(fraction >= 1, ((0, 0), (2, 2), (0, 0)))
    return np.all([np.roll(pure, shift, axis=1) for shift in range(-2, 3)], axis=0)[:, 2:-2]


def test_noise_has_its_standard_deviation_and_is_correlated():
    noise = draw(200, seed=4)
    silent = replace(noise, noise_hu=np.zeros(200))
    field = (render(noise, SIZE)[0] - render(silent, SIZE)[0])[:, 0]
    np.testing.assert_allclose(field.std(axis=(1, 2)), noise.noise_hu, rtol=0.15)
    neighbours = np.corrcoef(field[..., :-1].ravel(), field[..., 1:].ravel())[0, 1]
    assert 0.3 < neighbours < 0.8


def test_blur_keeps_the_mean_and_leaves_the_labels_alone():
    noise = still(draw(5, seed=0))
    sharp, blurred = (replace(noise, blur=np.full(5, width)) for width in (1e-6, 0.7))
    (sharp_image, labels), (image, same_labels) = render(sharp, SIZE), render(blurred, SIZE)
    np.testing.assert_allclose(image.mean(axis=(1, 2, 3)), sharp_image.mean(axis=(1, 2, 3)), rtol=1e-3)
    np.testing.assert_array_equal(labels, same_labels)
    assert np.ptp(image) < np.ptp(sharp_image)


def test_blur_is_the_gaussian_of_scipy():
    from scipy.ndimage import gaussian_filter1d

    noise = still(draw(3, seed=1))
    sharp, _ = render(replace(noise, blur=np.full(3, 1e-9)), SIZE)
    image, _ = render(replace(noise, blur=np.full(3, 1.2), motion=np.full(3, 0.4)), SIZE)
    along = 1.2 / np.sqrt(8 * np.log(2))
    expected = sharp.astype(float)
    for axis, sigma in ((2, np.hypot(along, 0.4)), (3, along)):
        expected = gaussian_filter1d(expected, sigma / SPACING[axis - 2], axis=axis, mode="reflect", truncate=8)
    np.testing.assert_allclose(image, expected, atol=6)  # HU; scipy samples the kernel, the phantom its spectrum


def test_blooming_spreads_calcium_and_nothing_else():
    noise = still(draw(40, seed=2))
    bloomed = replace(noise, blooming=np.full(40, 0.5))
    change = (render(bloomed, SIZE)[0] - render(noise, SIZE)[0])[:, 0]
    bare = areas(noise)[:, 3:6].sum(1) == 0
    assert np.abs(change[bare]).max(initial=0) < 0.01
    np.testing.assert_allclose(change.mean(axis=(1, 2)), 0, atol=0.05)  # spread, not added
    assert np.abs(change[~bare]).max(axis=(1, 2)).min() > 20


def test_the_vessel_tapers_within_published_calibres(cohort):
    proximal, mid, distal = (measured(cohort[1])[:, :3] / 12).mean(axis=0)  # mean lumen diameter of each third, mm
    assert 1.5 < distal < 2.5 < mid < proximal < 4.5


def test_plaques_are_common_and_their_areas_spread(cohort):
    plaques = measured(cohort[1])[:, 3:]
    np.testing.assert_allclose((plaques > 0).mean(axis=0), 0.75, atol=0.07)
    for column in plaques.T:
        low, middle, high = np.percentile(column[column > 0], (5, 50, 95))
        assert 1.5 < low < middle < 6.5 and 2 * low < high < 10.5
        assert len(np.unique(column[column > 0])) == (column > 0).sum()  # continuous: no two alike


def test_independent_areas_are_uncorrelated(cohort):
    correlation = np.corrcoef(measured(cohort[1]).T) - np.eye(9)
    assert np.abs(correlation).max() < 0.2


# ---- folders -----------------------------------------------------------------------------------------------------


def test_folder_round_trip(tmp_path):
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


@pytest.mark.parametrize("law", ["independent", "coupled"])
def test_folder_reader_takes_what_was_written(tmp_path, law):
    write_folder(tmp_path / "cohort", 4, size=SIZE, seed=7, law=law)
    labels = {name: k for k, name in enumerate(STRUCTURES, start=1)}
    covariates = ("age", "burden") if law == "coupled" else ()
    read = read_folder(tmp_path / "cohort", FolderSettings(labels, SIZE, covariates=covariates))
    for found, expected in zip(read, render_cohort(4, size=SIZE, seed=7, law=law), strict=True):
        assert (found.id, found.subject) == (expected.id, expected.subject)
        assert found.covariates == pytest.approx(expected.covariates, rel=1e-4)
        np.testing.assert_allclose(found.spacing, expected.spacing)
        np.testing.assert_allclose(found.image, expected.image, rtol=1e-5)
        rounded = np.abs(found.fractions - expected.fractions).mean()  # labels are rounded to whole pixels
        assert rounded < 0.03


def test_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="at least 1"):
        write_folder(tmp_path / "cohort", 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 1, "size": (0, 96)}, {"n": 1, "start": -1}])
def test_impossible_cohorts_are_refused(wrong):
    with pytest.raises(InputError, match="phantom"):
        render_cohort(**wrong)
