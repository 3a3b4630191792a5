"""The engine: composition to rounding, requests, metadata, and what is refused."""

import math

import numpy as np
import pytest
import tiny
import torch

from segue.causal.parents import Parents
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity
from segue.engine import answer
from segue.engine.model import Model
from segue.engine.predict import abduct, predict
from segue.errors import InputError
from segue.mechanisms.hvae import HVAEMechanism
from segue.nets.hvae import Latents, PixelGaussian

INTENSITY = (-200.0, 800.0)


def raw(images):
    """Network range to source units, by hand."""
    return 500 * images + 300


def make(mechanism, **changes) -> Model:
    torch.manual_seed(5)
    covariates = len(mechanism.parents.names) - 2
    marginal = torch.cat([64 * torch.rand(101, 2), 40 + 40 * torch.rand(101, covariates)], dim=1)
    settings = {"size": tiny.SIZE, "intensity": Intensity(INTENSITY), "unit": "mm2", "pixel_area": 0.5}
    return Model(mechanism, Grid(**(settings | changes)), marginal=marginal)


@pytest.fixture
def model(mechanism) -> Model:
    return make(mechanism)


@pytest.fixture
def aged() -> Model:
    """A model with a covariate."""
    parents = Parents(segmentor=tiny.Tones(0.5), variables=tiny.variables("bar"), covariates=("age",))
    parents.mean.copy_(torch.tensor([30.0, 30, 60]))
    parents.sd.copy_(torch.tensor([10.0, 10, 8]))
    net = tiny.hvae(context=parents.context_channels("map"))
    return make(HVAEMechanism(model=net, parents=parents, conditioning="map"))


# ---- composition -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("particles", [1, 3])
def test_the_null_intervention_returns_the_image(mechanism, factual, particles):
    x, pa, *_ = factual
    torch.manual_seed(0)
    (null,) = predict(mechanism, factual, abduct(mechanism, factual, particles=particles), [pa])
    # x = loc + scale * ((x - loc) / scale): a handful of float32 roundings of numbers of order one
    assert (null - x).abs().max() <= 8 * torch.finfo(torch.float32).eps * max(1, float(x.abs().max()))


@pytest.mark.parametrize("particles", [1, 3])
@pytest.mark.parametrize("do", [{}, {"bar@left": "+0%"}, {"bar@left": "+0sd", "bar@right": "0%"}])
def test_asking_for_nothing_changes_nothing(model, particles, do):
    torch.manual_seed(0)
    images = raw(tiny.bars(5, seed=2))
    found = model.counterfactual(images, do, particles=particles)
    assert torch.equal(found.image, images) and not found.difference.any()
    for name in model.variables:
        assert torch.equal(found.requested[name], found.factual[name])
        torch.testing.assert_close(found.achieved[name], found.factual[name], atol=1e-3, rtol=0)


def test_asking_for_the_factual_value_changes_nothing(model):
    images = raw(tiny.bars(1, seed=2))
    value = float(model.counterfactual(images, {}).factual["bar@right"][0])
    found = model.counterfactual(images, {"bar@right": value})
    assert torch.equal(found.image, images)


# ---- particles and batches ---------------------------------------------------------------------------------------


def test_particles_average_posterior_samples(mechanism, factual):
    x, pa, *_ = factual
    requested = pa.roll(1, 0)
    torch.manual_seed(0)
    (found,) = predict(mechanism, factual, abduct(mechanism, factual, particles=3), [requested])
    torch.manual_seed(0)
    expected = torch.zeros_like(x)
    for _ in range(3):
        expected += mechanism.predict(factual, mechanism.abduct(factual, sample=True), [requested])[0]
    torch.testing.assert_close(found, expected / 3, atol=1e-5, rtol=1e-5)


def test_one_particle_is_the_posteriors_mean_and_needs_no_seed(model):
    images = raw(tiny.bars(3, seed=2))
    first, second = (model.counterfactual(images, {"bar@left": "+50%"}).image for _ in range(2))
    assert torch.equal(first, second)
    many = [model.counterfactual(images, {"bar@left": "+50%"}, particles=3).image for _ in range(2)]
    assert not torch.equal(*many)


def test_a_single_particle_may_be_a_sample_too(mechanism, factual):
    requested = factual.pa.roll(1, 0)
    torch.manual_seed(0)
    (found,) = predict(mechanism, factual, abduct(mechanism, factual, sample=True), [requested])
    torch.manual_seed(0)
    (expected,) = mechanism.predict(factual, mechanism.abduct(factual, sample=True), [requested])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_several_requests_share_one_abduction_and_do_not_mix(mechanism, factual):
    _, pa, *_ = factual
    requests = [pa, pa.roll(1, 0), pa + 1]
    together = predict(mechanism, factual, abduct(mechanism, factual), requests)
    for image, request in zip(together, requests, strict=True):
        (alone,) = predict(mechanism, factual, abduct(mechanism, factual), [request])
        torch.testing.assert_close(image, alone, atol=1e-5, rtol=0)
    assert (together[1] - together[2]).abs().max() > 1e-3


def test_the_batch_size_does_not_matter(model, monkeypatch):
    images = raw(tiny.bars(5, seed=2))
    whole = model.counterfactual(images, {"bar@left": 10})
    monkeypatch.setattr(answer, "PIXELS", {"cpu": 2 * 8 * 32})
    parts = model.counterfactual(images, {"bar@left": 10})
    torch.testing.assert_close(whole.image, parts.image, atol=1e-2, rtol=0)
    torch.testing.assert_close(whole.achieved["bar@left"], parts.achieved["bar@left"])
    assert parts.soft.shape == (5, 1, *tiny.SIZE) and parts.weights.shape == (5, 2, *tiny.SIZE)


# ---- against an engine written out -------------------------------------------------------------------------------


class Linear(torch.nn.Module):
    """loc = the parents' image, summed over its channels; scale e^-1; no latents."""

    def abduct(self, x, context, *, sample):
        return Latents([], torch.zeros(len(x), 1), torch.zeros(len(x), 1))

    def predict(self, states, context):
        loc = context.sum(1, keepdim=True)
        return PixelGaussian(loc, torch.full_like(loc, -1.0))


def test_a_linear_mechanism_moves_the_region_by_the_change_in_sd(parents):
    model = make(HVAEMechanism(model=Linear(), parents=parents, conditioning="map"))
    images = raw(tiny.bars(4, seed=3))
    found = model.counterfactual(images, {"bar@right": "+2sd"})
    # +2 sd moves loc, and the image with it, by 2 on the right half: 1000 raw units
    expected = torch.zeros(4, 1, *tiny.SIZE)
    expected[..., 16:] = 1000
    torch.testing.assert_close(found.difference, expected, atol=1e-2, rtol=0)
    torch.testing.assert_close(found.image, images + found.difference)


def test_factual_and_achieved_are_what_the_guide_measures(model):
    x = tiny.bars(4, seed=3)
    found = model.counterfactual(raw(x), {"bar@right": "+30%"})
    soft = model.parents.segmentor.soft(x)[:, 0]
    torch.testing.assert_close(found.factual["bar@left"], 0.5 * soft[..., :16].sum((1, 2)), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.achieved["bar@right"], 0.5 * found.soft[:, 0, :, 16:].sum((1, 2)))
    again = model.parents.segmentor.soft((found.image - 300) / 500)
    torch.testing.assert_close(found.soft, again, atol=1e-3, rtol=0)
    assert found.structures == ("bar",) and found.unit == "mm2"


# ---- requests ----------------------------------------------------------------------------------------------------


def test_requests(model):
    images = raw(tiny.bars(4, seed=3))
    factual = model.counterfactual(images, {}).factual
    sd, marginal = float(model.parents.sd[0]), model.space.marginal[:, 0].numpy()
    table = {
        7: torch.full((4,), 7.0),
        "+20%": 1.2 * factual["bar@left"],
        "-1.5sd": (factual["bar@left"] - 1.5 * sd).clamp_min(0),
        "-200%": torch.zeros(4),  # no area is less than none
        "q0.25": torch.full((4,), float(np.quantile(marginal, 0.25))),
    }
    for request, expected in table.items():
        found = model.counterfactual(images, {"bar@left": request})
        torch.testing.assert_close(found.requested["bar@left"], expected)
        assert torch.equal(found.requested["bar@right"], factual["bar@right"])


def test_covariates_are_given_may_be_intervened_on_and_may_be_negative(aged):
    images = raw(tiny.bars(3, seed=3))
    ages = torch.tensor([40.0, 60, 80])
    found = aged.counterfactual(images, {"age": "+1sd", "bar@left": 5}, covariates={"age": ages})
    assert torch.equal(found.factual["age"], ages)
    torch.testing.assert_close(found.requested["age"], ages + 8)
    assert "age" not in found.achieved and found.difference.abs().max() > 0
    assert aged.counterfactual(images, {"age": -3}, covariates={"age": ages}).requested["age"].tolist() == [-3] * 3


def test_spacing_sets_the_unit(model, mechanism):
    images = raw(tiny.bars(2, seed=3))
    half = model.counterfactual(images, {}).factual["bar@left"]
    torch.testing.assert_close(model.counterfactual(images, {}, spacing=(2.0, 3.0)).factual["bar@left"], 12 * half)
    pixels = make(mechanism, unit="px", pixel_area=None)
    torch.testing.assert_close(pixels.counterfactual(images, {}).factual["bar@left"], 2 * half)
    with pytest.raises(InputError, match="spacing"):
        make(mechanism, pixel_area=None).counterfactual(images, {})


def test_numpy_images_are_welcome(model):
    images = raw(tiny.bars(2, seed=3))
    expected = model.counterfactual(images, {"bar@left": 9}).image
    assert torch.equal(model.counterfactual(images.numpy(), {"bar@left": 9}).image, expected)
    assert torch.equal(model.counterfactual(images.double().numpy(), {"bar@left": 9}).image, expected)


@pytest.mark.parametrize(
    ("images", "do", "message"),
    [
        (torch.zeros(1, 1, 8, 30), {}, r"\(1, 1, 8, 30\)"),
        (torch.zeros(8, 32), {}, r"give \(batch, 1, 8, 32\)"),
        (torch.full((1, 1, 8, 32), math.nan), {}, "not finite"),
        (torch.zeros(1, 1, 8, 32), {"bar@lft": 3}, "bar@left"),
        (torch.zeros(1, 1, 8, 32), {"bar@left": "lots"}, "lots"),
    ],
)
def test_what_cannot_be_answered_is_refused(model, images, do, message):
    with pytest.raises(InputError, match=message):
        model.counterfactual(images, do)


def test_a_missing_covariate_is_named(aged):
    with pytest.raises(InputError, match="age"):
        aged.counterfactual(raw(tiny.bars(1, seed=0)), {})


def test_nothing_learns_and_no_graph_is_kept(model):
    found = model.counterfactual(raw(tiny.bars(1, seed=0)), {"bar@left": 3})
    assert not found.image.requires_grad
    assert not any(p.requires_grad for p in model.mechanism.parameters())


def test_an_image_file_is_read_onto_the_grid(model, tmp_path):
    import nibabel as nib

    volume = np.full((16, 64), 120.0, dtype=np.float32)
    nib.save(nib.Nifti1Image(volume, np.diag([0.5, 0.25, 1, 1])), tmp_path / "case.nii.gz")
    image, spacing = model.read(tmp_path / "case.nii.gz")
    assert image.shape == (1, 1, *tiny.SIZE) and torch.allclose(image, torch.tensor(120.0))
    assert spacing == pytest.approx((1.0, 0.5))
    assert model.counterfactual(image, {}, spacing=spacing).image.shape == image.shape


@pytest.mark.parametrize("shape", [(0, 1, *tiny.SIZE), (2, 3, *tiny.SIZE), (1, *tiny.SIZE)])
def test_images_of_another_shape_are_refused(model, shape):
    with pytest.raises(InputError, match=r"give \(batch, 1, "):
        model.counterfactual(np.zeros(shape, dtype=np.float32), {})


def test_a_covariate_needs_one_value_an_image(aged):
    with pytest.raises(InputError, match="give 2 values"):
        aged.counterfactual(raw(torch.zeros(2, 1, *tiny.SIZE)), {}, covariates={"age": torch.ones(3)})
