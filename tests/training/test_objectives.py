import math

import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import nn

from segue.causal.parents import Parents
from segue.mechanisms.hvae import HVAEMechanism
from segue.nets.hvae import Latents, PixelGaussian
from segue.nets.segmentor import Regressor, Segmentor
from segue.training.augment import random_affine
from segue.training.objectives import Augmentation, Pretraining, Regression, Segmentation, augmented

KL = torch.tensor([[0.1, 3.0, 0.0], [0.3, 5.0, 0.1]])  # two images, three latent channels


class Fixed(nn.Module):
    """An image model that says the same of every image, with KL's by channel as given; two blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.kl = nn.Parameter(KL.clone())
        self.loc = nn.Parameter(torch.tensor(0.1))

    def abduct(self, x, context, *, sample):
        return Latents([], torch.stack([self.kl[:, :1].sum(1), self.kl[:, 1:].sum(1)], dim=1), self.kl)

    def predict(self, states, context):
        loc = self.loc.expand(len(context), 1, *context.shape[2:])
        return PixelGaussian(loc, torch.full_like(loc, -1.0))


@pytest.fixture
def batch(parents):
    x = tiny.bars(2, seed=1)
    areas, frames = parents.factual(x, torch.ones(2))
    return {"image": x, "parents": areas, "frames": frames, "pixel_area": torch.ones(2)}


def fixed(parents, **changes) -> Pretraining:
    mechanism = HVAEMechanism(model=Fixed(), parents=parents, conditioning="map", **changes)
    return Pretraining(mechanism, augment=Augmentation())


def by_hand(x):
    """Mean log p(x | z, pa) under Fixed, in nats."""
    return (-0.5 * ((x - 0.1) * math.e) ** 2 + 1 - 0.5 * math.log(2 * math.pi)).sum() / len(x)


@pytest.mark.parametrize(
    ("free_bits", "pushed"),
    # channel means of KL: 0.2, 4, 0.05
    [(0.0, 4.25), (0.1, 4.3), (0.5, 5.0), (10.0, 30.0)],
)
def test_free_bits_by_hand(parents, batch, free_bits, pushed):
    objective = fixed(parents, free_bits=free_bits)
    loss, terms = objective(batch, 1.0)
    pixels = batch["image"][0].numel()
    torch.testing.assert_close(loss, (pushed - by_hand(batch["image"])) / pixels)
    # what is reported is the bound itself, whatever is minimised
    torch.testing.assert_close(terms["nelbo"], (4.25 - by_hand(batch["image"])) / pixels)
    torch.testing.assert_close(terms["kl/0"], torch.tensor(0.2 / pixels))
    torch.testing.assert_close(terms["kl/1"], torch.tensor(4.05 / pixels))
    torch.testing.assert_close(terms["mae"], (batch["image"] - 0.1).abs().mean())
    loss.backward()
    pressed = objective.mechanism.model.kl.grad.abs().sum(0) > 0
    assert pressed.tolist() == [mean > free_bits for mean in (0.2, 4.0, 0.05)]


@pytest.mark.parametrize(("progress", "beta"), [(0.0, 0.0), (0.1, 0.25), (0.2, 0.5), (0.4, 1.0), (0.9, 1.0)])
def test_the_kl_is_warmed_up(parents, batch, progress, beta):
    loss, _ = fixed(parents, beta_warmup=0.4)(batch, progress)
    torch.testing.assert_close(loss, (4.25 * beta - by_hand(batch["image"])) / batch["image"][0].numel())


def test_without_warm_up_and_free_bits_the_loss_is_the_negative_elbo(mechanism, batch):
    objective = Pretraining(mechanism, augment=Augmentation())
    torch.manual_seed(0)
    loss, terms = objective(batch, 0.0)
    torch.manual_seed(0)
    facts = augmented(batch, Augmentation(), mechanism.parents)
    expected = -mechanism.log_likelihood(facts, mechanism.abduct(facts, sample=True))
    torch.testing.assert_close(loss, expected.mean())
    torch.testing.assert_close(terms["nelbo"], expected.mean())


def test_an_unchanged_batch_keeps_its_parents(parents, batch):
    given = batch | {"parents": batch["parents"] + 1}
    found = augmented(given, Augmentation(), parents)
    assert found.image is batch["image"] and torch.equal(found.pa, given["parents"])
    assert torch.equal(found.weights, parents.weights(batch["frames"], tiny.SIZE))


@pytest.mark.parametrize("change", [{"shift": 0.2}, {"brightness": 0.5}, {"flip_axes": (1,)}])
def test_an_augmented_batch_is_measured_anew(change, batch):
    augment = Augmentation(**change)
    parents = Parents(segmentor=tiny.Tones(0.5), variables=tiny.variables("bar"), covariates=("age",))
    torch.manual_seed(0)
    given = batch | {"parents": torch.cat([batch["parents"], torch.tensor([[30.0], [70.0]])], dim=1)}
    found = augmented(given, augment, parents)
    assert not torch.equal(found.image, batch["image"])
    expected = parents.factual(found.image, batch["pixel_area"]).areas
    torch.testing.assert_close(found.pa[:, :2], expected)
    assert found.pa[:, 2].tolist() == [30, 70]
    assert not found.image.requires_grad and not found.pa.requires_grad


def test_parents_are_the_areas_after_the_geometry():
    """The image is the mask of a disc in each half: a warp divides its area by the determinant of its inverse map."""
    y, x = torch.meshgrid(torch.arange(48.0) - 23.5, torch.arange(96.0) - 47.5, indexing="ij")
    discs = ((10.5 - torch.hypot(y, x.abs() - 24)).clamp(0, 1))[None, None].expand(6, -1, -1, -1)
    parents = Parents(segmentor=tiny.Channels(), variables=tiny.variables("disc"))
    area = torch.full((6,), 0.5)
    measured, frames = parents.factual(discs, area)
    batch = {"image": discs, "parents": measured, "frames": frames, "pixel_area": area}
    torch.manual_seed(3)
    affine = random_affine(6, space=(48, 96), rotate=5.0, scale=0.15, shift=0.02, flip_axes=(1,))
    torch.manual_seed(3)
    found = augmented(batch, Augmentation(rotate=5.0, scale=0.15, shift=0.02, flip_axes=(1,)), parents).pa
    expected = measured / torch.linalg.det(affine[:, :, :2]).abs()[:, None]
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)
    assert (found / measured - 1).abs().max() > 0.1


# ---- segmentation and regression ---------------------------------------------------------------------------------


class Says(Segmentor):
    """Logits as given."""

    def __init__(self, logits) -> None:
        nn.Module.__init__(self)
        self.logits = nn.Parameter(logits)

    def forward(self, image):
        return self.logits


def fractions():
    return torch.rand(2, 2, 4, 4, generator=torch.Generator().manual_seed(0)) / 2


def test_segmentation_by_hand():
    target = torch.cat([1 - fractions().sum(1, keepdim=True), fractions()], dim=1)
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    batch = {"image": torch.zeros(2, 1, 4, 4), "fractions": fractions()}
    loss, terms = Segmentation(Says(logits), Augmentation())(batch, 0.0)
    q = logits.softmax(1)
    cross_entropy = -(target * q.log()).sum(1).mean()
    both, squares = (q * target).sum((2, 3))[:, 1:], (q**2 + target**2).sum((2, 3))[:, 1:]
    dice = (1 - (2 * both + 1e-5) / (squares + 1e-5)).mean()
    torch.testing.assert_close(terms["cross_entropy"], cross_entropy)
    torch.testing.assert_close(terms["dice"], dice)
    torch.testing.assert_close(loss, cross_entropy + dice)


def test_half_a_pixel_is_best_segmented_as_one_half():
    target = torch.cat([1 - fractions().sum(1, keepdim=True), fractions()], dim=1)
    objective = Segmentation(Says(target.log()), Augmentation())
    objective({"image": torch.zeros(2, 1, 4, 4), "fractions": fractions()}, 0.0)[0].backward()
    assert objective.segmentor.logits.grad.abs().max() < 1e-6  # the loss is stationary at the truth


def test_regression_is_the_error_of_standardised_parents_measured_on_what_the_augmentation_made(parents, batch):
    class Zero(Regressor):
        def __init__(self) -> None:
            nn.Module.__init__(self)

        def forward(self, image):
            self.image = image
            return torch.zeros(len(image), 2)

    objective = Regression(Zero(), parents, Augmentation())
    loss, _ = objective(batch, 0.0)
    assert torch.equal(objective.regressor.image, batch["image"])
    torch.testing.assert_close(loss, F.mse_loss(parents.standardise(batch["parents"]), torch.zeros(2, 2)))

    objective = Regression(Zero(), parents, Augmentation(rotate=30.0, shift=0.3))
    loss, _ = objective(batch, 0.0)
    moved = objective.regressor.image
    assert not torch.equal(moved, batch["image"])
    areas = parents.factual(moved, batch["pixel_area"]).areas
    torch.testing.assert_close(loss, parents.standardise(areas).square().mean())
