"""Guides: frozen predictors that say how far a counterfactual is from what was requested.

A guide maps (x*, facts, pa*) to one squared error an image, in standard deviations, with a gradient to x*. It stays in
evaluation mode and its own parameters get no gradient. `GUIDES` is the registry: a new guide is one class and one line.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from segue.anatomy import structure_sums
from segue.causal.facts import Facts
from segue.causal.parents import Parents, SoftMasks
from segue.mechanisms.correction import areas_by_each
from segue.nets.segmentor import Regressor

__all__ = ["GUIDES", "EnsembleGuide", "GuideKind", "GuideParts", "RegionGuide", "RegressorGuide", "StructureGuide"]


class Frozen(nn.Module):
    """A guide: measures with the parents' segmentor, or with a network of its own, and does not learn."""

    def __init__(self, parents: Parents) -> None:
        super().__init__()
        self.parents = parents

    def train(self, mode: bool = True) -> "Frozen":
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(
        self, image: Float[Tensor, "batch channel *space"], facts: Facts, requested: Float[Tensor, "batch variable"]
    ) -> Float[Tensor, " batch"]:
        """Squared errors of the counterfactual `image` of `facts`, one an image."""
        raise NotImplementedError


class RegionGuide(Frozen):
    """Pos-Seg-CFT (arXiv 2603.21213): the area of every structure in every region, and whatever else is measured.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> RegionGuide(model.parents).train().training
    False
    """

    def areas(self, image: Tensor, facts: Facts) -> Float[Tensor, "batch measured"]:
        """What the segmentor measures in the factual regions."""
        return self.parents.measure(self.parents.soft(image), image, facts)

    def forward(self, image: Tensor, facts: Facts, requested: Tensor) -> Tensor:
        error = self.areas(image, facts) - requested[:, : facts.measured]
        return (error / self.parents.sd[: facts.measured]).square().sum(1)


class EnsembleGuide(RegionGuide):
    """The region guide's error, averaged over its segmentor and the study's ensemble of further ones.

    What fools one segmentor seldom fools the others alike, and where they differ the mean of the squares is larger than
    the square of the mean. So an image is not fitted to the errors of one network.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> len(EnsembleGuide(model.parents, list(model.mechanism.ensemble)).ensemble)
    3
    """

    def __init__(self, parents: Parents, ensemble: Sequence[nn.Module]) -> None:
        super().__init__(parents)
        self.ensemble = nn.ModuleList(member.eval().requires_grad_(False) for member in ensemble)

    def forward(self, image: Tensor, facts: Facts, requested: Tensor) -> Tensor:
        segmentors = cast(list[SoftMasks], [self.parents.segmentor, *self.ensemble])
        error = areas_by_each(self.parents, segmentors, facts, image) - requested[:, : facts.measured]
        return (error / self.parents.sd[: facts.measured]).square().mean(0).sum(1)


class StructureGuide(RegionGuide):
    """Seg-CFT (arXiv 2509.24913): areas of whole structures, the regions summed; in sd of those sums.

    Of other measurements it sees the sum over the regions too, which in units of its sd is their mean.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> import torch
    >>> StructureGuide(model.parents, torch.rand(5, 9)).sum_sd.shape
    torch.Size([3])
    """

    sum_sd: Tensor

    def __init__(self, parents: Parents, training: Float[Tensor, "sample variable"]) -> None:
        super().__init__(parents)
        self.register_buffer("sum_sd", self.sums(training[:, : len(parents.variables.names)]).std(0).clamp_min(1e-6))

    def sums(self, areas: Tensor) -> Float[Tensor, "batch structure"]:
        """Sums by structure (and measurement), of those that have variables."""
        return structure_sums(areas, self.parents.variables.channel_of, self.parents.variables.channels)

    def forward(self, image: Tensor, facts: Facts, requested: Tensor) -> Tensor:
        achieved = self.sums(self.areas(image, facts))
        error = achieved - self.sums(requested[:, : facts.measured])
        return (error / self.sum_sd).square().sum(1)


class RegressorGuide(Frozen):
    """Reg-CFT: a regressor predicts the parents from the whole image.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> regressor = Regressor(size=(16, 16), outputs=9, width=8)
    >>> any(p.requires_grad for p in RegressorGuide(model.parents, regressor).parameters())
    False
    """

    def __init__(self, parents: Parents, regressor: Regressor) -> None:
        super().__init__(parents)
        self.regressor = regressor.eval().requires_grad_(False)

    def forward(self, image: Tensor, facts: Facts, requested: Tensor) -> Tensor:
        return (self.regressor(image) - self.parents.standardise(requested)).square().sum(1)


@dataclass(frozen=True)
class GuideParts:
    """What guides are built from.

    Attributes:
        training: parents of the training images. regressor: loads the study's trained regressor. ensemble: loads its
            further segmentors.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> import torch
    >>> GuideParts(model.parents, torch.rand(5, 9), regressor=lambda: None).training.shape
    torch.Size([5, 9])
    """

    parents: Parents
    training: Float[Tensor, "sample variable"]
    regressor: Callable[[], Regressor]
    ensemble: Callable[[], Sequence[nn.Module]] = list


@dataclass(frozen=True)
class GuideKind:
    """One entry of the registry.

    Attributes:
        method: the papers' name of a fine-tuning with this guide, a key of metrics.json.
        build: makes the guide.
        needs: further stages of the study whose networks it uses; "panel": those of all of its ensemble.

    >>> GUIDES["region"].method, GUIDES["regressor"].needs
    ('pos_seg_cft', ('regressor',))
    """

    method: str
    build: Callable[[GuideParts], nn.Module]
    needs: tuple[str, ...] = ()


GUIDES: dict[str, GuideKind] = {
    "regressor": GuideKind("reg_cft", lambda parts: RegressorGuide(parts.parents, parts.regressor()), ("regressor",)),
    "structure": GuideKind("seg_cft", lambda parts: StructureGuide(parts.parents, parts.training)),
    "ensemble": GuideKind("ensemble_cft", lambda parts: EnsembleGuide(parts.parents, parts.ensemble()), ("panel",)),
    "region": GuideKind("pos_seg_cft", lambda parts: RegionGuide(parts.parents)),
}
