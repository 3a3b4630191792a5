"""What is usual of a model's answers, on phantoms whose masks are known, against the same computed by hand."""

import numpy as np
import pytest
import torch

import segue
from segue.cohort import Store, write_store
from segue.engine.typical import Typical
from segue.phantom import STRUCTURES, render_cohort
from segue.pipeline.usual_answers import usual_answers

IMAGES = 6


def test_error_is_that_of_the_masks_and_reach_that_of_the_verdicts(tmp_path):
    model = segue.load("coronary-phantom")
    size = model.grid.size
    records = list(render_cohort(IMAGES, size=size, seed=77))
    write_store(tmp_path / "store", records, structures=STRUCTURES, size=size, split={"validation": 1.0}, seed=0)
    store = Store(tmp_path / "store")
    found = usual_answers(model, store, np.arange(IMAGES))
    read = store.read(np.arange(IMAGES))
    by_guide = torch.stack(list(model.measure(read["image"]).values()), dim=1)
    thirds = read["fractions"].sum(2).reshape(IMAGES, len(STRUCTURES), 3, -1).sum(-1) * model.grid.pixel_area
    expected = (by_guide - thirds.flatten(1)).square().mean(0).sqrt()
    torch.testing.assert_close(found.error, expected.float(), rtol=1e-3, atol=1e-3)

    name, signs = "lumen@mid", torch.tensor([1.0, -1.0]).repeat(IMAGES // 2)
    values = model.measure(read["image"])[name] + signs * model.space.sd[model.variables.index(name)]
    said = model.counterfactual(read["image"], {name: values}).verdict
    reach = np.quantile([one.reach for one in said if one.met], 0.95)
    assert float(found.reach[model.variables.index(name)]) == pytest.approx(reach, abs=1e-3)


def test_it_travels_with_the_model_and_older_models_have_none():
    typical = segue.load("coronary-phantom").input_check.typical
    again = Typical.of(typical.tensors())
    assert torch.equal(again.answers.error, typical.answers.error) and (typical.answers.error > 0).all()
    older = {name: tensor for name, tensor in typical.tensors().items() if not name.startswith("answers.")}
    assert Typical.of(older).answers is None and Typical.of(older).limit == typical.limit
