"""A study that scales each image by its own percentiles: trained, judged, exported, and asked for by others."""

import json
import re
from pathlib import Path

import nibabel
import numpy as np
import polars as pl
import pytest
import torch
from small_study import trained_by_percentiles, write_study

import segue
from segue.cli import main
from segue.cohort.io.write_file import write_nifti
from segue.phantom import VARIABLES, areas, noise_of
from segue.pipeline.common import grid_of, open_store
from segue.pipeline.exchange import examination
from segue.pipeline.truth import known_oracle
from segue.study.read import load_study


@pytest.fixture(scope="module")
def study():
    return load_study(trained_by_percentiles())


def test_the_networks_see_windows_of_images(study):
    store = open_store(study)
    raw = store.read(np.arange(4), fractions=False)["image"]
    x = grid_of(study, store).scale(raw)
    levels = torch.tensor([0.01, 0.99])
    expected = torch.tensor([-1.0, 1.0])[:, None].expand(2, 4)
    torch.testing.assert_close(x.flatten(1).quantile(levels, dim=1), expected, rtol=0, atol=1e-4)


def test_an_exported_model_answers_as_the_run_does(study, tmp_path):
    assert main(["export", str(study.directory), "--out", str(tmp_path / "m"), "--examples", "2"]) == 0
    run, exported = segue.load(str(study.directory)), segue.load(str(tmp_path / "m"))
    assert exported.grid == run.grid and exported.grid.intensity.settings()["percentiles"] == [1.0, 99.0]
    images = exported.examples()
    ours, theirs = (model.counterfactual(images, {"lumen@mid": "+1sd"}).image for model in (run, exported))
    torch.testing.assert_close(theirs, ours, rtol=0, atol=0.02 * run.grid.span)  # weights in half precision
    assert "own percentiles 1 to 99" in (tmp_path / "m" / "README.md").read_text()


def test_the_truth_is_scaled_by_the_window_of_its_factual(study):
    asked = examination(study)
    truth = known_oracle(study)(asked.ids[:2], asked.values[:2].cpu())
    raw = asked.store.read(asked.places[:2], fractions=False)["image"]
    null = known_oracle(study)(asked.ids[:2], exact_areas(study, asked)[:2])
    same = (null.image - grid_of(study, asked.store).scale(raw)[:, None]).abs().mean()
    assert float(same) < 0.02 and truth.image.isfinite().all()
    metrics = json.loads((study.directory / "evaluate" / "metrics.json").read_text())
    width = float(asked.windows.diff(dim=1).mean())
    share = pl.read_parquet(study.directory / "evaluate" / "effects-no_cft.parquet").filter(pl.col("well_posed"))
    stated = metrics["methods"]["no_cft"]["truth"]["mae"]
    assert stated == pytest.approx(width * share["truth_mae"].mean(), rel=0.3)


def exact_areas(study, asked):
    """The areas that the phantom drew, in the study's order: asked for them, it answers with the factual image."""
    noise = noise_of(asked.ids, seed=study.cohort.phantom.seed, law=study.cohort.phantom.law)
    columns = [VARIABLES.index(name) for name in asked.parents.variables.names]
    return torch.from_numpy(areas(noise)[:, columns])


def test_answers_made_elsewhere_are_scaled_by_their_factual_images_window(study, tmp_path):
    """A factual image with a bright patch has other percentiles; the rest of it has not changed."""
    assert main(["requests", str(study.directory), "--out", str(tmp_path / "asked")]) == 0
    rows = pl.read_csv(tmp_path / "asked" / "requests.csv")
    (tmp_path / "answers").mkdir()
    for row in rows.iter_rows(named=True):
        image = np.asarray(nibabel.load(tmp_path / "asked" / row["image"]).dataobj).copy()
        image[:4, :12] += 3000
        write_nifti(tmp_path / "answers" / row["answer"], image, np.eye(4))
    out = main(["evaluate", str(study.directory), "--method", f"patched={tmp_path / 'answers'}"])
    assert out == 0
    (found,) = (study.directory / "compared").glob("patched-*/effects-patched.parquet")
    effects = pl.read_parquet(found)
    asked = examination(study)
    width = dict(zip(asked.places.tolist(), asked.windows.diff(dim=1)[:, 0].tolist(), strict=True))
    for row in effects.iter_rows(named=True):
        assert row["total"] == pytest.approx(48 * 3000 / width[row["image"]], rel=1e-3)


def test_percentiles_are_checked(tmp_path, capsys):
    for wrong in ("[99, 1]", "[-1, 99]", "[1, 101]"):
        assert main(["run", str(write_study(Path(tmp_path))), "--cohort.intensity", f"{{percentiles: {wrong}}}"]) == 2
        assert re.search(r"cohort\.intensity(: |\.)percentiles", capsys.readouterr().err)
    assert main(["run", str(write_study(Path(tmp_path))), "--cohort.percentiles", "[1, 99]"]) == 2
    assert "write --cohort.intensity" in capsys.readouterr().err
