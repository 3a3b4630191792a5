"""What is known of factual images before anything is asked of them."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Facts"]


class Facts(NamedTuple):
    """A batch of factual images, measured.

    Attributes:
        image: x, scaled to the networks' range.
        pa: parents, in their units: what is measured first, then covariates.
        weights: regions of the measured variables. They stay fixed while the image changes.
        pixel_area: area of a pixel, in the areas' unit.
        by_ensemble: what further segmentors measure; None where nobody has measured with them.
        spacing: of the pixels along each axis, in the lengths' unit; None where pixels are as long along every axis.

    >>> import torch
    >>> facts = Facts(torch.zeros(3, 1, 4, 4), torch.rand(3, 2), torch.ones(3, 2, 4, 4), torch.ones(3))
    >>> facts.rows(torch.tensor([2, 2])).image.shape
    torch.Size([2, 1, 4, 4])
    """

    image: Float[Tensor, "batch channel *space"]
    pa: Float[Tensor, "batch variable"]
    weights: Float[Tensor, "batch measured *space"]
    pixel_area: Float[Tensor, " batch"]
    by_ensemble: Float[Tensor, "batch member measured"] | None = None
    spacing: Float[Tensor, "batch dims"] | None = None

    def rows(self, index: Int[Tensor, " row"]) -> "Facts":
        """The facts of some images, repeats allowed."""
        return Facts(*(None if part is None else part[index] for part in self))  # type: ignore[arg-type]

    @property
    def measured(self) -> int:
        """How many of the parents are measured on the image."""
        return self.weights.shape[1]
