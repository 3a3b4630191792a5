"""What `segue prepare` says of a cohort's values, and what it finds in them for a study."""

import numpy as np
import pytest
from PIL import Image
from small_study import write_study

from segue.cli import main
from segue.cohort import Store
from segue.pipeline.common import grid_of, intensity_of
from segue.study.read import load_study


def prepared(tmp_path, intensity):
    """The study with this intensity, and its store; nothing is trained."""
    options = ["--cohort.intensity", intensity, "--runs", str(tmp_path / "runs")]
    path = write_study(tmp_path)
    assert main(["prepare", str(path), *options]) == 0
    study = load_study(path, options)
    return study, Store(study.directory / "prepare" / "cohort.zarr")


def training_values(store):
    rows = np.concatenate([store.indices(split) for split in ("guide", "judge")])
    return store.read(np.sort(rows), fractions=False)["image"].numpy()


def test_percentiles_of_the_cohort_are_found_in_its_training_images_alone(tmp_path, capsys):
    study, store = prepared(tmp_path, "{percentiles: [2, 98], per: cohort}")
    expected = np.percentile(training_values(store).astype(float), [2, 98])
    np.testing.assert_allclose(store.intensity, expected, rtol=1e-5)
    made = intensity_of(study)
    assert made.rule is None and made.usual == store.intensity
    raw = store.read(np.arange(2), fractions=False)["image"]
    low, high = made.usual
    np.testing.assert_allclose(
        grid_of(study, store).scale(raw).numpy(), (raw.numpy() - low) * 2 / (high - low) - 1, atol=1e-4
    )
    said = capsys.readouterr().err
    assert "values of " in said and "50%:" in said and "found in these images" in said


def test_by_standard_deviations_of_each_image_the_usual_values_are_kept(tmp_path):
    study, store = prepared(tmp_path, "{zscore: 3}")
    made, raw = intensity_of(study), store.read(np.arange(3), fractions=False)["image"]
    assert made.rule is not None and made.usual == store.intensity and made.usual[0] < made.usual[1]
    x = grid_of(study, store).scale(raw).numpy()
    shown = raw.numpy() > np.percentile(raw.numpy(), 5, axis=(1, 2, 3), keepdims=True)
    for image, mask in zip(x, shown, strict=True):
        assert image[mask].mean() == pytest.approx(0, abs=1e-4) and image[mask].std() == pytest.approx(1 / 3, abs=1e-4)


@pytest.mark.parametrize(("intensity", "said"), [
    ("[0, 255]", None), ("[0, 1]", "lie outside of [0, 1]"), ("[-50000, 50000]", "a hundredth of [-50000, 50000]"),
])  # fmt: skip
def test_a_window_that_does_not_fit_is_said(tmp_path, capsys, intensity, said):
    folder = tmp_path / "pngs"
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for i in range(10):
        values = np.random.default_rng(i).integers(0, 200, (24, 24)).astype(np.uint8)
        Image.fromarray(values).save(folder / "images" / f"p{i}.png")
        Image.fromarray((values > 100).astype(np.uint8)).save(folder / "masks" / f"p{i}.png")
    (folder / "images" / "old.bmp").write_bytes(b"BM")
    text = STUDY.format(folder=folder, intensity=intensity)
    (tmp_path / "s.yaml").write_text(text)
    assert main(["prepare", str(tmp_path / "s.yaml"), "--runs", str(tmp_path / "runs")]) == 0
    found = capsys.readouterr().err
    assert f"{folder / 'images'}: passed over, their format is not read: 1 .bmp" in found
    assert ("cohort.intensity" in found) == (said is not None) and (said is None or said in found)


STUDY = """
name: s
precision: "no"
cohort:
  folder: {folder}
  structures: {{lung: 1}}
  size: [16, 16]
  intensity: {intensity}
  split: {{guide: 0.5, judge: 0.2, test: 0.3}}
partitions: {{whole: {{kind: whole}}}}
variables: {{lung: whole}}
segmentor: {{arch: unet, width: 8, patch: 1, budget: {{steps: 3, batch_size: 4}}}}
judge: {{arch: segresnet, width: 8, patch: 1, budget: {{steps: 3, batch_size: 4}}}}
regressor: {{width: 8, budget: {{steps: 3, batch_size: 4}}}}
hvae: {{widths: [8, 16], depths: [1, 1], latent: 2, reach: 2, head: 8, budget: {{steps: 3, batch_size: 4}}}}
finetune: {{guides: [none], budget: {{steps: 2, batch_size: 4}}}}
"""
