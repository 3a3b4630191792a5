"""Counterfactual images: abduction, action, prediction, for whoever holds images and a trained run."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy import measure
from segue.causal.facts import Facts
from segue.causal.intervention import Intervention, parse, position
from segue.causal.scm import SCM
from segue.cohort import read_image
from segue.cohort.grid import scaled, unscaled
from segue.errors import InputError
from segue.mechanisms.hvae import ImageMechanism

Do = Mapping[str, float | int | str]


@dataclass(frozen=True)
class Counterfactual:
    """The answer to one request, for a batch of images; images in the source's units.

    Attributes:
        image: x*, (batch, channel, *space). difference: x* - x.
        soft: the guide's soft masks of x*, (batch, structure, *space), in the order of `structures`.
        weights: the region of each measured variable, (batch, variable, *space).
        factual, requested, achieved: by variable, (batch,), in `unit` (covariates in their own). What follows from
            the request along the graph is requested too.
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


def predict(
    mechanism: ImageMechanism,
    facts: Facts,
    requests: Sequence[Float[Tensor, "batch variable"]],
    *,
    particles: int = 1,
    sample: bool = False,
) -> list[Float[Tensor, "batch channel *space"]]:
    """x* for each request pa*, from one abduction: at the posterior's mean, or averaged over `particles` > 1 draws.

    With `sample`, a single particle is a draw too.
    """
    images = [torch.zeros_like(facts.image) for _ in requests]
    for _ in range(particles):
        found = mechanism.abduct(facts.image, facts.pa, facts.weights, sample=sample or particles > 1)
        for image, answer in zip(images, mechanism.answer(facts, *found, requests), strict=True):
            image += answer / particles
    return images


class Model:
    """A trained image mechanism and its guide: ask it for counterfactuals. Made by `segue.load`.

    Args:
        intensity: the raw values that the networks see as -1 and +1.
        marginal: training parents, (sample, variable), in their units.
        pixel_area: of one pixel of the study's grid, where all training images agree; else None.
        examples: images to try it on, in the source's units.
        scm: of the variables; None where nothing follows from anything.
    """

    def __init__(
        self,
        mechanism: ImageMechanism,
        *,
        size: tuple[int, ...],
        intensity: tuple[float, float],
        marginal: Float[Tensor, "sample variable"],
        unit: str,
        pixel_area: float | None,
        channels: int = 1,
        examples: Float[Tensor, "example channel *space"] | None = None,
        scm: SCM | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.mechanism = mechanism.eval().requires_grad_(False).to(self.device)
        self.parents = mechanism.parents
        self.size, self.intensity, self.unit, self.pixel_area = size, intensity, unit, pixel_area
        self.channels = channels
        self.marginal = marginal.sort(dim=0).values.to(self.device)
        self._examples = examples
        self.scm = None if scm is None else scm.eval().requires_grad_(False).to(self.device)
        self.structures = self.parents.variables.structures

    @property
    def variables(self) -> tuple[str, ...]:
        """What can be intervened on, `structure@region` first, then covariates."""
        return self.parents.names

    def examples(self) -> Float[Tensor, "example channel *space"]:
        """Images of the study's test subjects, for `counterfactual` (their covariates, if the study has any, are not
        with them).

        Raises:
            InputError: the model was exported without.
        """
        if self._examples is None or not len(self._examples):
            raise InputError("this model has no example images; model.read(path) reads yours")
        return self._examples

    @property
    def measured_names(self) -> tuple[str, ...]:
        """The variables that the guide measures."""
        return self.variables[: len(self.parents.variables)]

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """The variables that are given."""
        return self.variables[len(self.parents.variables) :]

    def read(
        self, path: Path | str, *, slice: int | None = None
    ) -> tuple[Float[Tensor, "1 channel *space"], tuple[float, ...] | None]:
        """An image file (PNG, NIfTI, DICOM) on the study's grid, and its spacing there (mm), for `counterfactual`.

        `slice`: of a file with one axis more than the study, the place along its last axis, from 0.
        """
        image, spacing = read_image(Path(path), self.size, slice=slice)
        return torch.from_numpy(image)[None], spacing

    @torch.inference_mode()
    def counterfactual(
        self,
        images: Float[Tensor, "batch channel *space"] | np.ndarray,
        do: Do,
        *,
        propagate: bool = True,
        hold: Collection[str] = (),
        spacing: tuple[float, ...] | None = None,
        covariates: Mapping[str, Tensor | float] | None = None,
        particles: int = 1,
        batch_size: int = 64,
    ) -> Counterfactual:
        """What the images would look like under do(variable = request, ...).

        If the study has a graph, its effects follow (the total effect); nothing else changes.

        Args:
            images: (batch, channel, *space) in the source's units, on the study's grid (see `read`).
            do: by variable, a value (4.2), a change ("+20%", "-1.5sd") or a quantile of the training data ("q0.9").
            propagate: False leaves all that is not in `do` as it is in fact (the direct effect on the image).
            hold: descendants that stay as they are in fact, though others follow.
            spacing: mm per pixel, where the study measures in mm and its images do not all agree.
            covariates: the factual values of the study's covariates, if it has any: (batch,), or one for all.
            particles: posterior samples to average; 1 is the posterior's mean.

        Raises:
            InputError: an unknown variable or malformed request, or images that are not on the study's grid.
        """
        x = self.check(images)
        held = self.held(do, propagate, hold)
        actions = {position(name, self.variables): parse(name, request) for name, request in do.items()}
        given = self.covariates(covariates, len(x))
        area = self.area(spacing)
        parts = [
            self.batch(x[i : i + batch_size], actions, given[i : i + batch_size], area, particles, held)
            for i in range(0, len(x), batch_size)
        ]
        image, soft, weights, factual, requested, achieved = (torch.cat(part) for part in zip(*parts, strict=True))
        measured = self.measured_names
        return Counterfactual(
            image=image,
            difference=image - x.to(image),
            soft=soft,
            weights=weights,
            factual=dict(zip(self.variables, factual.T, strict=True)),
            requested=dict(zip(self.variables, requested.T, strict=True)),
            achieved=dict(zip(measured, achieved.T, strict=True)),
            structures=self.structures,
            unit=self.unit,
        )

    def batch(
        self,
        x: Tensor,
        actions: Mapping[int, Intervention],
        covariates: Tensor,
        area: float,
        particles: int,
        held: Collection[str],
    ) -> tuple[Tensor, ...]:
        """One batch: image, soft masks, weights, and the parents factual, requested, achieved."""
        x = scaled(x.to(self.device), self.intensity)
        pixel_area = x.new_full((len(x),), area)
        measured, frames = self.parents.factual(x, pixel_area)
        weights = self.parents.weights(frames, self.size)
        pa = torch.cat([measured, covariates.to(measured)], dim=1)
        requested = self.follow(pa, self.asked(pa, actions), held)
        facts = Facts(x, pa, weights, pixel_area)
        (counterfactual,) = predict(self.mechanism, facts, [requested], particles=particles)
        soft = self.parents.segmentor.soft(counterfactual)
        achieved = measure(soft, weights, self.parents.structure_of, pixel_area)
        return unscaled(counterfactual, self.intensity), soft, weights, pa, requested, achieved

    def asked(self, pa: Float[Tensor, "batch variable"], actions: Mapping[int, Intervention]) -> dict[str, Tensor]:
        """By variable, the value that do(...) sets it to, (batch,). Areas do not go below zero."""
        done = {}
        for index, action in actions.items():
            name = self.variables[index]
            value = action.apply(pa[:, index], sd=self.parents.sd[index], marginal=self.marginal[:, index])
            done[name] = value.clamp_min(0) if index < len(self.parents.variables) else value
            if self.scm is not None:
                self.scm.check(name, done[name])
        return done

    def follow(
        self, pa: Float[Tensor, "batch variable"], done: Mapping[str, Tensor], held: Collection[str] = ()
    ) -> Float[Tensor, "batch variable"]:
        """pa*: the parents once `done` is set and its effects have followed, but for those `held`."""
        if self.scm is not None:
            measured = len(self.parents.variables)
            found = self.scm.counterfactual(pa, done, hold=held)
            return torch.cat([found[:, :measured].clamp_min(0), found[:, measured:]], dim=1)
        found = pa.clone()
        for name, value in done.items():
            found[:, self.variables.index(name)] = value
        return found

    def held(self, do: Do, propagate: bool = True, hold: Collection[str] = ()) -> tuple[str, ...]:
        """The variables that no effect may change.

        Raises:
            InputError: one is unknown, or is done as well.
        """
        for name in hold:
            position(name, self.variables)
            if name in do:
                raise InputError(f"{name} is both done and held; take it out of one")
        return tuple(hold) if propagate else tuple(name for name in self.variables if name not in do)

    def check(self, images: Tensor | np.ndarray) -> Tensor:
        x = torch.as_tensor(images, dtype=torch.float32)
        if x.ndim != len(self.size) + 2 or len(x) == 0 or tuple(x.shape[1:]) != (self.channels, *self.size):
            wanted = ", ".join(map(str, (self.channels, *self.size)))
            raise InputError(
                f"images have shape {tuple(x.shape)}: give (batch, {wanted}), one image at least; "
                "model.read(path) brings a file to this grid"
            )
        if not bool(x.isfinite().all()):
            raise InputError("images hold values that are not finite: replace them")
        return x

    def covariates(self, given: Mapping[str, Tensor | float] | None, batch: int) -> Float[Tensor, "batch covariate"]:
        names = self.covariate_names
        if missing := [name for name in names if name not in (given or {})]:
            name = missing[0]
            raise InputError(f"covariate {name!r} is missing: pass covariates={{{name!r}: ...}} (--given {name}=...)")
        columns = [torch.as_tensor((given or {})[name], dtype=torch.float32) for name in names]
        for name, column in zip(names, columns, strict=True):
            if column.shape not in ((), (1,), (batch,)):
                shape = tuple(column.shape)
                raise InputError(f"covariate {name!r} has shape {shape}: give {batch} values, one an image")
            if self.scm is not None:
                self.scm.check(name, column)
        columns = [column.expand(batch) for column in columns]
        return torch.stack(columns, dim=1) if columns else torch.zeros(batch, 0)

    def area(self, spacing: tuple[float, ...] | None) -> float:
        if self.unit == "px":
            return 1.0
        if spacing is not None:
            return float(np.prod(spacing))
        if self.pixel_area is None:
            raise InputError(f"the study measures in {self.unit} and its spacings differ: pass spacing=(mm, mm)")
        return self.pixel_area
