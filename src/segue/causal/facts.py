"""What is known of factual images before anything is asked of them."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Facts(NamedTuple):
    """A batch of factual images, measured.

    Attributes:
        image: x, as the networks see it. pa: parents, in their units. weights: regions of the measured variables, held
            fixed while the image changes. pixel_area: in the areas' unit.
    """

    image: Float[Tensor, "batch channel *space"]
    pa: Float[Tensor, "batch variable"]
    weights: Float[Tensor, "batch measured *space"]
    pixel_area: Float[Tensor, " batch"]
