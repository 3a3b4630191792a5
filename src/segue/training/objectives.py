"""What is minimised: segmentation, regression, a mechanism's own loss. Fine-tuning: see `segue.training.finetune`."""

from typing import Any, cast

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from torch import Tensor, nn

from segue.causal.facts import Facts
from segue.causal.parents import Parents
from segue.cohort.intensity import Rule
from segue.cohort.window import scaled
from segue.mechanisms.base import Loss, Trainable
from segue.nets.segmentor import Regressor, Segmentor
from segue.training.augment import jitter, random_affine, random_displacement, warp
from segue.training.batches import Batch

__all__ = ["Augmentation", "Pretraining", "Regression", "Segmentation", "augmented"]


class Augmentation(nn.Module):
    """Geometry for image and masks together, then intensity for the image alone.

    Args:
        rule: that finds the intensity of each image, if the study has one. An image that changed is scaled by its own
            values again, as it would be if the scanner had made it so: gamma, blur, noise and what left the field of
            view all move them. Contrast and brightness then change nothing.

    >>> Augmentation().acts, Augmentation(rotate=5.0).acts
    (False, True)
    """

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
        gamma: float = 0.0,
        blur: float = 0.0,
        rule: Rule | None = None,
    ) -> None:
        super().__init__()
        self.geometry = {"rotate": rotate, "scale": scale, "shift": shift, "flip_axes": flip_axes}
        self.elastic = elastic
        self.intensity = {"contrast": contrast, "brightness": brightness, "noise": noise, "gamma": gamma, "blur": blur}
        self.rule = rule

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
        if self.acts and self.rule is not None:
            image = scaled(image, self.rule.window(image))
        return image, *moved


class Segmentation(nn.Module):
    """Dice and cross-entropy against area fractions.

    A half-covered pixel should get probability 1/2, so that areas add up.

    >>> net = Segmentor(arch="unet", spatial_dims=2, structures=1, width=8)
    >>> batch = {"image": torch.zeros(1, 1, 32, 32), "fractions": torch.zeros(1, 1, 32, 32)}
    >>> sorted(Segmentation(net, Augmentation())(batch, 0.0)[1])
    ['cross_entropy', 'dice']
    """

    def __init__(self, segmentor: Segmentor, augment: Augmentation) -> None:
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
    """Mean squared error of standardised parents, which the guide measures anew on whatever `augment` made.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> net = Regressor(size=(48, 144), outputs=9, width=8)
    >>> areas, frames = model.parents.factual(x := model.grid.scale(model.examples()[:1]), torch.ones(1))
    >>> batch = {"image": x, "parents": areas, "frames": frames, "pixel_area": torch.ones(1)}
    >>> list(Regression(net, model.parents, Augmentation())(batch, 0.0)[1])
    ['mse']
    """

    def __init__(self, regressor: Regressor, parents: Parents, augment: Augmentation) -> None:
        super().__init__()
        self.regressor, self.parents, self.augment = regressor, parents, augment

    def forward(self, batch: Batch, progress: float) -> Loss:
        facts = augmented(batch, self.augment, self.parents)
        error = (self.regressor(facts.image) - self.parents.standardise(facts.pa)).square().mean()
        return error, {"mse": error}


class Pretraining(nn.Module):
    """A mechanism's own loss on factual images.

    Args:
        augment: geometry and intensity. Where it changes anything, the guide measures the augmented image anew, so that
            parents and image agree.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> Pretraining(model.mechanism.inner, augment=Augmentation()).augment.acts
    False
    """

    def __init__(self, mechanism: Trainable, *, augment: Augmentation) -> None:
        super().__init__()
        self.mechanism, self.augment = cast(Any, mechanism), augment

    def forward(self, batch: Batch, progress: float) -> Loss:
        return self.mechanism.loss(augmented(batch, self.augment, self.mechanism.parents), progress)


def augmented(batch: Batch, augment: Augmentation, parents: Parents) -> Facts:
    """The facts of a batch; where `augment` acts, image, parents and regions are those of the augmented image.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> x = model.grid.scale(model.examples()[:1])
    >>> areas, frames = model.parents.factual(x, torch.ones(1))
    >>> batch = {"image": x, "parents": areas, "frames": frames, "pixel_area": torch.ones(1)}
    >>> augmented(batch, Augmentation(), model.parents).weights.shape
    torch.Size([1, 9, 48, 144])
    """
    image, pixel_area, spacing = batch["image"], batch["pixel_area"], batch.get("spacing")
    pa, frames = batch["parents"], batch["frames"]
    if augment.acts:
        with torch.no_grad(), torch.autocast(image.device.type, enabled=False):
            (image,) = augment(image)
            measured, frames = parents.factual(image, pixel_area, spacing)
            pa = torch.cat([measured, pa[:, measured.shape[1] :]], dim=1)
    return Facts(image, pa, parents.weights(frames, tuple(image.shape[2:])), pixel_area, spacing=spacing)
