"""A trained model: ask it for counterfactuals of images."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.causal.request import ParentSpace, Request
from segue.causal.scm import SCM
from segue.cohort.grid import Grid, Spacing
from segue.cohort.io import place_image
from segue.cohort.origin import Origin
from segue.engine.answer import (
    Abducted,
    Inputs,
    Predicted,
    abduct_images,
    batch_length,
    check_inputs,
    measure_images,
    predict_all,
)
from segue.engine.asked import requested_parents
from segue.engine.counterfactual import Counterfactual
from segue.engine.input_check import InputCheck
from segue.engine.inputs import single_precision
from segue.engine.original import origin_of
from segue.engine.typical import Typical
from segue.engine.verdict import refuse_unmet
from segue.errors import InputError
from segue.hardware import threads_for, usable_device
from segue.mechanisms.base import ImageMechanism

__all__ = ["Counterfactual", "Model", "requests_of"]


MOST_PARTICLES = 1000
DoEach = Mapping[str, float | int | str | Tensor | np.ndarray | Sequence[float]]
"""By variable, one request for all images, or a value for each."""


class Model:
    """A trained image mechanism with its guide: ask it for counterfactuals. Made by `segue.load`.

    Args:
        mechanism: of the image. grid: of the study's images.
        marginal: training parents, (sample, variable), in their units.
        scm: the causal model of the variables; None where nothing follows from anything.
        correlation: of the training parents in rank space (`segue.causal.support`); None where it is not known.
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
        correlation: Float[Tensor, "variable variable"] | None = None,
        examples: Float[Tensor, "example channel *space"] | None = None,
        typical: Typical | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = usable_device(device)
        cast(nn.Module, mechanism).eval().requires_grad_(False).to(self.device)
        self.mechanism, self.parents, self.grid = mechanism, mechanism.parents, grid
        self.structures = self.parents.variables.structures
        self.space = ParentSpace(
            names=self.parents.names,
            measured=len(self.parents.variables),
            sd=self.parents.sd,
            marginal=marginal.sort(dim=0).values.to(self.device),
            scm=None if scm is None else scm.eval().requires_grad_(False).to(self.device),
            correlation=None if correlation is None else correlation.to(self.device),
        )
        self._examples = examples
        self.input_check = None if typical is None else InputCheck(typical, self)

    @property
    def variables(self) -> tuple[str, ...]:
        """What can be intervened on, `structure@region` first, then covariates."""
        return self.space.names

    @property
    def measured_names(self) -> tuple[str, ...]:
        """The variables that are measured on images, `structure@region`."""
        return tuple(self.space.areas)

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
        """An image file on the study's grid, and its spacing there (mm), for `counterfactual`.

        `slice`: of a file with one axis more than the study, the place along its last axis, from 0.
        """
        found = place_image(Path(path), self.grid.size, axes=self.grid.axes, slice=slice)
        return torch.from_numpy(found.image)[None], found.placement.spacing_on(self.grid.size)

    def origin(self, path: Path | str, *, slice: int | None = None) -> Origin:
        """Where the image that `read` gives lies in its file, for answers on the file's own pixels.

        `answer.save(folder, files=[model.origin(path)])` writes them.
        """
        return origin_of(Path(path), self.grid, slice=slice)

    @torch.inference_mode()
    def counterfactual(
        self,
        images: Float[Tensor, "batch channel *space"] | np.ndarray,
        do: DoEach | Request,
        *,
        propagate: bool = True,
        hold: Collection[str] = (),
        spacing: Spacing | Sequence[Spacing] = None,
        covariates: Mapping[str, Tensor | Sequence[float] | float] | None = None,
        particles: int = 1,
        strict: bool = False,
    ) -> Counterfactual:
        """What the images would look like under do(variable = request, ...).

        If the study has a graph, effects follow along it (the total effect); nothing else changes.

        Args:
            images: (batch, channel, *space) in the source's units, on the study's grid (see `read`).
            do: by variable, a value (4.2), a change ("+20%", "-1.5sd") or a quantile of the training data ("q0.9"); or
                a tensor or list with a value for each image.
            propagate: False leaves all that is not in `do` at its factual value (the direct effect on the image).
            hold: descendants that stay at their factual values although others follow.
            spacing: mm per pixel, one for all images or one an image, where the study measures in mm.
            covariates: the factual values of the study's covariates, if it has any: (batch,), or one for all.
            particles: posterior samples to average, 1,000 at most; 1 is the posterior's mean.
            strict: whether a request that is not met is an error; `verdict` says it in any case.

        Raises:
            InputError: an unknown variable or malformed request, or images that are not on the study's grid.
        """
        if not 1 <= particles <= MOST_PARTICLES:
            raise InputError(f"particles is {particles}: give 1 to {MOST_PARTICLES:,}")
        inputs = check_inputs(self, images, spacing=spacing, covariates=covariates)
        count = len(inputs.raw)
        each = iter([do] * count if isinstance(do, Request) else requests_of(do, count, propagate, tuple(hold)))
        parts = [
            self.batch(one, list(islice(each, len(one.raw))), particles) for one in inputs.split(batch_length(self))
        ]
        answer = self.assemble(parts, self.grid.spacings(spacing, count))
        if strict:
            refuse_unmet(answer.verdict)
        return answer

    def batch(self, inputs: Inputs, requests: list[Request], particles: int) -> tuple[Abducted, Tensor, Predicted]:
        """One batch: what is known of the images, pa*, and the answers."""
        with threads_for(self.grid.pixels * len(inputs.raw)):
            known = abduct_images(self, inputs, particles=particles)
            asked = requested_parents(self, requests, known.facts.pa, known.facts.pixel_area)
            everyone = torch.arange(len(inputs.raw), device=self.device)
            return known, self.space.bounded(asked), predict_all(self, known, everyone, asked)

    def assemble(
        self, parts: Sequence[tuple[Abducted, Tensor, Predicted]], spacing: tuple[Spacing, ...]
    ) -> Counterfactual:
        """The batches as one answer."""
        known, requested, found = zip(*parts, strict=True)
        image = torch.cat([one.raw for one in found])
        return Counterfactual(
            image=image,
            difference=image - torch.cat([one.raw for one in known]),
            soft=torch.cat([one.soft for one in found]),
            factual_soft=torch.cat([one.soft for one in known]),
            weights=torch.cat([one.facts.weights for one in known]),
            factual=self.by_name(torch.cat([one.facts.pa for one in known])),
            requested=self.by_name(torch.cat(requested)),
            achieved=self.by_name(torch.cat([one.achieved for one in found])),
            structures=self.structures,
            unit=self.grid.unit,
            verdict=tuple(chain.from_iterable(one.verdicts for one in found)),
            grid=self.grid,
            spacing=spacing,
            displacement=None if found[0].displacement is None else torch.cat([one.displacement for one in found]),
        )

    @torch.inference_mode()
    def measure(
        self,
        images: Float[Tensor, "batch channel *space"] | np.ndarray,
        *,
        spacing: Spacing | Sequence[Spacing] = None,
    ) -> dict[str, Tensor]:
        """What the guide measures on images, by variable, (batch,), in the grid's unit.

        Args:
            images, spacing: as of `counterfactual`.

        >>> import segue
        >>> model = segue.load("coronary-phantom")
        >>> model.measure(model.examples()[:2])["lumen@mid"].shape
        torch.Size([2])
        """
        raw = self.grid.check(images).to(self.device)
        area, sizes = (given.to(raw) for given in self.grid.pixels_of(spacing, len(raw)))
        inputs = Inputs(raw, area, raw.new_zeros(len(raw), 0), sizes)
        parts = [measure_images(self, one).facts.pa for one in inputs.split(batch_length(self))]
        return self.by_name(torch.cat(parts))

    def to(self, device: str | torch.device) -> "Model":
        """The model itself, moved to another device.

        Raises:
            InputError: there is no such device here.

        >>> import segue
        >>> segue.load("coronary-phantom").to("cpu").device
        device(type='cpu')
        """
        self.device = usable_device(device)
        cast(nn.Module, self.mechanism).to(self.device)
        space = self.space
        self.space = replace(
            space,
            sd=space.sd.to(self.device),
            marginal=space.marginal.to(self.device),
            scm=None if space.scm is None else space.scm.to(self.device),
            correlation=None if space.correlation is None else space.correlation.to(self.device),
        )
        self.input_check = self.input_check and InputCheck(self.input_check.typical, self)
        return self

    def by_name(self, values: Float[Tensor, "batch column"]) -> dict[str, Tensor]:
        """Columns by variable; measured values have those of the measured variables alone."""
        return dict(zip(self.variables, values.T, strict=False))


def requests_of(do: DoEach, batch: int, propagate: bool, hold: tuple[str, ...]) -> list[Request]:
    """One request for each image.

    Raises:
        InputError: a tensor or list has not one value for each image.

    >>> requests_of({"lumen@mid": torch.tensor([3.0, 4.0])}, 2, True, ())[1].do
    {'lumen@mid': 4.0}
    """
    columns = {}
    for name, asked in do.items():
        if isinstance(asked, str | int | float):
            columns[name] = [asked] * batch
            continue
        values = single_precision(f"do({name})", asked)
        if values.shape not in ((), (batch,)):
            raise InputError(f"do({name}): has shape {tuple(values.shape)}; give one value, or {batch}, one an image")
        columns[name] = values.expand(batch).tolist()
    return [Request({name: values[i] for name, values in columns.items()}, propagate, hold) for i in range(batch)]
