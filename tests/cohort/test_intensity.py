"""What a study says of intensities: two values, a window by name, or a rule, for each image or for the cohort."""

import numpy as np
import pytest
import torch

from segue.cohort import Record, Store, write_store
from segue.cohort.intensity import CT_WINDOWS, Intensity, asked_intensity, make_intensity
from segue.cohort.values import found_intensity, misfit, percentiles_of, sampled_values, training_images
from segue.cohort.write_store import keep_intensity
from segue.errors import InputError

SIZE = (6, 5)


@pytest.fixture
def store(tmp_path):
    """Nine subjects, brighter from one to the next."""
    random = np.random.default_rng(0)
    images = [random.normal(100 * i, 10 + i, (1, *SIZE)).astype(np.float32) for i in range(9)]
    records = [Record(f"p{i}", f"p{i}", image, np.zeros((1, *SIZE), np.float32)) for i, image in enumerate(images)]
    split = {"guide": 1 / 3, "judge": 1 / 3, "test": 1 / 3}
    write_store(tmp_path / "c.zarr", records, structures=("lung",), size=SIZE, split=split, seed=0)
    return Store(tmp_path / "c.zarr")


def raw_of(store, rows):
    return store.read(rows, fractions=False)["image"].double().numpy()


def test_percentiles_of_the_cohort_are_those_of_all_its_training_values(store):
    rows = training_images(store)
    assert set(store.table["split"][rows.tolist()]) == {"guide", "judge"} and len(rows) == 6
    expected = np.percentile(raw_of(store, rows), [2, 98])
    asked = asked_intensity({"percentiles": [2, 98], "per": "cohort"})
    np.testing.assert_allclose(found_intensity(asked, store), expected, rtol=1e-6)
    told = percentiles_of(sampled_values(store, rows))
    expected = np.percentile(raw_of(store, rows), [0, 0.5, 50, 99.5, 100])
    np.testing.assert_allclose(list(told.values()), expected, rtol=1e-6)


def test_where_each_image_has_its_own_the_usual_values_are_medians_of_training_images(store):
    own = np.percentile(raw_of(store, training_images(store)).reshape(6, -1), [2, 98], axis=1).T
    low, high = found_intensity(asked_intensity({"percentiles": [2, 98]}), store)
    assert np.sort(own[:, 0])[2] == pytest.approx(low) and np.sort(own[:, 1])[2] == pytest.approx(high)


def test_what_was_found_stays_with_the_store(store, tmp_path):
    assert store.intensity is None
    keep_intensity(tmp_path / "c.zarr", (3.0, 5.5))
    again = Store(tmp_path / "c.zarr")
    assert again.intensity == (3.0, 5.5) and again.unit == store.unit and len(again) == 9
    assert make_intensity({"zscore": 3, "per": "cohort"}, again.intensity) == Intensity((3.0, 5.5))


def test_of_many_values_an_even_sample_with_the_extremes_is_taken(store, monkeypatch):
    monkeypatch.setattr("segue.cohort.values.SAMPLE", 40)
    rows = training_images(store)
    some, all = sampled_values(store, rows), np.sort(raw_of(store, rows).ravel())
    assert len(some) < len(all) / 3 and np.isin(some, all.astype(np.float32)).all()
    assert (some[0], some[-1]) == (np.float32(all[0]), np.float32(all[-1])) and (np.diff(some) >= 0).all()


@pytest.mark.parametrize(
    "given", [[0, 255], "lung", {"percentiles": [1, 99], "usual": [0, 9]}, {"zscore": 3, "usual": [0, 9]}]
)
def test_an_intensity_is_read_from_what_it_is_stored_as(given):
    made = make_intensity(given)
    assert make_intensity(made.settings()) == made
    raw = torch.rand(2, 1, *SIZE) * 1000
    assert torch.equal(make_intensity(made.settings()).window(raw), made.window(raw))


@pytest.mark.parametrize(("name", "level", "width"), [
    ("lung", -600, 1500), ("mediastinum", 50, 350), ("bone", 400, 1800), ("brain", 40, 80), ("abdomen", 50, 400),
    ("coronary", 300, 800),
])  # fmt: skip
def test_ct_windows_have_their_level_and_width(name, level, width):
    low, high = CT_WINDOWS[name]
    assert ((low + high) / 2, high - low) == (level, width) and make_intensity(name) == Intensity((low, high))


@pytest.mark.parametrize(("given", "said"), [
    ([255, 0], "lower value first"), ([0, 1, 2], "not two numbers"), ([0, float("nan")], "lower value first"),
    ("lungs", "did you mean lung"), ({}, "has 0 rules"), ({"percentiles": [1, 99], "zscore": 3}, "has 2 rules"),
    ({"percentiles": [99, 1]}, "in order"), ({"percentiles": [1, 101]}, "0 to 100"),
    ({"percentiles": 1}, "not two numbers"),
    ({"percentiles": [1, 99], "per": "subject"}, "image or cohort"),
    ({"percentile": [1, 99]}, "did you mean percentiles"),
    ({"zscore": 0}, "standard deviations"), ({"zscore": "three"}, "zscore"),
    ({"percentiles": [1, 99], "per": "cohort", "usual": [0, 1]}, "leave it out"),
])  # fmt: skip
def test_what_is_no_intensity_is_refused_in_one_line(given, said):
    with pytest.raises(InputError, match=said):
        asked_intensity(given)


def test_a_cohort_prepared_without_has_to_be_prepared_again():
    with pytest.raises(InputError, match="prepare it again"):
        make_intensity({"percentiles": [1, 99]}, None)


@pytest.mark.parametrize(("values", "window", "said"), [
    (np.linspace(0, 4095, 999), (0.0, 255.0), "94% of the values lie outside"),
    (np.linspace(0, 1, 999), (0.0, 255.0), "a hundredth"),
    (np.linspace(0, 255, 999), (0.0, 255.0), None),
    (np.r_[np.zeros(900), np.linspace(0, 200, 99)], (0.0, 255.0), None),  # mostly background
])  # fmt: skip
def test_a_window_that_does_not_fit_is_noticed(values, window, said):
    found = misfit(values, window)
    assert (found is None) if said is None else said in found
