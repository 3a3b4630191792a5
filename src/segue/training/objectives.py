"""What is minimised: segmentation, regression, and the ELBO. Counterfactual fine-tuning has a module of its own."""

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from torch import Tensor, nn

from segue import processes
from segue.causal.parents import Parents
from segue.mechanisms.hvae import ImageMechanism, elbo
from segue.nets.segmentor import Regressor, Segmentor
from segue.training.augment import jitter, random_affine, random_displacement, warp
from segue.training.batches import Batch
from segue.training.loop import Terms

Loss = tuple[Tensor, Terms]


class Augment(nn.Module):
    """Geometry for image and masks together, then intensity for the image alone."""

    def __init__(
        self,
        *,
        rotate: float = 0.0,
        scale: float = 0.0,
        shift: float = 0.0,
        flip_axes: tuple[int, ...] = (),
        elastic: float = 0.0,
        contrast: float = 0.0,
        brightness: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.geometry = {"rotate": rotate, "scale": scale, "shift": shift, "flip_axes": flip_axes}
        self.elastic = elastic
        self.intensity = {"contrast": contrast, "brightness": brightness, "noise": noise}

    @property
    def acts(self) -> bool:
        """Whether it changes anything."""
        return bool(self.elastic) or any(self.geometry.values()) or any(self.intensity.values())

    def forward(self, image: Tensor, *maps: Tensor) -> tuple[Tensor, ...]:
        image, moved = image.float(), [m.float() for m in maps]
        if self.elastic or any(self.geometry.values()):
            batch, space = len(image), tuple(image.shape[2:])
            affine = random_affine(batch, space=space, **self.geometry)  # type: ignore[arg-type]
            field = random_displacement(batch, space=space, elastic=self.elastic) if self.elastic else None
            image, moved = warp(image, affine, field, sharp=True), [warp(m, affine, field) for m in moved]
        if any(self.intensity.values()):
            image = jitter(image, **self.intensity)
        return image, *moved


class Segmentation(nn.Module):
    """Dice and cross-entropy against area fractions: a pixel half covered should say one half, so that areas add up."""

    def __init__(self, segmentor: Segmentor, augment: Augment) -> None:
        super().__init__()
        self.segmentor, self.augment = segmentor, augment
        self.dice = DiceLoss(include_background=False, squared_pred=True)

    def forward(self, batch: Batch, progress: float) -> Loss:
        image, fractions = self.augment(batch["image"], batch["fractions"])
        target = torch.cat([1 - fractions.sum(1, keepdim=True), fractions], dim=1).clamp(0, 1)
        logits = self.segmentor(image)
        cross_entropy = F.cross_entropy(logits, target)
        dice = self.dice(logits.softmax(1), target)
        return cross_entropy + dice, {"cross_entropy": cross_entropy, "dice": dice}


class Regression(nn.Module):
    """Mean squared error of standardised parents, which the guide measures anew on whatever `augment` made."""

    def __init__(self, regressor: Regressor, parents: Parents, augment: Augment) -> None:
        super().__init__()
        self.regressor, self.parents, self.augment = regressor, parents, augment

    def forward(self, batch: Batch, progress: float) -> Loss:
        batch = augmented(batch, self.augment, self.parents)
        error = (self.regressor(batch["image"]) - self.parents.standardise(batch["parents"])).square().mean()
        return error, {"mse": error}


class Elbo(nn.Module):
    """The negative ELBO with free bits (Kingma et al. 2016) and a linear warm-up of the KL's weight (beta).

    Args:
        augment: geometry and intensity; where it does anything, the guide measures the augmented image anew, so that
            parents and image agree.
        free_bits: nats below which a latent channel's batch-mean KL is not pushed.
        beta_warmup: share of the training over which beta rises from 0 to 1.
    """

    def __init__(
        self,
        mechanism: ImageMechanism,
        *,
        augment: Augment,
        free_bits: float,
        beta_warmup: float,
    ) -> None:
        super().__init__()
        self.mechanism, self.augment = mechanism, augment
        self.free_bits, self.beta_warmup = free_bits, beta_warmup

    def forward(self, batch: Batch, progress: float) -> Loss:
        batch = augmented(batch, self.augment, self.mechanism.parents)
        x = batch["image"]
        abduction, likelihood = self.mechanism.abduct(x, batch["parents"], batch["weights"], sample=True)
        beta = min(1.0, progress / self.beta_warmup) if self.beta_warmup else 1.0
        pushed = processes.mean(abduction.kl_channels).clamp_min(self.free_bits).sum()
        loss = (beta * pushed - likelihood.log_prob(x).mean()) / x[0].numel()
        return loss, {
            "nelbo": -elbo(x, abduction, likelihood).mean(),
            "mae": (x - likelihood.loc).abs().mean(),
            **{f"kl/{i}": kl for i, kl in enumerate(abduction.kl.mean(0) / x[0].numel())},
        }


def augmented(batch: Batch, augment: Augment, parents: Parents) -> Batch:
    """The batch with its region `weights`; where `augment` acts, image, parents and regions are those it made."""
    image = batch["image"]
    areas, frames = batch["parents"], batch["frames"]
    if augment.acts:
        with torch.no_grad(), torch.autocast(image.device.type, enabled=False):
            (image,) = augment(image)
            measured, frames = parents.factual(image, batch["pixel_area"])
            areas = torch.cat([measured, areas[:, measured.shape[1] :]], dim=1)
    weights = parents.weights(frames, tuple(image.shape[2:]))
    return batch | {"image": image, "parents": areas, "weights": weights}
