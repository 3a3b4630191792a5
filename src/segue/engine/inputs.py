"""Images that a model can answer: on its grid, finite, with the spacing and the covariates that it needs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.cohort.case import Case
from segue.cohort.grid import Spacing
from segue.engine.asked import possible
from segue.errors import InputError
from segue.text import in_digits, one_line, shortened

__all__ = ["Inputs", "check_inputs"]

if TYPE_CHECKING:
    from segue.engine.model import Model


class Inputs(NamedTuple):
    """Images that have been checked, one row an image.

    Attributes:
        raw: in the source's units. pixel_area: in the areas' unit. covariates: factual values.
        spacing: of the pixels along each axis, in the lengths' unit.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> inputs = check_inputs(model, model.examples()[:3])
    >>> [len(part.raw) for part in inputs.split(2)]
    [2, 1]
    """

    raw: Float[Tensor, "batch channel *space"]
    pixel_area: Float[Tensor, " batch"]
    covariates: Float[Tensor, "batch covariate"]
    spacing: Float[Tensor, "batch dims"]

    def split(self, length: int) -> Iterator["Inputs"]:
        """Batches of at most `length` images."""
        return (Inputs(*parts) for parts in zip(*(part.split(length) for part in self), strict=True))


def check_inputs(
    model: "Model",
    images: Tensor | np.ndarray,
    *,
    spacing: Spacing | Sequence[Spacing] = None,
    covariates: Mapping[str, Any] | None = None,
) -> Inputs:
    """Images that this model can answer.

    Args:
        images: (batch, channel, *space), in the source's units. spacing: one for all, or one an image.
        covariates: by name, (batch,) or one for all.

    Raises:
        InputError: an image off the grid or not finite, or a covariate or spacing that is needed and missing.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> check_inputs(model, torch.zeros(1, 1, 8, 8))
    Traceback (most recent call last):
    segue.errors.InputError: images have shape (1, 1, 8, 8): give (batch, 1, 48, 144), one image at least; ...
    """
    raw = model.grid.check(images).to(model.device)
    area, sizes = (given.to(raw) for given in model.grid.pixels_of(spacing, len(raw)))
    return Inputs(raw, area, covariate_columns(model, covariates or {}, len(raw)).to(raw), sizes)


def inputs_of(model: "Model", cases: Sequence[Case]) -> Inputs:
    """`check_inputs` of cases."""
    return check_inputs(
        model,
        np.stack([case.image for case in cases]),
        spacing=[case.spacing for case in cases],
        covariates={name: [case.covariates[name] for case in cases] for name in model.space.covariates},
    )


def single_precision(name: str, given: Any) -> Float[Tensor, "*batch"]:
    """The values of a covariate or a request as single-precision numbers; those beyond are infinite.

    >>> single_precision("age", [60, 1e39]).tolist()
    [60.0, inf]
    """
    try:
        return torch.as_tensor(given, dtype=torch.float64).to(torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(f"{name}: is no number ({shortened(one_line(error))}); give one, or one an image") from None


def covariate_columns(
    model: "Model", given: Mapping[str, Any], batch: int
) -> Float[Tensor, "batch covariate"]:
    """The factual values of the study's covariates.

    Raises:
        InputError: one is missing, no number that can be, of the wrong length, or not a level of its variable.
    """
    columns = []
    for name in model.space.covariates:
        if name not in given:
            raise InputError(f"covariate {name!r} is missing: pass covariates={{{name!r}: ...}} (--given {name}=...)")
        column = single_precision(name, given[name])
        if column.shape not in ((), (1,), (batch,)):
            raise InputError(f"covariate {name!r} has shape {tuple(column.shape)}: give {batch} values, one an image")
        if not bool(column.isfinite().all()):
            raise InputError(f"covariate {name!r} is not finite: give a number")
        low, high = possible(model, name, 1.0)
        if not (low <= float(column.min()) and float(column.max()) <= high):
            ends = f"{in_digits(low)} to {in_digits(high)}"
            raise InputError(f"covariate {name!r} is {in_digits(float(column.abs().max()))}: give {ends}")
        model.space.check_level(name, column)
        columns.append(column.expand(batch))
    return torch.stack(columns, dim=1) if columns else torch.zeros(batch, 0)
