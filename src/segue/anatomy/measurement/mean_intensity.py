"""The mean intensity of a structure in a region: the density of calcium, the attenuation of fat."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from segue.anatomy.measurement.base import Dimension, Measurement, Seen, total

LEAST_SEEN = 1e-3  # pixels; of less, the mean is shrunk towards 0


@dataclass(frozen=True)
class MeanIntensity(Measurement):
    """sum_i w(i) s(i) x(i) / sum_i w(i) s(i), in shares of the study's intensity range (0: its low end).

    Of a CT window of -200 to 1200 HU, 0.5 is 500 HU. Several channels are averaged. It may be below 0 or above 1.

    >>> import torch
    >>> s, x = torch.tensor([[[[1.0, 1.0, 0.0]]]]), torch.tensor([[[[-1.0, 1.0, 1.0]]]])
    >>> seen = Seen(s, torch.ones_like(s), x, s, ("a",), torch.ones(1), torch.ones(1, 2), torch.zeros(1, 1))
    >>> MeanIntensity()(seen).tolist()
    [[0.5]]
    """

    key: ClassVar[str] = "mean_intensity"
    dimension: ClassVar[Dimension] = "share"
    least: ClassVar[float] = -1.0

    def __call__(self, seen: Seen) -> Float[Tensor, "batch row"]:
        bright = (seen.image.mean(1, keepdim=True) + 1) / 2
        return total(seen.inside * bright) / total(seen.inside).clamp_min(LEAST_SEEN)
