"""A trained model: ask it for counterfactuals of images."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.causal.request import Do, ParentSpace, Request, resolve
from segue.causal.scm import SCM
from segue.cohort import read_image
from segue.cohort.grid import Grid, Spacing
from segue.engine.answer import Inputs, abduct_images, batch_length, check_inputs, predict_all
from segue.engine.input_check import InputCheck
from segue.engine.typical import Typical
from segue.errors import InputError
from segue.mechanisms.base import ImageMechanism

__all__ = ["Counterfactual", "Model"]


@dataclass(frozen=True)
class Counterfactual:
    """The answer to one request, for a batch of images; images in the source's units.

    Attributes:
        image: x*, (batch, channel, *space). difference: x* - x.
        soft: the guide's soft masks of x*, (batch, structure, *space), in the order of `structures`.
        weights: the region of each measured variable, (batch, variable, *space).
        factual, requested, achieved: by variable, (batch,), in `unit` (covariates in their own). What follows from
            the request along the graph is requested too.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> found = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"})
    >>> found.requested["lumen@mid"] > found.factual["lumen@mid"]
    tensor([True])
    """

    image: Tensor
    difference: Tensor
    soft: Tensor
    weights: Tensor
    factual: dict[str, Tensor]
    requested: dict[str, Tensor]
    achieved: dict[str, Tensor]
    structures: tuple[str, ...]
    unit: str


class Model:
    """A trained image mechanism with its guide: ask it for counterfactuals. Made by `segue.load`.

    Args:
        mechanism: of the image. grid: of the study's images.
        marginal: training parents, (sample, variable), in their units.
        scm: the causal model of the variables; None where nothing follows from anything.
        examples: images to try it on, in the source's units.
        typical: what images like the training images look like; None in models from before there was such a check.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> answer = model.counterfactual(model.examples()[:1], {"lumen@mid": "+10%"})
    >>> answer.image.shape == model.examples()[:1].shape
    True
    """

    def __init__(
        self,
        mechanism: ImageMechanism,
        grid: Grid,
        *,
        marginal: Float[Tensor, "sample variable"],
        scm: SCM | None = None,
        examples: Float[Tensor, "example channel *space"] | None = None,
        typical: Typical | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = torch.device(device)
        cast(nn.Module, mechanism).eval().requires_grad_(False).to(self.device)
        self.mechanism, self.parents, self.grid = mechanism, mechanism.parents, grid
        self.structures = self.parents.variables.structures
        self.space = ParentSpace(
            names=self.parents.names,
            measured=len(self.parents.variables),
            sd=self.parents.sd,
            marginal=marginal.sort(dim=0).values.to(self.device),
            scm=None if scm is None else scm.eval().requires_grad_(False).to(self.device),
        )
        self._examples = examples
        self.input_check = None if typical is None else InputCheck(typical, self)

    @property
    def variables(self) -> tuple[str, ...]:
        """What can be intervened on, `structure@region` first, then covariates."""
        return self.space.names

    @property
    def scm(self) -> SCM | None:
        """The causal model of the variables."""
        return self.space.scm

    def examples(self) -> Float[Tensor, "example channel *space"]:
        """Images of the study's test subjects, without the covariates that the study may have.

        Raises:
            InputError: the model was exported without.
        """
        if self._examples is None or not len(self._examples):
            raise InputError("this model has no example images; model.read(path) reads yours")
        return self._examples

    def read(self, path: Path | str, *, slice: int | None = None) -> tuple[Float[Tensor, "1 channel *space"], Spacing]:
        """An image file (PNG, NIfTI, DICOM) on the study's grid, and its spacing there (mm), for `counterfactual`.

        `slice`: of a file with one axis more than the study, the place along its last axis, from 0.
        """
        image, spacing = read_image(Path(path), self.grid.size, slice=slice)
        return torch.from_numpy(image)[None], spacing

    @torch.inference_mode()
    def counterfactual(
        self,
        images: Float[Tensor, "batch channel *space"] | np.ndarray,
        do: Do | Request,
        *,
        propagate: bool = True,
        hold: Collection[str] = (),
        spacing: Spacing | Sequence[Spacing] = None,
        covariates: Mapping[str, Tensor | Sequence[float] | float] | None = None,
        particles: int = 1,
    ) -> Counterfactual:
        """What the images would look like under do(variable = request, ...).

        If the study has a graph, effects follow along it (the total effect); nothing else changes.

        Args:
            images: (batch, channel, *space) in the source's units, on the study's grid (see `read`).
            do: by variable, a value (4.2), a change ("+20%", "-1.5sd") or a quantile of the training data ("q0.9").
            propagate: False leaves all that is not in `do` at its factual value (the direct effect on the image).
            hold: descendants that stay at their factual values although others follow.
            spacing: mm per pixel, one for all images or one an image, where the study measures in mm.
            covariates: the factual values of the study's covariates, if it has any: (batch,), or one for all.
            particles: posterior samples to average; 1 is the posterior's mean.

        Raises:
            InputError: an unknown variable or malformed request, or images that are not on the study's grid.
        """
        request = do if isinstance(do, Request) else Request(do, propagate, tuple(hold))
        inputs = check_inputs(self, images, spacing=spacing, covariates=covariates)
        parts = [self.batch(one, request, particles) for one in inputs.split(batch_length(self))]
        image, soft, weights, factual, requested, achieved = map(torch.cat, zip(*parts, strict=True))
        return Counterfactual(
            image=image,
            difference=image - inputs.raw,
            soft=soft,
            weights=weights,
            factual=self.by_name(factual),
            requested=self.by_name(requested),
            achieved=self.by_name(achieved),
            structures=self.structures,
            unit=self.grid.unit,
        )

    def batch(self, inputs: Inputs, request: Request, particles: int) -> tuple[Tensor, ...]:
        """One batch: x*, soft masks, weights, and the parents factual, requested, achieved."""
        known = abduct_images(self, inputs, particles=particles)
        facts, everyone = known.facts, torch.arange(len(inputs.raw), device=self.device)
        requested = resolve([request] * len(everyone), facts.pa, self.space)
        found = predict_all(self, known, everyone, requested)
        return found.raw, found.soft, facts.weights, facts.pa, requested, found.achieved

    def by_name(self, values: Float[Tensor, "batch column"]) -> dict[str, Tensor]:
        """Columns by variable; measured values have those of the measured variables alone."""
        return dict(zip(self.variables, values.T, strict=False))
